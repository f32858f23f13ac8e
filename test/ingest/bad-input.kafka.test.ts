import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { catalogue, type Case } from '../../chaos/catalogue.ts'
import { endName, publishCatalogue, type Place } from '../../chaos/poison/publish.ts'
import { parseConfig } from '../../lib/config.ts'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { flagNames } from '../../lib/ingest/flags.ts'
import { kafkaClients } from '../../lib/kafka/client.ts'
import { topicPlan } from '../../lib/topics.ts'
import { openConsumer, until, type Door } from '../door.ts'
import { database, freshTopic, kafka, STACK_MS } from '../stack.ts'

setDefaultTimeout(STACK_MS)

/**
 * The whole catalogue through a real consumer process. Every case travels in one record batch between two good
 * readings; afterwards each has ended as it must, all good neighbours are stored once, and the process is the same.
 */

const RUN = 'poisoned'
const cases = catalogue(Date.now(), RUN)
const PARTITIONS = 3
const MAX_SENSORS = 700

let sent = new Map<number, Place>()
const goodSeq = new Map<number, number>()
let goodSent = 0
let stuck: Error | null = null
let topic = ''
let sql: Sql
let consumer: Door
let producer: ReturnType<ReturnType<ReturnType<typeof kafkaClients>['current']>['producer']>

beforeAll(async () => {
  const { brokers } = await kafka()
  const { url } = await database()
  topic = await freshTopic(PARTITIONS, topicPlan(parseConfig({}))[0]?.config)
  sql = connect(url, { name: 'test' })
  consumer = await openConsumer(
    {
      KAFKA_BROKERS: brokers.join(','),
      DATABASE_URL: url,
      SENSOR_TOPIC: topic,
      ALERT_TOPIC: await freshTopic(1),
      CONSUMER_GROUP: topic,
      MAX_SENSORS: String(MAX_SENSORS),
      LOG_LEVEL: 'DEBUG',
    },
    PARTITIONS,
  )
  producer = kafkaClients({ brokers, clientId: 'test' }).current().producer({ idempotent: false })
  await producer.connect()
  const published = await publishCatalogue(
    producer,
    { topic, partitions: PARTITIONS, goodSensor: (partition) => `good-${partition}`, goodRun: 'good' },
    cases,
  )
  sent = published.places
  goodSent = published.good.length
  for (const { partition, seq } of published.good) goodSeq.set(partition, seq)
  stuck = await allStored().then(
    () => null,
    (error: Error) => error,
  )
  await readEnds()
}, 2 * STACK_MS)

afterAll(async () => {
  await producer?.disconnect()
  await consumer?.stop()
  if (sql) await closeSql(sql)
})

async function allStored(): Promise<void> {
  const admin = kafkaClients({ brokers: (await kafka()).brokers, clientId: 'test' })
    .current()
    .admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const total = ends.reduce((sum, end) => sum + Number(end.high), 0)
  await until(
    'the consumer to store everything',
    async () => {
      const [row] = await sql<{ total: number }[]>`
        select coalesce(sum(next_offset), 0)::bigint as total from partition_progress where topic = ${topic}`
      return row?.total === total
    },
    STACK_MS,
  )
}

interface StoredRow extends Place {
  value: number
  flags: number
}
interface LetterRow extends Place {
  reason: string
  message: string
  key: Uint8Array | null
  value: Uint8Array | null
  value_bytes: number
  value_sha256: Uint8Array | null
}

const stored = new Map<string, StoredRow[]>()
const letters = new Map<string, LetterRow[]>()

async function readEnds(): Promise<void> {
  const readings = await sql<StoredRow[]>`select partition, "offset", value, flags from readings`
  for (const row of readings) stored.set(placeOf(row), [...(stored.get(placeOf(row)) ?? []), row])
  const refused = await sql<LetterRow[]>`
    select partition, "offset", reason, message, key, value, value_bytes, value_sha256 from dead_letters`
  for (const row of refused) letters.set(placeOf(row), [...(letters.get(placeOf(row)) ?? []), row])
}

function placeOf({ partition, offset }: Place): string {
  return `${partition}/${offset}`
}

function endOf(one: Case): { readings: StoredRow[]; letters: LetterRow[] } {
  const place = placeOf(sent.get(one.id)!)
  return { readings: stored.get(place) ?? [], letters: letters.get(place) ?? [] }
}

describe('each case ends as the catalogue says', () => {
  for (const one of cases) {
    test(`${one.id}. ${one.what} → ${endName(one)}`, () => {
      const { readings, letters } = endOf(one)
      const { expected } = one
      if (expected.end === 'refused') {
        expect(sent.get(one.id)?.offset).toBeNull()
      } else if (expected.end === 'stored') {
        expect(letters).toEqual([])
        expect(readings.map((r) => flagNames(r.flags))).toEqual([[...expected.flags]])
        if (expected.value !== undefined) expect(Object.is(readings[0]?.value, expected.value)).toBe(true)
      } else if (expected.end === 'dead_letter') {
        expect(readings).toEqual([])
        const value = one.value()
        expect(letters.map((l) => l.reason)).toEqual([expected.reason])
        const [letter] = letters
        expect(letter?.message).not.toBe('')
        expect(letter?.value_bytes).toBe(value?.length ?? 0)
        expect(bytesOf(letter?.value)).toEqual(value && value.subarray(0, 65_536).toString('hex'))
        expect(bytesOf(letter?.key)).toEqual(one.key && one.key.subarray(0, 65_536).toString('hex'))
        const digest = value && new Bun.CryptoHasher('sha256').update(value).digest('hex')
        expect(bytesOf(letter?.value_sha256)).toEqual(digest)
      } else {
        expect({ readings, letters }).toEqual({ readings: [], letters: [] })
      }
    })
  }
})

function isTelling(line: Record<string, unknown>): boolean {
  return line['log.level'] !== 'DEBUG'
}

function bytesOf(bytes: Uint8Array | null | undefined): string | null {
  return bytes ? Buffer.from(bytes).toString('hex') : null
}

describe('and around them', () => {
  test('nothing of it holds the consumer up', async () => {
    if (stuck) for (const line of (await consumer.log()).filter(isTelling).slice(-20)) console.error(line)
    expect(stuck).toBeNull()
  })

  test('every good neighbour is stored once, none with a flag', async () => {
    const rows = await sql<{ sensor_id: string; count: number; numbers: number; flags: number }[]>`
      select sensor_id, count(*) as count, count(distinct seq) as numbers, bit_or(flags) as flags
      from readings join sensors using (sensor_key) where sensor_id like 'good-%' group by sensor_id order by 1`
    const expected = [...goodSeq]
      .sort(([a], [b]) => a - b)
      .map(([partition, seq]) => ({ sensor_id: `good-${partition}`, count: seq, numbers: seq, flags: 0 }))
    expect([...rows]).toEqual(expected)
    expect(rows.reduce((sum, row) => sum + row.count, 0)).toBe(goodSent)
  })

  test('the counters of the partitions tell the same', async () => {
    const [counted] = await sql`
      select sum(stored)::int as stored, sum(dead_lettered)::int as dead_letter, sum(repeated)::int as repeat,
        sum(conflicting)::int as conflict, sum(unidentified)::int as unidentified, sum(missing)::int as missing,
        sum(filled)::int as filled, sum(late)::int as late
      from partition_progress where topic = ${topic}`
    const ending = (end: string) => cases.filter((c) => c.expected.end === end).length
    const flagged = (flag: string) =>
      cases.filter((c) => c.expected.end === 'stored' && c.expected.flags.includes(flag)).length
    expect(counted).toMatchObject({
      stored: ending('stored') + goodSent,
      dead_letter: ending('dead_letter'),
      repeat: ending('repeat'),
      conflict: ending('conflict'),
      unidentified: flagged('unidentified'),
      filled: flagged('filled'),
      late: flagged('late'),
      missing: 2,
    })
  })

  test('text is stored as it came, character by character', async () => {
    const places = cases.filter((c) => c.what.startsWith('as a place') && c.expected.end === 'stored')
    for (const one of places) {
      const { partition = -1, offset = null } = sent.get(one.id) ?? {}
      const [row] = await sql<{ zone: string }[]>`
        select zone from sensor_readings where topic = ${topic} and partition = ${partition} and "offset" = ${offset}`
      expect(row?.zone).toBe(JSON.parse(String(one.value())).location.zone)
    }
    expect(places.length).toBeGreaterThan(25)
  })

  test('a time far ahead is not shown as the newest reading for ever', async () => {
    const [row] = await sql<{ ahead: number }[]>`
      select count(*) as ahead from sensor_latest where measured_at > now() + interval '1 hour'
        and sensor_id like 'good-%'`
    expect(row?.ahead).toBe(0)
  })

  test('no prototype was polluted, and the tables are all there', async () => {
    const [row] = await sql`select count(*) as readings from readings`
    expect(row?.readings).toBeGreaterThan(cases.length)
    const notes = await sql<{ metadata: object }[]>`select metadata from readings where metadata ? 'polluted'`
    expect([...notes]).toEqual([])
  })

  test('the consumer is the process that was started, and says nothing but JSON lines', async () => {
    const log = await consumer.log()
    const lines = (event: string) => log.filter((line) => String(line['event.action']).startsWith(event))
    expect(consumer.exitCode()).toBeNull()
    expect(lines('batch.stored').length).toBeGreaterThan(PARTITIONS)
    for (const event of ['partition.paused', 'partition.fenced', 'partition.claim_failed', 'process.']) {
      expect(lines(event)).toEqual([])
    }
  })
})
