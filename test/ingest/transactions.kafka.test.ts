import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import type { Producer } from 'kafkajs'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { kafkaClients } from '../../lib/kafka/client.ts'
import { readLogRange } from '../../lib/kafka/log.ts'
import { openConsumer, until, type Door } from '../door.ts'
import { STACK_MS } from '../stack.ts'
import { foreignReading, foreignTopic } from './foreign.ts'

setDefaultTimeout(2 * STACK_MS)

/**
 * Producers that are not ours may send in transactions. Where one ends the log has a marker, which nobody is given to read,
 * and nobody is given what was taken back: the offsets have to be gone past all the same, and stored as gone past.
 */
let sql: Sql
let brokers: string[]
let env: Record<string, string>
let topic: string
let consumer: Door
let producer: Producer

beforeAll(async () => {
  const ground = await foreignTopic()
  ;({ brokers, topic, env } = ground)
  sql = connect(ground.url, { name: 'test', max: 1 })
  producer = kafkaClients({ brokers, clientId: 'foreign' })
    .current()
    .producer({ idempotent: true, maxInFlightRequests: 1, transactionalId: topic })
  await producer.connect()
  consumer = await openConsumer(env, 1)
})
afterAll(async () => {
  await consumer?.stop()
  await producer?.disconnect()
  if (sql) await closeSql(sql)
})

/** `count` readings in one transaction; resolves when the log has its end, too. */
async function transaction(
  end: 'commit' | 'abort',
  from: number,
  count: number,
  padding = '',
): Promise<void> {
  const transaction = await producer.transaction()
  const messages = Array.from({ length: count }, (_, i) => ({
    partition: 0,
    key: 'temp-1',
    value: foreignReading('temp-1', from + i, { padding }),
  }))
  await transaction.send({ topic, acks: -1, messages })
  await transaction[end]()
}

const storedUpTo = async () => {
  const rows = await sql<{ next: number; epoch: number }[]>`
    select next_offset as next, epoch from partition_progress where topic = ${topic}`
  return rows[0] ?? { next: 0, epoch: 0 }
}
const values = async () => {
  const rows = await sql<{ value: number }[]>`select value from sensor_readings order by "offset"`
  return rows.map((row) => row.value)
}

test('the end of a transaction is gone past, and the next one is read without a new claim', async () => {
  for (const from of [1, 4, 7]) await transaction('commit', from, 3)
  await until('three transactions and their ends', async () => (await storedUpTo()).next === 12)
  expect(await values()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect((await storedUpTo()).epoch).toBe(1)
})

test('what was taken back is gone past, be it more than one fetch brings, and none of it is stored', async () => {
  await transaction('abort', 100, 3)
  await until('a small transaction and its end', async () => (await storedUpTo()).next === 16)
  for (let i = 0; i < 4; i++) await transaction('abort', 200, 400, 'x'.repeat(900)) // 1.6 MB, a fetch brings 256 KiB
  await transaction('commit', 10, 3)
  await until(
    'the transaction after it and its end',
    async () => (await storedUpTo()).next === 16 + 4 * 401 + 4,
  )
  expect(await values()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
  expect((await storedUpTo()).epoch).toBe(1)
  const log = await consumer.log()
  expect(log.filter((line) => line['event.action'] === 'partition.skipped')).toEqual([])
})

test('a process that begins where something was taken back goes past it', async () => {
  const { next } = await storedUpTo()
  await consumer.stop()
  await transaction('abort', 300, 400, 'x'.repeat(900))
  consumer = await openConsumer(env, 1)
  await until('its end', async () => (await storedUpTo()).next === next + 401)
  await transaction('commit', 13, 1)
  await until('the transaction after it and its end', async () => (await storedUpTo()).next === next + 403)
  expect((await values()).at(-1)).toBe(13)
  expect((await storedUpTo()).epoch).toBe(2)
})

test('what reads a range of the log knows its end where that is the end of a transaction', async () => {
  await transaction('abort', 500, 400, 'x'.repeat(900))
  const { next } = await storedUpTo()
  await until('its end', async () => (await storedUpTo()).next > next)
  const read: number[] = []
  const began = performance.now()
  await readLogRange(kafkaClients({ brokers, clientId: 'test' }), topic, 0, 0, next + 401, ({ value }) => {
    read.push(JSON.parse(String(value)).value)
  })
  expect(read).toEqual(await values())
  expect(performance.now() - began).toBeLessThan(15_000) // it would wait as long for more
})
