import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { CompressionCodecs, CompressionTypes } from 'kafkajs'
import { parseConfig } from '../../lib/config.ts'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { kafkaClients } from '../../lib/kafka/client.ts'
import { topicPlan } from '../../lib/topics.ts'
import { openConsumer, until, type Door } from '../door.ts'
import { database, freshTopic, kafka, STACK_MS } from '../stack.ts'

setDefaultTimeout(2 * STACK_MS)

/**
 * Producers that are not ours compress as they like; our Kafka client knows gzip alone and gives up at the first other
 * batch. Therefore the topics keep everything uncompressed, and the broker unpacks what comes.
 */
const CODECS = { gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, zstd: CompressionTypes.ZSTD }

CompressionCodecs[CompressionTypes.Snappy] = () => ({
  compress: async (encoder: { buffer: Buffer }) => snappyLiterals(encoder.buffer),
  decompress: async (bytes: Buffer) => bytes,
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder: { buffer: Buffer }) => Bun.zstdCompressSync(encoder.buffer),
  decompress: async (bytes: Buffer) => Bun.zstdDecompressSync(bytes),
})

/** Snappy's format without any compression: the length as a varint, then literals. */
function snappyLiterals(bytes: Buffer): Buffer {
  const parts = []
  const length = []
  for (let left = bytes.length; ; left >>>= 7) {
    length.push(left > 127 ? (left & 127) | 128 : left)
    if (left <= 127) break
  }
  parts.push(Buffer.from(length))
  for (let at = 0; at < bytes.length; at += 65_536) {
    const literal = bytes.subarray(at, at + 65_536)
    const tag = Buffer.from([61 << 2, 0, 0])
    tag.writeUInt16LE(literal.length - 1, 1)
    parts.push(tag, literal)
  }
  return Buffer.concat(parts)
}

let sql: Sql
let topic: string
let consumer: Door

beforeAll(async () => {
  const { brokers } = await kafka()
  const { url } = await database()
  sql = connect(url, { name: 'test', max: 1 })
  topic = await freshTopic(1, topicPlan(parseConfig({}))[0]?.config)
  const producer = kafkaClients({ brokers, clientId: 'foreign' }).current().producer({ idempotent: false })
  await producer.connect()
  for (const [name, compression] of Object.entries(CODECS)) {
    const messages = [1, 2, 3].map((n) => ({ partition: 0, key: name, value: reading(name, n) }))
    await producer.send({ topic, acks: -1, compression, messages })
  }
  await producer.disconnect()
  const env = {
    KAFKA_BROKERS: brokers.join(','),
    DATABASE_URL: url,
    SENSOR_TOPIC: topic,
    ALERT_TOPIC: await freshTopic(1),
    CONSUMER_GROUP: topic,
  }
  consumer = await openConsumer(env, 1)
})
afterAll(async () => {
  await consumer?.stop()
  if (sql) await closeSql(sql)
})

function reading(sensor: string, value: number): string {
  return JSON.stringify({
    timestamp: new Date().toISOString(),
    sensor_id: sensor,
    sensor_type: 'temperature',
    location: { factory_section: 'production', machine_id: 'machine-001', zone: 'zone-a' },
    value,
    unit: '°C',
  })
}

describe('a batch that a foreign producer compressed', () => {
  for (const name of Object.keys(CODECS)) {
    test(`with ${name} is read`, async () => {
      const values = await until(
        `the readings of ${name}`,
        async () => {
          if (consumer.exitCode() !== null)
            throw new Error(`the consumer ended: ${JSON.stringify((await consumer.log()).at(-1))}`)
          const rows = await sql<{ value: number }[]>`
            select value from sensor_readings where sensor_id = ${name} order by "offset"`
          return rows.length > 0 && rows.map((row) => row.value)
        },
        STACK_MS / 4,
      )
      expect(values).toEqual([1, 2, 3])
    })
  }
})
