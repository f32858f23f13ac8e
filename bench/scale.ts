import { parseConfig } from '../lib/config.ts'
import { closeSql, connect, type Sql } from '../lib/db/connect.ts'
import { migrate } from '../lib/db/migrate.ts'
import { log } from '../lib/log.ts'
import { EXIT, run } from '../lib/run.ts'
import { countStored, ownDatabase } from './ground/database.ts'
import { drain } from './ground/drain.ts'
import { fill } from './ground/fill.ts'
import { benchServers } from './ground/servers.ts'
import { settingsOf } from './ground/settings.ts'
import { showTable } from './ground/table.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench scale: what a reading costs as the plant grows: more sensors, more partitions, more consumers; everything
on, one broker, a database of its own for each line. The cost is the consumers' processor time; the rate depends on how many
cores are left for them. Each sensor is registered before, by a reading of its own that is not counted.

  --readings N      of each line (default 1000000)
  --sensors A,B     default 1000,10000,100000: with three partitions and three consumers
  --partitions A,B  default 3,12,48: with 1000 sensors and three consumers
  --consumers A,B   default 1,2,3: with 1000 sensors and three partitions
  --help            this text

exit 0 all stored once · 1 not all, or not once, or Ctrl-C`

interface Line {
  sensors: number
  partitions: number
  consumers: number
}

await run('bench', async (signal) => {
  const { readings, ...asked } = settingsOf(HELP, {
    readings: 1_000_000,
    sensors: [1000, 10_000, 100_000],
    partitions: [3, 12, 48],
    consumers: [1, 2, 3],
  })
  log.configure({ level: 'WARN', service: 'bench' })
  const before = machine()
  const servers = await benchServers('scale', 1, signal)
  const { env: shared, postgres } = servers
  const admin = connect(postgres.url, { name: 'bench', max: 1, statementTimeoutMs: 60_000 })
  const usual: Line = { sensors: 1000, partitions: 3, consumers: 3 }
  const lines = [
    ...asked.sensors.map((sensors) => ({ ...usual, sensors })),
    ...asked.partitions.map((partitions) => ({ ...usual, partitions })),
    ...asked.consumers.map((consumers) => ({ ...usual, consumers })),
  ]
  try {
    const figures = []
    for (const [i, line] of lines.entries()) {
      const env = {
        ...shared,
        TOPIC_REPLICATION: '1',
        SENSOR_TOPIC: `scale-${i}`,
        CONSUMER_GROUP: `scale-${i}`,
        MAX_SENSORS: '200000',
      }
      const measured = await ownDatabase(admin, postgres.url, `scale_${i}`, (url, sql) =>
        measure({ ...env, DATABASE_URL: url }, sql, line, readings),
      )
      console.error(JSON.stringify({ ...line, ...measured }))
      figures.push({ ...line, ...measured })
    }
    const settings = { readings, brokers: 1 }
    showTable(figures)
    console.log(JSON.stringify({ bench: 'scale', figures, settings, machine: before }, null, 2))
    return figures.every((f) => f.stored === readings && f.distinct === readings) ? EXIT.ok : EXIT.fault
  } finally {
    await closeSql(admin)
    await servers.stop()
  }
})

async function measure(env: Record<string, string>, sql: Sql, line: Line, readings: number) {
  await migrate(sql)
  const plant = { sensors: line.sensors, partitions: line.partitions }
  const known = await fill(parseConfig(env), {
    ...plant,
    readings: line.sensors,
    followedBy: readings,
    run: 'register',
  })
  await drain(env, sql, line.sensors, line.consumers)
  await fill(parseConfig(env), { ...plant, readings, run: 'measure', since: known.until + 1 })
  const drained = await drain(env, sql, readings, line.consumers)
  return {
    readings_per_second: Math.round(drained.readings / drained.seconds),
    consumer_cpu_seconds_per_million: Number(((drained.cpuSeconds / readings) * 1e6).toFixed(2)),
    largest_consumer_mib: drained.largestMib,
    ...(await countStored(sql, sql`join runs using (run_key) where run_id = 'measure'`)),
  }
}
