import { parseArgs } from 'node:util'
import { parseConfig } from './lib/config.ts'
import { learnRoles } from './lib/db/connect.ts'
import { runConsumer } from './lib/ingest/consumer.ts'
import { clusterOf, kafkaClients } from './lib/kafka/client.ts'
import { log } from './lib/log.ts'
import { metrics } from './lib/metrics.ts'
import { EXIT, run } from './lib/run.ts'

const HELP = `bun run consumer.ts: takes readings from Kafka, judges them and stores each exactly once in PostgreSQL.

  CONSUMER_ID=consumer-2 bun run consumer.ts   one more member of the group
  --help                                       this text

Everything else comes from the environment (.env.example). exit 0 stopped · 1 failed, start it again · 78 configuration`

const { values } = parseArgs({ options: { help: { type: 'boolean' } } })
if (values.help) {
  console.log(HELP)
  process.exit(EXIT.ok)
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
  await runConsumer(config, clients, signal)
})

/** A fresh process must not meet the same frozen broker first again. */
function shuffled(brokers: string[]): string[] {
  const from = Math.floor(Math.random() * brokers.length)
  return [...brokers.slice(from), ...brokers.slice(0, from)]
}
