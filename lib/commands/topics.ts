import { parseArgs } from 'node:util'
import { parseConfig, type Config } from '../config.ts'
import { ask, closeSql, connect, learnRoles } from '../db/connect.ts'
import { acceptNewLog } from '../ingest/accept.ts'
import { grant, grantsOf } from '../kafka/acls.ts'
import { clusterOf, clusterView, type ClusterView, kafkaClients } from '../kafka/client.ts'
import {
  createMissing,
  verifyTopics,
  waitForBrokers,
  waitForCoordinator,
  type TopicReport,
} from '../kafka/topics.ts'
import { log } from '../log.ts'
import { EXIT, run, Stop } from '../run.ts'
import { acceptInSinks } from '../sink/accept.ts'
import { topicPlan } from '../topics.ts'

const HELP = `bun run topics: makes the topics that are missing and compares all with the plan.

  --list             only compares, makes nothing
  --accept-new-log TOPIC   the topic was re-created, or the cluster is another one: storing goes on at the start of
                     the log that is there now, in PostgreSQL and in every sink (they stand still until this is said)
  --grant            gives the users producer, consumer and monitor the least rights that they need, and nothing else
  --json             the report as JSON
  --wait SECONDS     how long to wait for the brokers (default 60)
  --help             this text

exit 0 as planned · 1 a topic differs from the plan · 2 usage · 69 Kafka is not there · 78 configuration`

await run('topics', async (signal) => {
  const flags = parse()
  if (flags.help) {
    console.log(HELP)
    return EXIT.ok
  }
  const config = parseConfig()
  log.configure({ level: config.LOG_LEVEL, service: 'topics', file: config.LOG_FILE ?? null })
  const plan = topicPlan(config)
  const replication = config.TOPIC_REPLICATION
  const view = clusterView(kafkaClients({ ...clusterOf(config), clientId: 'topics' }))
  try {
    const clusterId = await waitForBrokers(view, replication, flags.waitMs, signal)
    if (flags['accept-new-log']) return await accept(config, view, clusterId, flags['accept-new-log'])
    if (flags.grant) {
      const grants = grantsOf(config)
      await grant(view, grants)
      console.log(`${grants.length} rights granted`)
      return EXIT.ok
    }
    const created = flags.list ? new Set<string>() : await createMissing(view, plan, replication)
    if (!flags.list) await waitForCoordinator(view, config.CONSUMER_GROUP, flags.waitMs, signal)
    // A broker that has not heard of a new topic yet does not list it.
    const existing = [...created, ...(await view.ask('list the topics', (a) => a.listTopics()))]
    const missing = plan.filter((t) => !existing.includes(t.topic)).map((t) => t.topic)
    const found = plan.filter((t) => existing.includes(t.topic))
    const reports = found.length > 0 ? await verifyTopics(view, found, replication, created) : []
    if (flags.json) console.log(JSON.stringify({ cluster_id: clusterId, topics: reports, missing }, null, 2))
    else print(reports, missing)
    const faults = [
      ...missing.map((topic) => `${topic}: it does not exist`),
      ...reports.flatMap((r) => r.faults.map((fault) => `${r.topic}: ${fault}`)),
    ]
    if (faults.length === 0) return EXIT.ok
    for (const fault of faults) log.error('topic.differs', { fault })
    if (!flags.list) await record(config, faults)
    return EXIT.fault
  } finally {
    await view.close()
  }
})

function parse() {
  try {
    const { values } = parseArgs({
      options: {
        list: { type: 'boolean' },
        'accept-new-log': { type: 'string' },
        grant: { type: 'boolean' },
        json: { type: 'boolean' },
        wait: { type: 'string', default: '60' },
        help: { type: 'boolean' },
      },
    })
    const seconds = Number(values.wait)
    if (!(seconds >= 0)) throw new Error(`--wait must be a number of seconds: got "${values.wait}"`)
    return { ...values, waitMs: seconds * 1000 }
  } catch (error) {
    throw new Stop(`Cannot check the topics: ${(error as Error).message}: --help shows the way`, EXIT.usage)
  }
}

async function accept(config: Config, view: ClusterView, clusterId: string, topic: string): Promise<number> {
  await learnRoles(config.DATABASE_URL)
  const sql = connect(config.DATABASE_URL, { name: 'topics', max: 1 })
  try {
    const ranges = await view.offsets(topic)
    const lines = await ask(
      'accept the new log',
      sql.begin(async (tx) => [
        ...(await acceptNewLog(tx, clusterId, topic, ranges)),
        ...(await acceptInSinks(tx, clusterId, topic, ranges)),
      ]),
    )
    for (const line of lines) console.log(line)
    if (lines.length === 0)
      log.error('log.not_accepted', { topic, seen: 'nothing of this topic was ever stored' })
    return lines.length > 0 ? EXIT.ok : EXIT.fault
  } finally {
    await closeSql(sql)
  }
}

function print(reports: readonly TopicReport[], missing: readonly string[]): void {
  for (const r of reports) {
    const behind =
      r.underReplicated.length > 0 ? ` · copies behind in partition ${r.underReplicated.join(', ')}` : ''
    const verdict =
      r.faults.length > 0 ? `DIFFERS: ${r.faults.join('; ')}` : r.created ? 'made' : 'as planned'
    const counts = `${r.partitions} partitions × ${r.replication} copies, min ISR ${r.minInSyncReplicas}`
    console.log(`${r.topic.padEnd(22)} ${counts}${behind} · ${verdict}`)
    for (const note of r.notes) console.log(`${''.padEnd(22)} note: ${note}`)
  }
  for (const topic of missing) console.log(`${topic.padEnd(22)} MISSING`)
}

/** On the page, too, where the database can be reached; the exit code says it in any case. */
async function record(config: Config, faults: readonly string[]): Promise<void> {
  const sql = connect(config.DATABASE_URL, { name: 'topics', role: 'producer', max: 1 })
  try {
    for (const fault of faults) {
      await ask(
        'record the fault',
        sql`insert into system_events (source, event, severity, message) values ('topics', 'topic_differs', 'error', ${fault})`,
        5000,
      )
    }
  } catch (error) {
    log.warn('topic.fault_not_recorded', { error })
  } finally {
    await closeSql(sql)
  }
}
