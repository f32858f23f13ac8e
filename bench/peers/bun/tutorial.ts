import { Kafka, logLevel } from 'kafkajs'
import postgres from 'postgres'

/** As every tutorial shows it: eachMessage, JSON.parse, one INSERT a message, offsets committed by the library on a timer. */
const { KAFKA_BROKERS = '', GROUP = '', TOPIC = '', DATABASE_URL = '', READINGS = '0' } = process.env
const sql = postgres(DATABASE_URL, { max: 1 })
const kafka = new Kafka({ brokers: KAFKA_BROKERS.split(','), logLevel: logLevel.ERROR })
const consumer = kafka.consumer({ groupId: GROUP })
const done = Promise.withResolvers<void>()
let taken = 0
await consumer.connect()
await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
await consumer.run({
  async eachMessage({ partition, message }) {
    const r = JSON.parse(String(message.value))
    await sql`insert into peer_readings values (${r.sensor_id}, ${r.sensor_type}, ${r.timestamp}, ${r.value},
      ${r.alert_level}, ${partition}, ${message.offset})`
    if (++taken === Number(READINGS)) done.resolve()
  },
})
await done.promise
await consumer.disconnect()
await sql.end()
