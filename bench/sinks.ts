import { join } from 'node:path'
import { parseConfig, type Config } from '../lib/config.ts'
import { closeSql, connect, type Sql } from '../lib/db/connect.ts'
import { migrate } from '../lib/db/migrate.ts'
import { clusterView, kafkaClients } from '../lib/kafka/client.ts'
import { waitForCoordinator } from '../lib/kafka/topics.ts'
import { startTestSearch, startTestStorage } from '../lib/local/testbed.ts'
import { log } from '../lib/log.ts'
import { EXIT, run, sleep } from '../lib/run.ts'
import { elasticsearchOf, coldStorageOf, SINKS, type SinkName } from '../lib/sink/open.ts'
import { groupOf } from '../lib/sink/sink.ts'
import { fill } from './ground/fill.ts'
import { residentAtMost } from './ground/memory.ts'
import { benchServers, startProgram } from './ground/servers.ts'
import { settingsOf } from './ground/settings.ts'
import { showTable } from './ground/table.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench sinks: how fast each sink takes a filled topic: OpenSearch by _bulk, S3 (s3proxy) as NDJSON with zstd and as
Parquet; three brokers, PostgreSQL and the store on this machine. One process a sink, one sink after the other. The rate is
taken from the first partition that the sink has claimed until it has moved past the last reading; then what is there is counted.

  --readings N    how many the topic is filled with (default 200000)
  --sensors N     default 300
  --help          this text

exit 0 all are there, once · 1 not all, or not once, or Ctrl-C`

await run('bench', async (signal) => {
  const asked = settingsOf(HELP, { readings: 200_000, sensors: 300 })
  log.configure({ level: 'WARN', service: 'bench' })
  const before = machine()
  const servers = await benchServers('sinks', 3, signal)
  const { postgres } = servers
  const [search, storage] = await Promise.all([startTestSearch(servers.at), startTestStorage(servers.at)])
  const env = {
    ...servers.env,
    ELASTICSEARCH_URL: search.url,
    S3_ENDPOINT: storage.url,
    S3_OBJECT_INTERVAL: '2s',
  }
  const config = parseConfig(env)
  const sql = connect(postgres.url, { name: 'bench', max: 1, statementTimeoutMs: 60_000 })
  try {
    await migrate(sql)
    const { readings } = await fill(config, asked)
    const figures: Record<string, Figures> = {}
    for (const sink of SINKS) figures[sink] = await drain(config, env, sql, sink, readings)
    const settings = {
      readings,
      sensors: asked.sensors,
      brokers: 3,
      partitions: 3,
      formats: config.S3_FORMATS,
    }
    showTable(Object.entries(figures).map(([sink, figure]) => ({ sink, ...figure })))
    console.log(JSON.stringify({ bench: 'sinks', ...figures, settings, machine: before }, null, 2))
    const whole = Object.values(figures).every((f) => Object.values(f.there).every((n) => n === readings))
    return whole ? EXIT.ok : EXIT.fault
  } finally {
    await closeSql(sql)
    await Promise.all([search.stop(), storage.stop()])
    await servers.stop()
  }
})

interface Figures {
  readings_per_second: number
  sink_cpu_seconds_per_million: number
  largest_mib: number
  /** distinct places in the log, by copy */
  there: Record<string, number>
}

async function drain(
  config: Config,
  env: Record<string, string>,
  sql: Sql,
  sink: SinkName,
  readings: number,
): Promise<Figures> {
  const view = clusterView(kafkaClients({ brokers: config.KAFKA_BROKERS, clientId: 'bench' }))
  await waitForCoordinator(view, groupOf(config, sink), 60_000, new AbortController().signal)
  await view.close()
  const argv = [process.execPath, join(import.meta.dir, '../consumer.ts'), '--sink', sink]
  const child = startProgram(argv, { ...process.env, ...env, CONSUMER_ID: `sink-${sink}` })
  /** null until a partition is claimed */
  const takenNow = async () =>
    (
      await sql<{ n: number | null }[]>`
      select sum(stored)::bigint as n from sink_progress where sink like ${`${sink}:%`}`
    )[0]?.n ?? null
  let claimedAt: number | null = null
  let last = { n: 0, at: 0 }
  const until = performance.now() + 200_000
  while (last.n < readings && performance.now() < until) {
    const n = await takenNow()
    const at = performance.now()
    if (n !== null) claimedAt ??= at
    if (n !== null && n !== last.n) last = { n, at }
    await sleep(50)
  }
  const largest = residentAtMost(child.pid)
  child.kill('SIGTERM')
  await child.exited
  const used = child.resourceUsage()
  return {
    readings_per_second: claimedAt === null ? 0 : Math.round((last.n / (last.at - claimedAt)) * 1000),
    sink_cpu_seconds_per_million: Number((Number(used?.cpuTime.total ?? 0) / readings).toFixed(2)),
    largest_mib: Math.round(largest / 1024 ** 2),
    there: await countThere(config, sink),
  }
}

/** Places in the log that the store has: one that is there twice would be a reading too many, or one too few. */
async function countThere(config: Config, sink: SinkName): Promise<Record<string, number>> {
  const count = async (each: (take: (row: unknown) => void) => Promise<void>) => {
    const places = new Set<string>()
    let rows = 0
    await each((row) => {
      const { partition, offset } = row as { partition: number; offset: number }
      places.add(`${partition} ${offset}`)
      rows++
    })
    return rows === places.size ? rows : -rows
  }
  if (sink === 'elasticsearch') return { documents: await count(elasticsearchOf(config).each) }
  const storage = coldStorageOf(config)
  const counts: Record<string, number> = {}
  const unreadable = (name: string) => {
    throw new Error(`Cannot count what is in s3: ${name} is not readable`)
  }
  for (const format of config.S3_FORMATS)
    counts[format] = await count((take) => storage.each(format, take, unreadable))
  return counts
}
