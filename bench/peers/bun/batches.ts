import { Kafka, logLevel } from 'kafkajs'
import postgres from 'postgres'

/** The same libraries as ours, as patched here, used as their makers mean them to be: eachBatch, JSON.parse, one INSERT from arrays a batch, at least once. */
const { KAFKA_BROKERS = '', GROUP = '', TOPIC = '', DATABASE_URL = '', READINGS = '0' } = process.env
const sql = postgres(DATABASE_URL, { max: 1 })
const kafka = new Kafka({ brokers: KAFKA_BROKERS.split(','), logLevel: logLevel.ERROR })
const consumer = kafka.consumer({ groupId: GROUP })
const done = Promise.withResolvers<void>()
let taken = 0
await consumer.connect()
await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
await consumer.run({
  async eachBatch({ batch, heartbeat }) {
    const all = batch.messages.map((m) => ({ ...JSON.parse(String(m.value)), offset: m.offset }))
    const column = (name: string) => all.map((r) => r[name])
    await sql`insert into peer_readings select a, b, c, d, e, ${batch.partition}, f from unnest(
      ${column('sensor_id')}::text[], ${column('sensor_type')}::text[], ${column('timestamp')}::timestamptz[],
      ${column('value')}::float8[], ${column('alert_level')}::text[], ${column('offset')}::bigint[]) as t (a, b, c, d, e, f)`
    await heartbeat()
    taken += all.length
    if (taken === Number(READINGS)) done.resolve()
  },
})
await done.promise
await consumer.disconnect()
await sql.end()
