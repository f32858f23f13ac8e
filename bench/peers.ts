import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseConfig, type Config } from '../lib/config.ts'
import { closeSql, connect, type Sql } from '../lib/db/connect.ts'
import { migrate } from '../lib/db/migrate.ts'
import { log } from '../lib/log.ts'
import { EXIT, run, sleep } from '../lib/run.ts'
import { ownDatabase } from './ground/database.ts'
import { cpuSeconds } from './ground/cpu.ts'
import { drain } from './ground/drain.ts'
import { fill, type Filled } from './ground/fill.ts'
import { rollUpRest } from './ground/rolled-up.ts'
import { benchServers, startProgram } from './ground/servers.ts'
import { refuse, settingsOf } from './ground/settings.ts'
import { showTable, type Spread } from './ground/table.ts'
import { machine } from './machine.ts'
import { missing, PEERS, type Peer } from './peers/peers.ts'

const HELP = `bun run bench peers: one filled topic, and who brings it into PostgreSQL how fast: this consumer with everything on and with
its rules off ("transfer": what the others do), and what one would otherwise write. Everything on ends when all is rolled up,
too (minutes, hours, days); transfer ends when all is stored, as the others do. Each run has a database of its own, must end
with the same count and the same sum of values, or its figure is void (of the tutorial's part and of rows made ready: the
count). Order A B C, A B C, …; ratios are those of one round.
A peer whose tools are missing is left out, with a word. fsync on; one broker, three partitions; no index on the peers' table.

  --readings N    how many the topic is filled with (default 500000)
  --sensors N     default 300
  --rounds N      default 5; one more before them warms up and is not counted
  --consumers N   of ours: default 3
  --peers A,B     default all: ${PEERS.map((peer) => peer.name).join(', ')}
  --indexed       the peers' table has the product's index, too (BRIN of time)
  --work DIR      where peers are built, to be kept between runs (default: a temporary folder)
  --help          this text

exit 0 every figure is sound · 1 one is void, or Ctrl-C`

/** "transfer" is the whole consumer with an empty rule book: validation, identity, order and exactly-once stay on. */
const NO_RULES = 'groups: { sensors: 3, window: 60s }\nrules: []\n'
const COLUMNS = `sensor_id text, sensor_type text, measured_at timestamptz, value float8, alert_level text, partition int, log_offset bigint`
const INDEX = 'create index on peer_readings using brin (measured_at) with (pages_per_range = 16)'
const RUN_MS = 120_000
const QUIET_MS = 1500

interface Figure {
  perSecond: number
  /** processor seconds a million readings */
  cpu: Seconds
  /** of ours: seconds to roll up what was not rolled up when all was stored */
  rollUpsLeft?: number
}

interface Seconds {
  own: number
  postgres: number
  kafka: number
}

interface Contestant {
  name: string
  run(round: number): Promise<Figure | string>
}

await run('bench', async (signal) => {
  const known = PEERS.map((peer) => peer.name)
  const asked = settingsOf(HELP, {
    readings: 500_000,
    sensors: 300,
    rounds: 5,
    consumers: 3,
    peers: known.join(','),
    indexed: false,
    work: '',
  })
  const wanted = asked.peers.split(',').filter((name) => name !== '')
  if (!wanted.every((name) => known.includes(name)))
    refuse('peers', `some of ${known.join(', ')}`, asked.peers)
  log.configure({ level: 'WARN', service: 'bench' })
  const before = machine()
  const servers = await benchServers('peers', 1, signal)
  const { dir } = servers.at
  const work = asked.work || join(dir, 'work')
  const peers = await ready(
    PEERS.filter((peer) => wanted.includes(peer.name)),
    work,
  )
  writeFileSync(join(dir, 'no-rules.yaml'), NO_RULES)
  const env = { ...servers.env, TOPIC_REPLICATION: '1' }
  const admin = connect(env.DATABASE_URL, { name: 'bench', max: 1, statementTimeoutMs: 60_000 })
  try {
    const config = parseConfig(env)
    const filled = await fill(config, asked)
    const pids = { postgres: servers.postgres.pid, kafka: servers.kafka.nodes[0]?.pid ?? 0 }
    const ground: Ground = {
      admin,
      config,
      env,
      filled,
      servers: pids,
      consumers: asked.consumers,
      indexed: asked.indexed,
    }
    const noRules = { RULES_FILE: join(dir, 'no-rules.yaml') }
    const contestants: Contestant[] = [
      { name: 'ours: everything', run: (round) => ours(ground, `all${round}`, {}, true) },
      { name: 'ours: transfer', run: (round) => ours(ground, `transfer${round}`, noRules, false) },
      ...peers.map((peer) => ({
        name: peer.name,
        run: (round: number) => theirs(ground, peer, round, work),
      })),
    ]
    const rounds = await compete(contestants, asked.rounds)
    const figures = contestants.map(({ name }) => ({ name, ...summary(name, rounds) }))
    showTable(figures)
    console.log(
      JSON.stringify(
        {
          bench: 'peers',
          figures: Object.fromEntries(figures.map(({ name, ...figure }) => [name, figure])),
          peers: Object.fromEntries(peers.map(({ name, is }) => [name, is])),
          settings: {
            readings: filled.readings,
            bytes_a_reading: Math.round(filled.bytes / filled.readings),
            sensors: asked.sensors,
            rounds: asked.rounds,
            consumers: ground.consumers,
            brokers: 1,
            partitions: 3,
            indexed: ground.indexed,
          },
          machine: before,
        },
        null,
        2,
      ),
    )
    return rounds.some((round) => [...round.values()].some((f) => typeof f === 'string'))
      ? EXIT.fault
      : EXIT.ok
  } finally {
    await closeSql(admin)
    await servers.stop()
  }
})

interface Ground {
  admin: Sql
  config: Config
  env: Record<string, string> & { DATABASE_URL: string }
  filled: Filled
  servers: { postgres: number; kafka: number }
  consumers: number
  indexed: boolean
}

async function ready(peers: readonly Peer[], work: string): Promise<Peer[]> {
  const able: Peer[] = []
  for (const peer of peers) {
    const why =
      missing(peer) ??
      (await peer.build(work).then(
        () => null,
        (error: Error) => error.message,
      ))
    if (why === null) able.push(peer)
    else console.error(`${peer.name} is left out: ${why}`)
  }
  return able
}

/** One round to warm up, then the counted ones. */
async function compete(contestants: readonly Contestant[], rounds: number) {
  const all: Map<string, Figure | string>[] = []
  for (let round = 0; round <= rounds; round++) {
    const figures = new Map<string, Figure | string>()
    for (const { name, run } of contestants) {
      const figure = await run(round).catch((error: Error) => error.message)
      const told =
        typeof figure === 'string' ? `void: ${figure}` : `${Math.round(figure.perSecond / 1000)} k/s`
      console.error(`${round === 0 ? 'warm-up' : `round ${round}`}: ${name}: ${told}`)
      figures.set(name, figure)
    }
    if (round > 0) all.push(figures)
  }
  return all
}

async function ours(
  ground: Ground,
  name: string,
  extra: Record<string, string>,
  rollsUp: boolean,
): Promise<Figure | string> {
  return ownDatabase(ground.admin, ground.env.DATABASE_URL, name, async (url, sql) => {
    await migrate(sql)
    const used = spent(ground)
    const env = { ...ground.env, ...extra, DATABASE_URL: url, CONSUMER_GROUP: `ours-${name}` }
    const drained = await drain(env, sql, ground.filled.readings, ground.consumers, RUN_MS)
    const stored = used()
    const left = await rollUpRest(sql)
    const servers = rollsUp ? used() : stored
    const wrong = await differs(sql, 'readings', 'value', ground.filled.readings, ground.filled.sum)
    return (
      wrong ?? {
        perSecond: drained.readings / (drained.seconds + (rollsUp ? left : 0)),
        rollUpsLeft: left,
        cpu: perMillion(ground.filled.readings, { own: drained.cpuSeconds, ...servers }),
      }
    )
  })
}

async function theirs(ground: Ground, peer: Peer, round: number, work: string): Promise<Figure | string> {
  const name = `${peer.name}-${round}`
  const readings = Math.min(peer.most ?? Infinity, ground.filled.readings)
  return ownDatabase(ground.admin, ground.env.DATABASE_URL, name.replaceAll('-', '_'), async (url, sql) => {
    await sql.unsafe(`create table peer_readings (${COLUMNS})`)
    if (ground.indexed) await sql.unsafe(INDEX)
    const used = spent(ground)
    const { username, password, host, pathname } = new URL(url)
    const env = {
      ...process.env,
      ...peer.env,
      KAFKA_BROKERS: ground.env.KAFKA_BROKERS,
      DATABASE_URL: url,
      TOPIC: ground.config.SENSOR_TOPIC,
      GROUP: name,
      READINGS: String(readings),
      JDBC_URL: `jdbc:postgresql://${host}${pathname}`,
      DATABASE_USER: decodeURIComponent(username),
      DATABASE_PASSWORD: decodeURIComponent(password),
    }
    const child = startProgram(peer.command(work), env, peer.cwd?.(work))
    // Bytes of the table instead of a count: to count would cost the server what the peer needs.
    const bytesNow = async () =>
      (await sql<{ n: number }[]>`select pg_relation_size('peer_readings')::bigint as n`)[0]?.n ?? 0
    const countNow = async () =>
      (await sql<{ n: number }[]>`select count(*)::bigint as n from peer_readings`)[0]?.n ?? 0
    let ended = false
    void child.exited.then(() => (ended = true))
    let first = 0
    let last = { bytes: 0, at: 0 }
    const until = performance.now() + RUN_MS
    while (!ended && performance.now() < until) {
      const bytes = await bytesNow()
      const at = performance.now()
      if (bytes > 0 && first === 0) first = at
      if (bytes !== last.bytes) last = { bytes, at }
      // what never ends is counted only when nothing has come for a while
      if (peer.endless && first > 0 && at - last.at > QUIET_MS && (await countNow()) >= readings) break
      await sleep(20)
    }
    const byItself = ended
    const isDone = byItself || (peer.endless === true && performance.now() < until)
    child.kill('SIGKILL')
    const code = await child.exited
    if (!isDone || (byItself && code !== 0)) return `it ended with ${code ?? 'no code'}`
    const servers = used()
    const own = Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6
    const whole = readings === ground.filled.readings && !peer.hasOwnValues
    const value = peer.value ?? 'value'
    const wrong = await differs(sql, 'peer_readings', value, readings, whole ? ground.filled.sum : null)
    return (
      wrong ?? {
        perSecond: (readings / (last.at - first)) * 1000,
        cpu: perMillion(readings, { own, ...servers }),
      }
    )
  })
}

/** Why what is stored is not what was sent; null where it is. */
async function differs(
  sql: Sql,
  table: string,
  value: string,
  readings: number,
  sum: bigint | null,
): Promise<string | null> {
  const [found] = await sql.unsafe<{ readings: number; sum: string }[]>(
    `select count(*)::bigint as readings, sum(round((${value})::numeric * 1000000))::bigint::text as sum from ${table}`,
  )
  if (found?.readings !== readings) return `${found?.readings} of ${readings} readings are stored`
  return sum === null || BigInt(found.sum) === sum ? null : `the values add up to ${found.sum}, not to ${sum}`
}

/** Processor seconds of the servers from now on. */
function spent({ servers }: Ground): () => { postgres: number; kafka: number } {
  const before = { postgres: cpuSeconds(servers.postgres), kafka: cpuSeconds(servers.kafka) }
  return () => ({
    postgres: cpuSeconds(servers.postgres) - before.postgres,
    kafka: cpuSeconds(servers.kafka) - before.kafka,
  })
}

function perMillion(readings: number, seconds: Seconds): Seconds {
  const each = (s: number) => Number(((s / readings) * 1e6).toFixed(2))
  return { own: each(seconds.own), postgres: each(seconds.postgres), kafka: each(seconds.kafka) }
}

/** Medians, and the ratio of ours to it: the median of the rounds' own ratios, with the least and the greatest. */
function summary(name: string, rounds: readonly Map<string, Figure | string>[]) {
  const own = rounds.map((round) => round.get(name))
  const reason = own.find((figure) => typeof figure === 'string')
  if (reason !== undefined) return { void: reason }
  const figures = own.filter((figure) => typeof figure === 'object')
  const ratioOf = (ours: string) => {
    const ratios = rounds.flatMap((round) => {
      const [a, b] = [round.get(ours), round.get(name)]
      return typeof a === 'object' && typeof b === 'object' ? [a.perSecond / b.perSecond] : []
    })
    return spread(ratios, 2)
  }
  return {
    readings_per_second: spread(
      figures.map((f) => f.perSecond),
      0,
    ),
    cpu_seconds_a_million: {
      own: median(figures.map((f) => f.cpu.own)),
      postgres: median(figures.map((f) => f.cpu.postgres)),
      kafka: median(figures.map((f) => f.cpu.kafka)),
      all: Number(median(figures.map((f) => f.cpu.own + f.cpu.postgres + f.cpu.kafka)).toFixed(2)),
    },
    ...(figures.some((f) => f.rollUpsLeft !== undefined) && {
      roll_ups_left_seconds: median(figures.map((f) => Number((f.rollUpsLeft ?? 0).toFixed(2)))),
    }),
    ours_everything_is_times_this: ratioOf('ours: everything'),
    ours_transfer_is_times_this: ratioOf('ours: transfer'),
  }
}

function spread(all: readonly number[], decimals: number): Spread {
  const round = (x: number) => Number(x.toFixed(decimals))
  return { least: round(Math.min(...all)), median: round(median(all)), most: round(Math.max(...all)) }
}

function median(all: readonly number[]): number {
  const sorted = [...all].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return sorted.length % 2 === 1
    ? (sorted[Math.floor(middle)] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}
