import packageJson from './package.json'
import { bookOfFile, createBooks } from './lib/alarm/books.ts'
import { parseBook } from './lib/alarm/rulebook.ts'
import { createRules } from './lib/alarm/rules.ts'
import { parseConfig } from './lib/config.ts'
import { learnRoles } from './lib/db/connect.ts'
import { clusterOf, clusterView, kafkaClients } from './lib/kafka/client.ts'
import { log } from './lib/log.ts'
import { createApp } from './lib/monitor/app.ts'
import { openDatabase } from './lib/monitor/database.ts'
import { limitsInForce, sourceTopics } from './lib/monitor/plan.ts'
import { createMetrics } from './lib/monitor/metrics.ts'
import { createLedger } from './lib/monitor/incident/ledger.ts'
import { createRecorder } from './lib/monitor/incident/recorder.ts'
import { keepRollups } from './lib/monitor/rollups.ts'
import { guardOf, serve } from './lib/monitor/serve.ts'
import { createSampler } from './lib/monitor/sampler.ts'
import { createStreams } from './lib/monitor/stream.ts'
import { flagsOf, run } from './lib/run.ts'
import { topicPlan } from './lib/topics.ts'

const HELP = `bun run monitor.ts: the control room, as pages and as JSON.
MONITORING_HOST and MONITORING_PORT say where (default http://127.0.0.1:5000); .env.example has the rest.
exit 0 stopped · 1 fault · 2 usage · 78 configuration`

/** Minutes are kept so long; hours and days stay. */
const ROLLUP_DAYS = 400

flagsOf(HELP, {})

await run('monitor', async (signal) => {
  const config = parseConfig()
  log.configure({ level: config.LOG_LEVEL, service: 'monitor', file: config.LOG_FILE ?? null })
  await learnRoles(config.DATABASE_URL)
  const database = openDatabase(config.DATABASE_URL)
  const books = createBooks({
    get sql() {
      return database.sql()
    },
  })
  // until the first consumer has made a version, what the file says
  const fileBook = bookOfFile(config)
  const ofFile = createRules(0, parseBook(fileBook, config.RULES_FILE))
  const rules = () => (books.latest().version === 0 ? ofFile : books.latest())
  const cluster = clusterView(kafkaClients({ ...clusterOf(config), clientId: 'monitor' }))
  const streams = createStreams({
    maxStreams: config.MONITORING_STREAMS,
    maxPerClient: config.MONITORING_STREAMS_PER_CLIENT,
  })
  const lineTargets = { cycleMs: config.SODA_CYCLE, goodFrom: config.SODA_GOOD_FROM }
  const sampler = createSampler({
    database,
    cluster,
    sourceTopics: sourceTopics(config),
    allTopics: topicPlan(config).map((t) => t.topic),
    consumerGroup: config.CONSUMER_GROUP,
    limitsOf: limitsInForce(rules),
    lineTargets,
    sinkPatienceMs: 60_000 + config.S3_OBJECT_INTERVAL,
    isWatched: () => streams.count() > 0,
  })
  const recorder = createRecorder(database.sql, createLedger(config.SPOOL_DIR))
  sampler.onSnapshot(recorder.observe)
  sampler.onSnapshot(() => streams.tick())
  const metrics = createMetrics({
    current: sampler.peek,
    viewers: streams.count,
    consumerGroup: config.CONSUMER_GROUP,
    version: packageJson.version,
  })
  const app = createApp({
    current: sampler.current,
    sql: database.sql,
    streams,
    metrics,
    lineTargets,
    bookOfFile: fileBook,
    alertTopic: config.ALERT_TOPIC,
    version: packageJson.version,
    onChange: sampler.hurry,
    ...guardOf(config),
    recentIncidents: recorder.recent,
    checkAnswers: process.env.NODE_ENV !== 'production',
  })
  await sampler.sampleOnce()
  const server = serve(app.fetch, config)
  log.info('monitor.listening', { url: `http://${config.MONITORING_HOST}:${config.MONITORING_PORT}` })

  await Promise.all([
    sampler.run(signal),
    keepRollups(config.DATABASE_URL, ROLLUP_DAYS, signal),
    books.follow(signal),
  ])

  streams.close()
  await server.stop(true)
  await cluster.close()
  await database.close()
})
