import { join } from 'node:path'
import { parseConfig } from '../lib/config.ts'
import { closeSql, connect, type Sql } from '../lib/db/connect.ts'
import { migrate } from '../lib/db/migrate.ts'
import { clusterView, kafkaClients } from '../lib/kafka/client.ts'
import { createMissing, waitForCoordinator } from '../lib/kafka/topics.ts'
import { freePorts } from '../lib/local/ports.ts'
import { startTestRegistry } from '../lib/local/testbed.ts'
import { log } from '../lib/log.ts'
import { EXIT, run, sleep } from '../lib/run.ts'
import { readLedger } from '../lib/spool/ledger.ts'
import { topicPlan } from '../lib/topics.ts'
import { verify } from '../lib/verify/verify.ts'
import { atShare } from './ground/asked.ts'
import { busySeconds, cpuSeconds } from './ground/cpu.ts'
import { residentOf } from './ground/memory.ts'
import { benchServers, startProgram } from './ground/servers.ts'
import { settingsOf } from './ground/settings.ts'
import { showFigures } from './ground/table.ts'
import { watchAlerts } from './ground/watch-alerts.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench iot: devices in Avro through the whole journey at a steady rate: the producer with its spool, three
brokers, a schema registry, consumers with every detector, alarm and exactly-once on, PostgreSQL with fsync, the monitor,
and a client of its own that hears of alarms over HTTP. Everything on this machine, so all of it shares its cores.

  --seconds N     how long at that rate (default 60; 600 is the long form)
  --rate N        messages a second, two readings each (default 5000)
  --devices LIST  numbers of devices, one run each (default 1000; 1000,10000,100000 shows what one more costs)
  --consumers N   default 3
  --help          this text

Latency is counted from the moment in which the producer's spool had accepted the reading until the alarm's id arrived at
the client, for every alarm that a reading raised after the warm-up (a minute, or all devices twice); "stored" is when its transaction began,
"committed" when that had ended.
other_work: processor cores that something else on this machine took meanwhile. exit 0 all stored once · 1 not all, or not once, or Ctrl-C`

/** Brokers compile what they do often for a minute, and every device is new once; the figures are of the time after that. */
const warmUpMs = ({ devices, rate }: Settings) => Math.max(60_000, ((2 * devices) / rate) * 1000)

await run('bench', async (signal) => {
  const { devices: counts, ...settings } = settingsOf(HELP, {
    seconds: 60,
    rate: 5000,
    devices: [1000],
    consumers: 3,
  })
  log.configure({ level: 'ERROR', service: 'bench' })
  const before = machine()
  const runs: Awaited<ReturnType<typeof measure>>[] = []
  for (const devices of counts) {
    const figures = await measure({ ...settings, devices }, signal)
    showFigures(figures)
    runs.push(figures)
  }
  console.log(
    JSON.stringify({ bench: 'iot', runs, growth: growth(runs), settings, machine: before }, null, 2),
  )
  return runs.every((r) => r.verify.lost + r.verify.duplicated + r.verify.phantom === 0)
    ? EXIT.ok
    : EXIT.fault
})

interface Settings {
  seconds: number
  rate: number
  consumers: number
  devices: number
}

/** One run on servers of its own. */
async function measure(settings: Settings, signal: AbortSignal) {
  const servers = await benchServers('iot', 3, signal)
  const registry = await startTestRegistry(servers.at)
  const [port = 0] = await freePorts(1)
  const env: Record<string, string> = {
    ...servers.env,
    FLEET: 'iot',
    SCHEMA_REGISTRY_URL: registry.url,
    SPOOL_DIR: join(servers.at.dir, 'spool'),
    MONITORING_PORT: String(port),
    SENSOR_COUNT: String(settings.devices),
    MAX_SENSORS: String(settings.devices * 3),
  }
  const config = parseConfig(env)
  const sql = connect(config.DATABASE_URL, { name: 'bench', max: 1, statementTimeoutMs: 60_000 })
  const doors: { name: string; pid: number; stop(): Promise<number> }[] = []
  const open = (name: string, file: string, args: string[] = [], own: Record<string, string> = {}) => {
    const argv = [process.execPath, '--no-env-file', join(import.meta.dir, '..', file), ...args]
    const child = startProgram(argv, { PATH: process.env.PATH, HOME: process.env.HOME, ...env, ...own })
    const stop = () => {
      child.kill('SIGTERM')
      return child.exited
    }
    const door = { name, pid: child.pid, stop }
    doors.push(door)
    return door
  }
  try {
    await migrate(sql)
    const view = clusterView(kafkaClients({ brokers: config.KAFKA_BROKERS, clientId: 'bench' }))
    await createMissing(view, topicPlan(config), 3)
    await waitForCoordinator(view, config.CONSUMER_GROUP, 60_000, signal)
    open('monitor', 'monitor.ts')
    for (let i = 1; i <= settings.consumers; i++)
      open(`consumer-${i}`, 'consumer.ts', [], { CONSUMER_ID: `consumer-${i}` })
    await untilClaimed(sql, 9)
    const heard = await watchAlerts(`http://127.0.0.1:${port}`)
    const committed = await watchCommits(sql)
    const producer = open('producer', 'producer.ts', ['--rate', String(settings.rate)])
    const ground = [...servers.kafka.nodes, servers.postgres, registry]
    const began = Date.now() + warmUpMs(settings)
    const figures = await hold(sql, view, [...doors, ...ground], settings)
    await view.close()
    await producer.stop()
    const report = await verify(config, 60_000, () => {})
    heard.close()
    const { lost, duplicated, phantom, accepted, stored } = report
    return {
      devices: settings.devices,
      ...figures,
      alert_latency_ms: latencies(await acceptedAt(sql, config.SPOOL_DIR, began), committed, heard.at),
      verify: { accepted, stored, lost, duplicated, phantom },
    }
  } finally {
    await Promise.all(doors.map((door) => door.stop()))
    await closeSql(sql)
    await registry.stop()
    await servers.stop()
  }
}

async function untilClaimed(sql: Sql, partitions: number): Promise<void> {
  const until = performance.now() + 60_000
  for (;;) {
    const rows = await sql`select 1 from partition_progress`
    if (rows.length >= partitions) return
    if (performance.now() > until)
      throw new Error(`Cannot measure: ${rows.length} partitions are claimed after 60 s`)
    await sleep(100)
  }
}

type View = ReturnType<typeof clusterView>
interface Measured {
  at: number
  stored: number
  cpu: Map<string, number>
  busy: number
}

/** Looks twice a second while the rate is held; figures are of the time after the warm-up. */
async function hold(sql: Sql, view: View, doors: { name: string; pid: number }[], s: Settings) {
  const look = async (): Promise<Measured> => {
    const rows = await sql<{ n: number | null }[]>`select sum(stored)::bigint as n from partition_progress`
    return {
      at: performance.now(),
      stored: Number(rows[0]?.n ?? 0),
      cpu: new Map(doors.map((d) => [d.name, cpuSeconds(d.pid)])),
      busy: busySeconds(),
    }
  }
  const lag = async (): Promise<{ messages: number; seconds: number }> => {
    const ends = await view.offsets('sensor.raw')
    const rows = await sql<{ partition: number; next_offset: number; behind: number | null }[]>`
      select partition, next_offset, extract(epoch from now() - newest_measured_at)::float8 as behind
      from partition_progress where topic = 'sensor.raw'`
    const high = new Map(ends.map((e) => [e.partition, e.high]))
    const waiting = rows.map((r) => Math.max(0, (high.get(r.partition) ?? 0) - r.next_offset))
    return {
      messages: waiting.reduce((a, b) => a + b, 0),
      seconds: Math.max(0, ...rows.map((r, i) => (waiting[i] ? (r.behind ?? 0) : 0))),
    }
  }
  await sleep(warmUpMs(s))
  const own = process.cpuUsage()
  const first = await look()
  const lags: { messages: number; seconds: number }[] = []
  while (performance.now() - first.at < s.seconds * 1000) {
    lags.push(await lag())
    await sleep(500)
  }
  const last = await look()
  const seconds = (last.at - first.at) / 1000
  const stored = last.stored - first.stored
  const cpu = doors.map((d) => [d.name, (last.cpu.get(d.name) ?? 0) - (first.cpu.get(d.name) ?? 0)] as const)
  const used = process.cpuUsage(own)
  const ours = cpu.reduce((sum, [, n]) => sum + n, (used.user + used.system) / 1e6)
  const consumers = cpu.filter(([name]) => name.startsWith('consumer')).reduce((sum, [, n]) => sum + n, 0)
  return {
    messages_per_second: Math.round(stored / 2 / seconds),
    seconds: Math.round(seconds),
    lag_messages_max: Math.max(...lags.map((l) => l.messages)),
    lag_seconds_max: Number(Math.max(...lags.map((l) => l.seconds)).toFixed(2)),
    consumer_us_per_reading: Number(((consumers / stored) * 1e6).toFixed(1)),
    cores: Object.fromEntries(cpu.map(([name, n]) => [name, Number((n / seconds).toFixed(3))])),
    other_work: Number(((last.busy - first.busy - ours) / seconds).toFixed(2)),
    resident_mib: Object.fromEntries(doors.map((d) => [d.name, Math.round(residentOf(d.pid) / 1024 ** 2)])),
  }
}

interface Raised {
  alert_id: string
  /** when the spool had accepted the reading that raised it, and when the transaction began; milliseconds since 1970 */
  accepted: number
  stored: number
}

/** Alarms of readings that were accepted from `began` on; that a sensor is silent, no reading tells. */
async function acceptedAt(sql: Sql, spool: string, began: number): Promise<Raised[]> {
  const raised = await sql<{ alert_id: string; sensor_id: string; seq: number; stored: number }[]>`
    select a.alert_id, a.sensor_id, r.seq, extract(epoch from r.received_at)::float8 * 1000 as stored
    from alerts a join topics t on t.topic = a.topic join sensors s on s.sensor_id = a.sensor_id
    join readings r on r.topic_key = t.topic_key and r.partition = a.partition and r."offset" = a."offset"
      and r.sensor_key = s.sensor_key
    where a.why->'rule'->>'kind' <> 'silence'`
  const wanted = new Map(raised.map((r) => [`${r.sensor_id} ${r.seq}`, r]))
  const found: Raised[] = []
  const ledger = readLedger(join(spool, 'iot-load.sqlite'))
  for (const { sensorId, seq, acceptedAtMs } of ledger) {
    const alarm = acceptedAtMs < began ? undefined : wanted.get(`${sensorId} ${seq}`)
    if (alarm) found.push({ ...alarm, accepted: acceptedAtMs })
  }
  ledger.close()
  return found
}

/** alarm → when its transaction's NOTIFY arrived, which is right after COMMIT; milliseconds since 1970 */
async function watchCommits(sql: Sql): Promise<ReadonlyMap<string, number>> {
  const at = new Map<string, number>()
  await sql.listen('alerts', (ids) => {
    const now = Date.now()
    for (const id of ids.split(',')) if (!at.has(id)) at.set(id, now)
  })
  return at
}

type Times = ReadonlyMap<string, number>

function latencies(raised: readonly Raised[], committed: Times, heard: Times) {
  const toStored = raised.map((r) => r.stored - r.accepted)
  const until = (times: Times) =>
    raised.flatMap((r) => {
      const at = times.get(r.alert_id)
      return at === undefined ? [] : [at - r.accepted]
    })
  const toHeard = until(heard)
  const shares = (all: number[]) => {
    all.sort((a, b) => a - b)
    const at = (share: number) => (all.length > 0 ? Math.round(atShare(all, share)) : null)
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) }
  }
  return {
    alarms: raised.length,
    heard: toHeard.length,
    stored: shares(toStored),
    committed: shares(until(committed)),
    ...shares(toHeard),
  }
}

/** What one more device costs: against the run with the fewest. */
function growth(runs: Awaited<ReturnType<typeof measure>>[]) {
  const consumers = (r: (typeof runs)[number]) =>
    Object.entries(r.resident_mib).reduce(
      (sum, [name, mib]) => sum + (name.startsWith('consumer') ? mib : 0),
      0,
    )
  const [base, ...more] = runs
  return more.map((r) => ({
    devices: r.devices,
    cost_per_reading: base
      ? Number((r.consumer_us_per_reading / base.consumer_us_per_reading).toFixed(2))
      : null,
    consumer_kib_per_device: base
      ? Number((((consumers(r) - consumers(base)) * 1024) / (r.devices - base.devices)).toFixed(1))
      : null,
  }))
}
