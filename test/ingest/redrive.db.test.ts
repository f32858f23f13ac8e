import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createDatabase, type Database } from '../../lib/db/connect.ts'
import { deadLetters, newestLetter, type DeadLetter } from '../../lib/ingest/dead-letters.ts'
import { decodeFactory } from '../../lib/ingest/decode.ts'
import { createAdmittance, isRefused, redrive, type RedriveOptions } from '../../lib/ingest/redrive.ts'
import { kafkaClients } from '../../lib/kafka/client.ts'
import type { Outgoing } from '../../lib/kafka/publish.ts'
import { database, STACK_MS } from '../stack.ts'

setDefaultTimeout(STACK_MS)

/** Letters in a real database; the broker's answers are scripted, because a real one gives the rare ones by accident. */
const TOPIC = 'sensor-data'
let db: Database
let sent: { message: Outgoing; wasMarked: boolean }[]
let answer: () => void

beforeEach(async () => {
  db = createDatabase((await database()).url, { name: 'test', max: 2 })
  sent = []
  answer = () => {}
})
afterEach(() => db.close())

interface Given {
  sensor?: string
  headers?: Record<string, unknown>
  runId?: string
  seq?: number
  redriven?: boolean
}

async function letterOf({
  sensor = 'temp-1',
  headers = {},
  runId,
  seq,
  redriven,
}: Given): Promise<DeadLetter> {
  const value = JSON.stringify({
    timestamp: '2026-01-01T00:00:00.000000Z',
    sensor_id: sensor,
    sensor_type: 'temperature',
    location: { factory_section: 'production', machine_id: 'machine-001', zone: 'zone-a' },
    value: 21.5,
    unit: '°C',
  })
  await db.sql`
    insert into dead_letters (cluster_id, topic, partition, "offset", reason, message, key, value, value_bytes, headers,
      sensor_id, run_id, seq, detected_by, redriven_at)
    select 'test', ${TOPIC}, 0, coalesce(max("offset"), -1) + 1, 'sensor_limit', 'one too many', ${Buffer.from(sensor)},
      ${Buffer.from(value)}, ${Buffer.byteLength(value)}, ${JSON.stringify(headers)}::text::jsonb, ${sensor}, ${runId ?? null},
      ${seq ?? null}, 'consumer-1', ${redriven ? new Date() : null} from dead_letters`
  return read(await newestLetter(db.sql))
}

async function read(id: number): Promise<DeadLetter> {
  const [letter] = await deadLetters(db.sql, { ids: [id] }, { afterId: 0, untilId: id, limit: 1 })
  return letter!
}

async function send(letter: DeadLetter, change: Partial<RedriveOptions> = {}) {
  const options: RedriveOptions = {
    sql: db.sql,
    clients: kafkaClients({ brokers: ['127.0.0.1:1'], clientId: 'never asked' }),
    publisher: {
      async publish(_topic, messages) {
        const wasMarked = (await read(letter.id)).redrivenAt !== null
        for (const message of messages) sent.push({ message, wasMarked })
        answer()
      },
      close: async () => {},
    },
    decoders: new Map([[TOPIC, decodeFactory]]),
    admit: async () => null,
    correct: null,
    dryRun: false,
    inLog: null,
    ...change,
  }
  return redrive(options, letter)
}

const isMarked = async ({ id }: DeadLetter) => (await read(id)).redrivenAt !== null
const OWN = { headers: { 'run-id': 'run-1', seq: '7' }, runId: 'run-1', seq: 7 }

describe('redrive()', () => {
  test('a message with a number is marked when Kafka has it, so that a death before costs nothing', async () => {
    const letter = await letterOf(OWN)
    answer = () => {
      throw new Error('the process may as well have died')
    }
    await expect(send(letter)).rejects.toThrow()
    expect(await isMarked(letter)).toBe(false)
    answer = () => {}
    expect((await send(letter)).outcome).toBe('sent')
    expect(sent.map((s) => s.wasMarked)).toEqual([false, false])
    expect(await isMarked(letter)).toBe(true)
  })

  test.each<[string, Record<string, string>]>([
    ['none', {}],
    ['headers that are no number', { 'run-id': 'job 42', seq: '0' }],
    ['a run alone', { 'run-id': 'run-1' }],
  ])('a message without a number (%s) is marked before it is sent', async (_what, headers) => {
    const letter = await letterOf({ headers })
    expect((await send(letter)).outcome).toBe('sent')
    expect(sent[0]?.wasMarked).toBe(true)
    expect(sent[0]?.message.headers).toMatchObject(headers)
    const marked = await read(letter.id)
    expect((await send(marked)).outcome).toBe('already sent')
    expect((await send(marked, { inLog: new Set([letter.id]) })).outcome).toBe('already sent')
    expect(sent).toHaveLength(1)
    expect((await send(marked, { inLog: new Set() })).outcome).toBe('sent')
  })

  test('headers give no number to a message that came without one', async () => {
    await send(await letterOf({ headers: { 'run-id': 'run-2', seq: '1', other: 'x' } }))
    expect(sent[0]?.message.headers).toEqual({ other: 'x', 'dead-letter-id': expect.any(String) })
  })

  test('its other headers go with it as they were read', async () => {
    await send(await letterOf({ headers: { ...OWN.headers, trace: { base64: '/wA=' }, tag: ['a', 'b'] } }))
    expect(sent[0]?.message.headers).toMatchObject({ trace: Buffer.from([0xff, 0]), tag: ['a', 'b'] })
  })

  test('its number comes from its row', async () => {
    await send(await letterOf({ runId: 'run-1', seq: 7 }))
    expect(sent[0]?.message.headers).toMatchObject({ 'run-id': 'run-1', seq: '7' })
  })

  test('once sent corrected, without its number, its own is not sent as well', async () => {
    const letter = await letterOf(OWN)
    const correct = (value: Buffer | null) => Buffer.from(String(value).replace('21.5', '3'))
    expect((await send(letter, { correct })).outcome).toBe('sent')
    expect(sent[0]).toMatchObject({ wasMarked: true })
    expect(Object.keys(sent[0]!.message.headers)).toEqual(['dead-letter-id'])
    const again = await send(await read(letter.id), { inLog: new Set([letter.id]) })
    expect(again).toEqual({ outcome: 'already sent', why: 'the log has it' })
  })

  test('only a refusal takes the mark off a message without a number', async () => {
    const lost = await letterOf({})
    answer = () => {
      throw failed('NOT_ENOUGH_REPLICAS_AFTER_APPEND')
    }
    await expect(send(lost)).rejects.toThrow()
    expect(await isMarked(lost)).toBe(true)
    const refused = await letterOf({})
    answer = () => {
      throw failed('NOT_ENOUGH_REPLICAS')
    }
    await expect(send(refused)).rejects.toThrow()
    expect(await isMarked(refused)).toBe(false)
  })
})

/** As kafkajs tells of an answer that one might ask for again. */
function failed(type: string): Error {
  const cause = Object.assign(new Error(type), { name: 'KafkaJSProtocolError', type })
  return Object.assign(new Error('out of retries', { cause }), { name: 'KafkaJSNumberOfRetriesExceeded' })
}

test.each<[string, boolean]>([
  ['MESSAGE_TOO_LARGE', true],
  ['NOT_ENOUGH_REPLICAS', true],
  ['UNKNOWN_TOPIC_OR_PARTITION', true],
  ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', false],
  ['REQUEST_TIMED_OUT', false], // the copies did not answer in time: it is appended
  ['NOT_LEADER_FOR_PARTITION', false], // also said of what was appended before the leader changed
])('isRefused() of %s is %p', (type, expected) => {
  expect(isRefused(failed(type))).toBe(expected)
})

test('isRefused() of what is no answer of a broker is false', () => {
  expect(isRefused(new Error('Connection timeout'))).toBe(false)
})

describe('createAdmittance()', () => {
  test('what the consumers could not register would be a dead letter once more', async () => {
    await db.sql`insert into sensors (sensor_id, sensor_type, unit, factory_section, machine_id, zone)
      values ('temp-1', 'temperature', '°C', 'production', 'machine-001', 'zone-a')`
    const admit = await createAdmittance(db, 2)
    const outcomes = []
    for (const sensor of ['temp-1', 'temp-2', 'temp-3', 'temp-2'])
      outcomes.push(await send(await letterOf({ sensor }), { admit, dryRun: true }))
    expect(outcomes.map((o) => o.outcome)).toEqual([
      'would be sent',
      'would be sent',
      'still broken',
      'would be sent',
    ])
    expect(outcomes[2]?.why).toContain('raise MAX_SENSORS')
  })
})
