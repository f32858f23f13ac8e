import { parseConfig } from '../lib/config.ts'
import { closeSql, connect } from '../lib/db/connect.ts'
import { migrate } from '../lib/db/migrate.ts'
import { log } from '../lib/log.ts'
import { EXIT, run } from '../lib/run.ts'
import { countStored } from './ground/database.ts'
import { drain } from './ground/drain.ts'
import { fill } from './ground/fill.ts'
import { benchServers } from './ground/servers.ts'
import { settingsOf } from './ground/settings.ts'
import { showFigures } from './ground/table.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench consumer: how fast consumers drain a filled topic into PostgreSQL, with limits, alarms and exactly-once
on; three brokers and the database on this machine, fsync on. The rate is taken between the first and the last reading
stored, after the group has joined.

  --readings N    how many the topic is filled with (default 1000000)
  --consumers N   default 3
  --sensors N     default 300
  --help          this text

exit 0 all stored once · 1 not all, or not once, or Ctrl-C`

await run('bench', async (signal) => {
  const asked = settingsOf(HELP, { readings: 1_000_000, consumers: 3, sensors: 300 })
  log.configure({ level: 'WARN', service: 'bench' })
  const before = machine()
  const servers = await benchServers('consumer', 3, signal)
  const { env, postgres } = servers
  const config = parseConfig(env)
  const sql = connect(postgres.url, { name: 'bench', max: 1, statementTimeoutMs: 60_000 })
  try {
    await migrate(sql)
    const { readings } = await fill(config, asked)
    const drained = await drain(env, sql, readings, asked.consumers)
    const alerts = await sql<{ alerts: number }[]>`select count(*) as alerts from alerts`
    const figures = {
      readings_per_second: Math.round(drained.readings / drained.seconds),
      consumer_cpu_seconds_per_million: Number(((drained.cpuSeconds / readings) * 1e6).toFixed(2)),
      largest_consumer_mib: drained.largestMib,
      ...(await countStored(sql, sql``)),
      ...alerts[0],
    }
    const settings = { consumers: asked.consumers, sensors: asked.sensors, brokers: 3, partitions: 3 }
    showFigures(figures)
    console.log(JSON.stringify({ bench: 'consumer', ...figures, settings, machine: before }, null, 2))
    return figures.stored === readings && figures.distinct === readings ? EXIT.ok : EXIT.fault
  } finally {
    await closeSql(sql)
    await servers.stop()
  }
})
