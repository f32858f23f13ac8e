import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { CompressionCodecs, CompressionTypes } from 'kafkajs'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { kafkaClients } from '../../lib/kafka/client.ts'
import { openConsumer, until, type Door } from '../door.ts'
import { STACK_MS } from '../stack.ts'
import { foreignReading, foreignTopic } from './foreign.ts'

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
  const ground = await foreignTopic()
  topic = ground.topic
  sql = connect(ground.url, { name: 'test', max: 1 })
  const producer = kafkaClients({ brokers: ground.brokers, clientId: 'foreign' })
    .current()
    .producer({ idempotent: false })
  await producer.connect()
  for (const [name, compression] of Object.entries(CODECS)) {
    const messages = [1, 2, 3].map((n) => ({ partition: 0, key: name, value: foreignReading(name, n) }))
    await producer.send({ topic, acks: -1, compression, messages })
  }
  await producer.disconnect()
  consumer = await openConsumer(ground.env, 1)
})
afterAll(async () => {
  await consumer?.stop()
  if (sql) await closeSql(sql)
})

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
