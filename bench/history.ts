import { join } from 'node:path'
import { parseConfig } from '../lib/config.ts'
import { closeSql, connect, type Sql } from '../lib/db/connect.ts'
import { migrate } from '../lib/db/migrate.ts'
import { MONITOR_RUNTIME } from '../lib/local/plan.ts'
import { freePorts } from '../lib/local/ports.ts'
import { log } from '../lib/log.ts'
import { EXIT, run } from '../lib/run.ts'
import { get, times, untilSensors } from './ground/asked.ts'
import { countStored } from './ground/database.ts'
import { drain } from './ground/drain.ts'
import { fill } from './ground/fill.ts'
import { benchServers, startProgram } from './ground/servers.ts'
import { settingsOf } from './ground/settings.ts'
import { showTable } from './ground/table.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench history: whether storing and asking cost more the more readings are stored. What is stored grows towards
the past, as after days at a steady rate; then readings are drained into it, and the monitor is asked. One broker, everything
on. A hundred million readings take some 11 GB of disk and some minutes to make.

  --stored A,B      readings that are stored already (default 1000000,10000000,100000000)
  --rate N          readings a second of the past (default 500)
  --readings N      drained into each (default 300000)
  --consumers N     default 3
  --help            this text

exit 0 all stored once · 1 not all, or not once, or Ctrl-C`

const SENSORS = 1000
const SENSOR = 'temp-sensor-001'
const ASKED = 50
const QUESTIONS = {
  page: '/',
  sensors: '/api/sensors?limit=100',
  hour: `/api/series?sensor_id=${SENSOR}&last=1h`,
  month: `/api/series?sensor_id=${SENSOR}&last=30d`,
  alarms: '/api/alarms',
}

await run('bench', async (signal) => {
  const { rate, readings, consumers, ...asked } = settingsOf(HELP, {
    stored: [1_000_000, 10_000_000, 100_000_000],
    rate: 500,
    readings: 300_000,
    consumers: 3,
  })
  log.configure({ level: 'WARN', service: 'bench' })
  const before = machine()
  const servers = await benchServers('history', 1, signal)
  const sql = connect(servers.postgres.url, { name: 'bench', max: 1, statementTimeoutMs: 3_600_000 })
  const envOf = (topic: string) => ({
    ...servers.env,
    TOPIC_REPLICATION: '1',
    SENSOR_TOPIC: topic,
    CONSUMER_GROUP: topic,
  })
  /** drains a topic of its own into what is stored, and counts what of it is there */
  const ingest = async (topic: string) => {
    const since = new Date()
    await fill(parseConfig(envOf(topic)), { readings, sensors: SENSORS })
    const drained = await drain(envOf(topic), sql, readings, consumers)
    const counts = await countStored(
      sql,
      sql`join topics using (topic_key) where topic = ${topic} and received_at >= ${since}`,
    )
    return { ...drained, ...counts }
  }
  try {
    await migrate(sql)
    await ingest('history-warm') // sensors are registered, servers have compiled what they do often
    const past = await startPast(sql, rate)
    const figures = []
    for (const [i, stored] of asked.stored.toSorted((a, b) => a - b).entries()) {
      await past.grow(stored)
      const drained = await ingest(`history-${i}`)
      const figure = {
        stored,
        gib: await gibStored(sql),
        readings_per_second: Math.round(drained.readings / drained.seconds),
        consumer_cpu_seconds_per_million: Number(((drained.cpuSeconds / readings) * 1e6).toFixed(2)),
        drained: drained.stored,
        distinct: drained.distinct,
        ms: await ask(envOf('history-warm')),
      }
      console.error(JSON.stringify(figure))
      figures.push(figure)
    }
    const settings = { rate, readings, consumers, sensors: SENSORS, brokers: 1, asked: ASKED }
    showTable(figures)
    console.log(JSON.stringify({ bench: 'history', figures, settings, machine: before }, null, 2))
    return figures.every((f) => f.drained === readings && f.distinct === readings) ? EXIT.ok : EXIT.fault
  } finally {
    await closeSql(sql)
    await servers.stop()
  }
})

/** Makes readings as the sensors would have sent them, one each `SENSORS / rate` seconds, from an hour ago backwards. */
async function startPast(sql: Sql, rate: number) {
  const [end] = await sql<{ at: Date }[]>`select date_trunc('hour', now()) - interval '1 hour' as at`
  if (!end) throw new Error('Cannot make a past: the database does not tell the time')
  const [known] = await sql<{ sensors: number; run: number; topic: number }[]>`
    with r as (insert into runs (run_id) values ('past') returning run_key)
    select (select count(*)::integer from sensors) as sensors, r.run_key as run,
      (select min(topic_key) from topics) as topic
    from r`
  if (!known) throw new Error('Cannot make a past: no sensor is registered')
  let made = 0
  return {
    /** until so many readings of the past are stored, rolled up, and the database has tidied up as it would by itself */
    async grow(stored: number): Promise<void> {
      for (const [from, to] of daysBack(end.at, made / rate, stored / rate)) {
        await sql.unsafe(`
          create table if not exists readings_${from.toISOString().slice(0, 10).replaceAll('-', '')} partition of readings
          for values from ('${dayOf(from)}') to ('${dayOf(from, 1)}')`)
        await sql`
          insert into readings (received_at, measured_at, value, "offset", seq, sensor_key, run_key, quality, flags, partition,
            topic_key, level)
          select at, at, 20 + 5 * random(), n, n / ${SENSORS}, (array(select sensor_key from sensors))[1 + n % ${known.sensors}::integer],
            ${known.run}, 0.97, 0, n % 3, ${known.topic}, 0
          from generate_series(0::bigint, ${Math.round(((to.getTime() - from.getTime()) / 1000) * rate) - 1}::bigint) n
          cross join lateral (select ${from}::timestamptz + n * interval '1 second' / ${rate}::float8 as at) t`
      }
      made = stored
      await sql`truncate readings_1m, readings_1h, readings_1d`
      await sql`update rollup_progress set rolled_up_to = '-infinity'`
      for (let behind = true; behind;)
        behind =
          (await sql<{ behind: boolean }[]>`select behind from roll_up_readings('1 hour')`)[0]?.behind ??
          false
      await sql`vacuum analyze readings`
      await sql`checkpoint`
    },
  }
}

/** The stretch between two ages in seconds, in parts that each lie in one day of UTC. */
function* daysBack(end: Date, youngest: number, oldest: number): Generator<[Date, Date]> {
  let to = end.getTime() - youngest * 1000
  const first = end.getTime() - oldest * 1000
  while (to > first) {
    const day = new Date(to - 1)
    const from = Math.max(first, Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), day.getUTCDate()))
    yield [new Date(from), new Date(to)]
    to = from
  }
}

function dayOf(at: Date, later = 0): string {
  return new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate() + later)).toISOString()
}

async function gibStored(sql: Sql): Promise<number> {
  const [row] = await sql<{ bytes: number }[]>`
    select sum(pg_total_relation_size(inhrelid))::bigint as bytes from pg_inherits where inhparent = 'readings'::regclass`
  return Number(((row?.bytes ?? 0) / 1024 ** 3).toFixed(2))
}

/** How long a monitor takes over each question, in milliseconds. */
async function ask(env: Record<string, string>) {
  const [port = 0] = await freePorts(1)
  const monitor = startProgram([process.execPath, join(import.meta.dir, '..', 'monitor.ts')], {
    ...process.env,
    ...env,
    ...MONITOR_RUNTIME,
    MONITORING_PORT: String(port),
    NODE_ENV: 'production',
  })
  const base = `http://127.0.0.1:${port}`
  try {
    await untilSensors(base, SENSORS)
    const found: Record<string, { p50: number; p99: number }> = {}
    for (const [name, path] of Object.entries(QUESTIONS)) {
      const took = await times(ASKED, () => get(base + path))
      found[name] = { p50: took.ms_p50, p99: took.ms_p99 }
    }
    return found
  } finally {
    monitor.kill('SIGTERM')
    await monitor.exited
  }
}
