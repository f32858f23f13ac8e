import { mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseConfig, type Config } from '../../lib/config.ts'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { waitForCoordinator } from '../../lib/kafka/topics.ts'
import { sleep } from '../../lib/run.ts'
import { verify, type Report } from '../../lib/verify/verify.ts'
import { database, freshTopic, kafka } from '../stack.ts'

/**
 * A running plant on the test's own topics and database: one producer, three consumers, each started again when it dies,
 * as a supervisor would. Faults are done to it from outside; `verify` judges.
 */
export interface Plant {
  config: Config
  /** what its processes have in their environment */
  env: Record<string, string | undefined>
  sql: Sql
  producer: Supervised
  consumers: Supervised[]
  /** the programs' logs, one file each */
  logs: string
  /** resolves when every partition has moved on and little is behind; rejects with what it saw after `boundMs` */
  untilFlowing(boundMs: number): Promise<number>
  verify(): Promise<Report>
  stop(): Promise<void>
}

export interface Supervised {
  name: string
  pid(): number
  /** how often it was started again */
  restarts(): number
  kill(signal: NodeJS.Signals): void
  stop(): Promise<void>
}

const ROOT = join(import.meta.dir, '../..')
/** a partition may be this much of the whole plant's rate behind and still count as flowing */
const NEARLY_CAUGHT_UP_S = 1

export interface PlantOptions {
  rate: number
  /** the tree whose programs run; this one unless told */
  root?: string
  /** loaded before the producer */
  preload?: string[]
  /** further environment, such as where the stores of the sinks are */
  env?: Record<string, string>
  /** of the producer and the three consumers */
  metricsPorts?: number[]
  /** of the topic of readings */
  topicConfig?: Record<string, string>
}

export async function startPlant(options: PlantOptions): Promise<Plant> {
  const dir = mkdtempSync(join(tmpdir(), 'plant-'))
  const [{ brokers }, { url }, sensorTopic, alertTopic] = await Promise.all([
    kafka(),
    database(),
    freshTopic(3, { 'message.timestamp.type': 'LogAppendTime', ...options.topicConfig }),
    freshTopic(2),
  ])
  const env = {
    ...process.env,
    KAFKA_BROKERS: brokers.join(','),
    DATABASE_URL: url,
    SENSOR_TOPIC: sensorTopic,
    ALERT_TOPIC: alertTopic,
    CONSUMER_GROUP: `group-${sensorTopic}`,
    STATE_DIR: dir,
    SPOOL_DIR: join(dir, 'spool'),
    LOG_LEVEL: 'INFO',
    ...options.env,
  }
  mkdirSync(join(dir, 'logs'), { recursive: true })
  const config = parseConfig(env)
  const sql = connect(url, { name: 'test', max: 2 })
  const view = clusterView(kafkaClients({ brokers, clientId: 'test' }))
  await waitForCoordinator(view, config.CONSUMER_GROUP, 60_000, new AbortController().signal)
  await view.close()
  const root = options.root ?? ROOT
  const taps = (options.preload ?? []).flatMap((file) => ['--preload', file])
  const measured = (n: number) => {
    const port = options.metricsPorts?.[n]
    return port === undefined ? env : { ...env, METRICS_PORT: String(port) }
  }
  const producer = supervise(
    'plant',
    [...taps, 'producer.ts', '--rate', String(options.rate)],
    measured(0),
    dir,
    root,
  )
  const consumers = [1, 2, 3].map((n) =>
    supervise(`consumer-${n}`, ['consumer.ts'], { ...measured(n), CONSUMER_ID: `consumer-${n}` }, dir, root),
  )
  const plant: Plant = {
    config,
    env,
    sql,
    producer,
    consumers,
    logs: join(dir, 'logs'),
    untilFlowing: (boundMs) => untilFlowing({ sql, config }, boundMs, options.rate, dir),
    verify: () => verify(config, 60_000, () => {}),
    async stop() {
      await producer.stop()
      await Promise.all(consumers.map((c) => c.stop()))
      await closeSql(sql)
      if (!process.env.KEEP_PLANT) rmSync(dir, { recursive: true, force: true })
    },
  }
  return plant
}

export function supervise(
  name: string,
  argv: string[],
  env: Record<string, string | undefined>,
  dir: string,
  root = ROOT,
): Supervised {
  let stopping = false
  let restarts = 0
  const log = openSync(join(dir, 'logs', `${name}.log`), 'a')
  const start = () =>
    Bun.spawn(['bun', 'run', ...argv], { cwd: root, env, stdin: 'ignore', stdout: log, stderr: log })
  let child = start()
  const watched = (async () => {
    for (;;) {
      await child.exited
      if (stopping) return
      await sleep(200)
      if (stopping) return
      restarts++
      child = start()
    }
  })()
  return {
    name,
    pid: () => child.pid,
    restarts: () => restarts,
    kill: (signal) => child.kill(signal),
    async stop() {
      stopping = true
      child.kill('SIGCONT')
      child.kill('SIGTERM')
      const patience = setTimeout(() => child.kill('SIGKILL'), 20_000)
      await watched
      clearTimeout(patience)
    },
  }
}

/** next_offset and the end of the log, by partition. */
async function progressOf(plant: Pick<Plant, 'sql' | 'config'>): Promise<{ next: number; end: number }[]> {
  const view = clusterView(kafkaClients({ brokers: plant.config.KAFKA_BROKERS, clientId: 'test' }))
  try {
    const ends = await view.offsets(plant.config.SENSOR_TOPIC)
    const rows = await plant.sql<{ partition: number; next_offset: number }[]>`
      select partition, next_offset from partition_progress`
    return ends.map((e) => ({
      next: rows.find((r) => r.partition === e.partition)?.next_offset ?? 0,
      end: e.high,
    }))
  } finally {
    await view.close()
  }
}

async function untilFlowing(
  plant: Pick<Plant, 'sql' | 'config'>,
  boundMs: number,
  rate: number,
  dir: string,
): Promise<number> {
  const started = performance.now()
  let before: { next: number; end: number }[] | null = null
  let now: { next: number; end: number }[] = []
  for (;;) {
    now = await progressOf(plant).catch(() => [])
    before ??= now.length > 0 ? now : null
    const flowing =
      before !== null &&
      now.length === 3 &&
      now.every((p, i) => p.next > (before?.[i]?.next ?? 0) && p.end - p.next < rate * NEARLY_CAUGHT_UP_S)
    if (flowing) return performance.now() - started
    if (performance.now() - started > boundMs) {
      throw new Error(
        `Not flowing after ${boundMs} ms: was ${JSON.stringify(before)}, is ${JSON.stringify(now)}; logs in ${dir}/logs`,
      )
    }
    await sleep(200)
  }
}
