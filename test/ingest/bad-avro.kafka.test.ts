import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Case } from '../../chaos/catalogue.ts'
import { deviceCatalogue, deviceMessage, registerSchemas } from '../../chaos/poison/avro.ts'
import { endName, publishCatalogue, type Published } from '../../chaos/poison/publish.ts'
import { parseConfig } from '../../lib/config.ts'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { DEVICE_TOPIC } from '../../lib/device.ts'
import { flagNames } from '../../lib/ingest/flags.ts'
import { clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { createMissing } from '../../lib/kafka/topics.ts'
import { topicPlan } from '../../lib/topics.ts'
import { openConsumer, until, type Door } from '../door.ts'
import { database, kafka, registry, STACK_MS } from '../stack.ts'

setDefaultTimeout(STACK_MS)

/**
 * Broken Avro through a real consumer with a real registry: each case between two good messages, each with its own end.
 */
const RUN = `avro-${crypto.randomUUID().slice(0, 8)}`
// The schemas' numbers are known only when the registry runs; names and ends of the cases are the same with any.
const named = deviceCatalogue(Date.now(), RUN, { ours: 1, newer: 2, other: 3 })
const PARTITIONS = 6

let cases: Case[] = []
let published: Published
let sql: Sql
let consumer: Door
let stored: { partition: number; offset: number; flags: number; sensor_id: string; value: number }[]
let letters: {
  partition: number
  offset: number
  reason: string
  message: string
  value: Uint8Array | null
}[]

beforeAll(async () => {
  const [{ brokers }, { url }, schemas] = await Promise.all([kafka(), database(), registry()])
  const env = {
    FLEET: 'iot',
    KAFKA_BROKERS: brokers.join(','),
    DATABASE_URL: url,
    SCHEMA_REGISTRY_URL: schemas.url,
    CONSUMER_GROUP: RUN,
    MAX_SENSORS: '10000',
  }
  const clients = kafkaClients({ brokers, clientId: 'test' })
  const view = clusterView(clients)
  await createMissing(view, topicPlan(parseConfig(env)), 3)
  sql = connect(url, { name: 'test', max: 1 })
  consumer = await openConsumer(env, PARTITIONS)
  const numbers = await registerSchemas(schemas.url)
  cases = deviceCatalogue(Date.now(), RUN, numbers)
  const producer = clients.current().producer({ idempotent: false })
  await producer.connect()
  const to = {
    topic: DEVICE_TOPIC,
    partitions: PARTITIONS,
    goodSensor: (partition: number) => `${RUN}.good-${partition}`,
    goodRun: RUN,
    goodValue: (device: string) => deviceMessage(device, Date.now(), numbers.ours),
  }
  published = await publishCatalogue(producer, to, cases)
  await producer.disconnect()
  const ends = await view.offsets(DEVICE_TOPIC)
  await view.close()
  await until(
    'the consumer to store everything',
    async () => {
      const rows = await sql<{ partition: number; next_offset: number }[]>`
        select partition, next_offset from partition_progress where topic = ${DEVICE_TOPIC}`
      const next = new Map(rows.map((row) => [row.partition, row.next_offset]))
      return ends.every((end) => (next.get(end.partition) ?? -1) >= end.high)
    },
    STACK_MS,
  )
  stored = await sql`
    select r.partition, r."offset", r.flags, s.sensor_id, r.value from readings r join sensors s using (sensor_key)
    order by s.sensor_type desc`
  letters = await sql`select partition, "offset", reason, message, value from dead_letters`
}, 2 * STACK_MS)

afterAll(async () => {
  await consumer?.stop()
  if (sql) await closeSql(sql)
})

describe('each case ends as the catalogue says', () => {
  for (const [i, { id, what, expected }] of named.entries()) {
    test(`${id}. ${what} → ${endName({ expected })}`, () => {
      const place = published.places.get(id)
      const here = (row: { partition: number; offset: number }) =>
        row.partition === place?.partition && row.offset === place.offset
      const readings = stored.filter(here)
      const refused = letters.filter(here)
      if (expected.end === 'stored') {
        expect(refused).toEqual([])
        expect(readings.map((r) => flagNames(r.flags))).toEqual([[...expected.flags], [...expected.second!]])
      } else if (expected.end === 'dead_letter') {
        expect(readings).toEqual([])
        expect(refused.map((letter) => letter.reason)).toEqual([expected.reason])
        expect(refused[0]?.message).not.toBe('')
        const bytes = cases[i]!.value()
        expect(hexOf(refused[0]?.value)).toBe(hexOf(bytes && bytes.subarray(0, 65_536)))
      } else if (expected.end === 'refused') {
        expect(place?.offset).toBeNull()
      } else {
        expect({ readings, refused }).toEqual({ readings: [], refused: [] })
      }
    })
  }
})

function hexOf(bytes: Uint8Array | null | undefined): string | null {
  return bytes ? Buffer.from(bytes).toString('hex') : null
}

test('every good neighbour is stored once, as two readings without a flag', () => {
  const good = stored.filter((row) => row.sensor_id.startsWith(`${RUN}.good-`))
  expect(good).toHaveLength(2 * published.good.length)
  expect(new Set(good.map((row) => `${row.sensor_id} ${row.offset}`)).size).toBe(good.length)
  expect(good.every((row) => row.flags === 0)).toBe(true)
})

test('the consumer is the process that was started, and never paused', async () => {
  expect(consumer.exitCode()).toBeNull()
  const events = (await consumer.log()).map((line) => String(line['event.action']))
  expect(events.filter((e) => /^(partition\.(paused|fenced|waiting)|process\.)/.test(e))).toEqual([])
})
