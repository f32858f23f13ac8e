import { parseConfig } from './lib/config.ts'
import { learnRoles } from './lib/db/connect.ts'
import { runConsumer } from './lib/ingest/consumer.ts'
import { clusterOf, kafkaClients } from './lib/kafka/client.ts'
import { log } from './lib/log.ts'
import { metrics } from './lib/metrics.ts'
import { EXIT, flagsOf, run } from './lib/run.ts'
import { coldStorageOf, elasticsearchOf, isSink, SINKS } from './lib/sink/open.ts'
import { runSink } from './lib/sink/sink.ts'

const HELP = `bun run consumer.ts: takes readings from Kafka, judges them and stores each exactly once in PostgreSQL.

  CONSUMER_ID=consumer-2 bun run consumer.ts   one more member of the group
  --sink postgres|elasticsearch|s3             where to (default postgres); the others copy the same readings, each in a
                                               group of its own, with its own position
  --help                                       this text

Everything else comes from the environment (.env.example). exit 0 stopped · 1 failed, start it again · 2 usage
78 configuration`

const { sink } = flagsOf(HELP, { sink: { type: 'string', default: 'postgres' } })
if (sink !== 'postgres' && !isSink(sink)) {
  console.error(`Cannot consume: --sink must be postgres, ${SINKS.join(' or ')}: got "${sink}"`)
  process.exit(EXIT.usage)
}

await run('consumer', async (signal) => {
  const config = parseConfig()
  log.configure({
    level: config.LOG_LEVEL,
    service: 'consumer',
    file: config.LOG_FILE ?? null,
    fields: { 'consumer.id': config.CONSUMER_ID },
  })
  metrics.serve(config.METRICS_HOST, config.METRICS_PORT)
  await learnRoles(config.DATABASE_URL)
  const clients = kafkaClients({
    ...clusterOf(config),
    brokers: shuffled(config.KAFKA_BROKERS),
    clientId: config.CONSUMER_ID,
  })
  if (sink === 'elasticsearch') await runSink(config, clients, elasticsearchOf(config), signal)
  else if (sink === 's3') await runSink(config, clients, coldStorageOf(config), signal)
  else await runConsumer(config, clients, signal)
})

/** A fresh process must not meet the same frozen broker first again. */
function shuffled(brokers: string[]): string[] {
  const from = Math.floor(Math.random() * brokers.length)
  return [...brokers.slice(from), ...brokers.slice(0, from)]
}
