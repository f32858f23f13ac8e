import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { parseConfig, type Config } from '../lib/config.ts'
import { closeSql, connect, type Sql } from '../lib/db/connect.ts'
import { migrate } from '../lib/db/migrate.ts'
import { createPlant, plantOptions } from '../lib/fleet/plant.ts'
import { clusterOf, clusterView, kafkaClients } from '../lib/kafka/client.ts'
import { partitionOf } from '../lib/kafka/partitioner.ts'
import { createMissing, waitForCoordinator } from '../lib/kafka/topics.ts'
import { startReaper } from '../lib/local/reaper.ts'
import { startTestKafka, startTestPostgres } from '../lib/local/testbed.ts'
import { log } from '../lib/log.ts'
import { EXIT, run, sleep } from '../lib/run.ts'
import { nowMicros } from '../lib/time.ts'
import { topicPlan } from '../lib/topics.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench consumer: how fast consumers drain a filled topic into PostgreSQL, with limits, alarms and exactly-once
on; three brokers and the database on this machine, fsync on. The rate is taken between the first and the last reading
stored, after the group has joined.

  --readings N    how many the topic is filled with (default 1000000)
  --consumers N   default 3
  --sensors N     default 300
  --help          this text

exit 0 all stored once · 1 not all, or not once`

const CHUNK = 1000
const RUN = 'bench'

await run('bench', async () => {
  const { values } = parseArgs({
    options: {
      readings: { type: 'string', default: '1000000' },
      consumers: { type: 'string', default: '3' },
      sensors: { type: 'string', default: '300' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) {
    console.log(HELP)
    return EXIT.ok
  }
  log.configure({ level: 'WARN', service: 'bench' })
  const before = machine()
  const dir = mkdtempSync(join(tmpdir(), 'bench-consumer-'))
  const reaper = startReaper(dir)
  const [kafka, postgres] = await Promise.all([
    startTestKafka({ nodes: 3, dir, onStart: reaper.watch }),
    startTestPostgres({ dir, onStart: reaper.watch }),
  ])
  const env = {
    KAFKA_BROKERS: kafka.brokers.join(','),
    DATABASE_URL: postgres.url,
    STATE_DIR: dir,
    LOG_LEVEL: 'WARN',
  }
  const config = parseConfig(env)
  const sql = connect(postgres.url, { name: 'bench', max: 1, statementTimeoutMs: 60_000 })
  try {
    await migrate(sql)
    const readings = await fill(config, Number(values.readings), Number(values.sensors))
    const figures = await drain(env, sql, readings, Number(values.consumers))
    const settings = {
      consumers: Number(values.consumers),
      sensors: Number(values.sensors),
      brokers: 3,
      partitions: 3,
    }
    console.log(JSON.stringify({ bench: 'consumer', ...figures, settings, machine: before }, null, 2))
    return figures.stored === readings && figures.distinct === readings ? EXIT.ok : EXIT.fault
  } finally {
    await closeSql(sql)
    await Promise.all([kafka.stop(), postgres.stop()])
    rmSync(dir, { recursive: true, force: true })
    reaper.dismiss()
  }
})

/** Fills the topic with the plant's own messages, numbered as a spool would; resolves to how many. */
async function fill(config: Config, count: number, sensors: number): Promise<number> {
  const clients = kafkaClients({ ...clusterOf(config), clientId: 'bench' })
  const view = clusterView(clients)
  await createMissing(view, topicPlan(config), 3)
  await waitForCoordinator(view, config.CONSUMER_GROUP, 60_000, new AbortController().signal)
  await view.close()
  const producer = clients.current().producer({ idempotent: false, retry: { retries: 5 } })
  await producer.connect()
  const plant = createPlant({ ...plantOptions(config), sensorsPerType: Math.ceil(sensors / 5) })
  const numbers = new Map<string, number>()
  const waiting = new Map<number, { key: string; value: string; headers: Record<string, string> }[]>()
  let sent = 0
  for (const m of plant.between(nowMicros() - 60_000_000, Infinity)) {
    const seq = (numbers.get(m.key) ?? 0) + 1
    numbers.set(m.key, seq)
    const partition = partitionOf(m.key, 3)
    const list = waiting.get(partition) ?? []
    const value = m.encode({ runId: RUN, seq }) as string
    list.push({ key: m.key, value, headers: { 'run-id': RUN, seq: String(seq) } })
    waiting.set(partition, list)
    sent++
    const last = sent === count
    for (const [p, messages] of last ? waiting : [[partition, list] as const]) {
      if (messages.length < CHUNK && !last) continue
      await producer.send({
        topic: config.SENSOR_TOPIC,
        acks: -1,
        messages: messages.map((x) => ({ ...x, partition: p })),
      })
      waiting.set(p, [])
    }
    if (last) break
  }
  await producer.disconnect()
  return sent
}

async function drain(env: Record<string, string>, sql: Sql, readings: number, consumers: number) {
  const children = Array.from({ length: consumers }, (_, i) =>
    Bun.spawn([process.execPath, join(import.meta.dir, '../consumer.ts')], {
      env: { ...process.env, ...env, CONSUMER_ID: `consumer-${i + 1}` },
      stdio: ['ignore', 'ignore', 'inherit'],
    }),
  )
  const storedNow = async () =>
    (await sql<{ n: number | null }[]>`select sum(stored)::bigint as n from partition_progress`)[0]?.n ?? 0
  let first: { n: number; at: number } | null = null
  let last = { n: 0, at: 0 }
  const until = performance.now() + 300_000
  while (last.n < readings && performance.now() < until) {
    const n = await storedNow()
    const at = performance.now()
    if (n > 0) first ??= { n, at }
    if (n !== last.n) last = { n, at }
    await sleep(50)
  }
  for (const child of children) child.kill('SIGTERM')
  await Promise.all(children.map((child) => child.exited))
  const used = children.map((child) => child.resourceUsage() ?? null)
  const seconds = used.reduce((sum, u) => sum + Number(u?.cpuTime.total ?? 0) / 1e6, 0)
  const counts = await sql<{ stored: number; distinct: number; alerts: number }[]>`
    select (select count(*) from readings)::bigint as stored,
      (select count(*) from (select distinct sensor_key, run_key, seq from readings) d)::bigint as distinct,
      (select count(*) from alerts)::bigint as alerts`
  return {
    readings_per_second: first ? Math.round(((last.n - first.n) / (last.at - first.at)) * 1000) : 0,
    consumer_cpu_seconds_per_million: Number(((seconds / readings) * 1e6).toFixed(2)),
    largest_consumer_mib: Math.round(Math.max(...used.map((u) => u?.maxRSS ?? 0)) / 1024 ** 2),
    stored: counts[0]?.stored ?? 0,
    distinct: counts[0]?.distinct ?? 0,
    alerts: counts[0]?.alerts ?? 0,
  }
}
