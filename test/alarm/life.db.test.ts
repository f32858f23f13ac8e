import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createBooks, listBooks, proposeBook, seedBook, type Books } from '../../lib/alarm/books.ts'
import type { RuleBookText } from '../../lib/alarm/rulebook.ts'
import { parseConfig } from '../../lib/config.ts'
import { closeSql, connect, createDatabase, type Database, type Sql } from '../../lib/db/connect.ts'
import { decodeFactory } from '../../lib/ingest/decode.ts'
import { acknowledgeAlarms } from '../../lib/monitor/acts/alarms.ts'
import { createKeyCache } from '../../lib/ingest/keys.ts'
import type { Message } from '../../lib/ingest/outputs.ts'
import { createWorker, type Worker } from '../../lib/ingest/worker.ts'
import { encodeFactoryMessage, type SensorType } from '../../lib/reading.ts'
import { backtest } from '../backtest.ts'
import { database, STACK_MS } from '../stack.ts'
import { readingOf } from './log.ts'

/** A worker on a real database, fed with messages by hand and with a clock of its own. */
let url: string
let sql: Sql
let db: Database
let books: Books
const workers: Worker[] = []
let nowMs = Date.UTC(2026, 8, 21, 12)

beforeAll(async () => {
  ;({ url } = await database())
  sql = connect(url, { name: 'test', max: 2 })
  db = createDatabase(url, { name: 'worker', role: 'consumer', max: 3 })
  await seedBook(sql, parseConfig({}))
  books = createBooks(db)
  await books.refresh()
}, STACK_MS)
afterAll(async () => {
  for (const worker of workers) worker.release()
  await db.close()
  await closeSql(sql)
})

let topics = 0
async function openWorker(topic = `topic-${++topics}`, consumerId = 'consumer-1') {
  const failures: unknown[] = []
  const worker = createWorker({
    database: db,
    keys: createKeyCache(db),
    clusterId: 'cluster',
    topic,
    partition: 0,
    consumerId,
    decode: decodeFactory,
    books,
    alertTopic: 'alerts',
    maxSensors: 1000,
    isCaughtUp: () => true,
    onFailure: (error) => failures.push(error),
    now: () => nowMs,
  })
  workers.push(worker)
  const from = await worker.claim({ low: 0, high: 1e6 })
  return { worker, topic, from, failures }
}

function message(offset: number, type: SensorType, value: number, n = 1, machine = `machine-${n}`): Message {
  const reading = readingOf(n, type, nowMs * 1000, value)
  const at = { ...reading, location: { ...reading.location, machineId: machine } }
  return {
    offset,
    appendedAtMs: nowMs,
    key: Buffer.from(reading.sensorId),
    value: Buffer.from(encodeFactoryMessage(at, null)),
    headers: { 'run-id': 'run-1', seq: String(offset + 1) },
  }
}

/** Waits until the writer has stored all that was taken. */
async function settled(worker: Worker, next: number): Promise<void> {
  const deadline = performance.now() + 10_000
  while (worker.nextOffset() !== next) {
    if (performance.now() > deadline)
      throw new Error(`stored ${worker.nextOffset()}, not ${next}, after 10 s`)
    await worker.drained()
    await Bun.sleep(1)
  }
  await worker.drained()
}

const alarmsOf = (topic: string) =>
  sql<
    {
      alert_id: string
      rule_id: string
      rule_version: number
      active: boolean
      suppressed: string | null
      group_id: string | null
      latching: boolean
    }[]
  >`
    select alert_id, rule_id, rule_version, active, suppressed, group_id, latching from alerts where topic = ${topic} order by "timestamp", rule_id`

const limit = (id: string, at: number, more: Record<string, unknown> = {}): RuleBookText['rules'][number] =>
  ({
    id,
    kind: 'limit',
    side: 'high',
    limit: at,
    applies: { sensor_types: ['temperature'] },
    off_delay: 1,
    severity: 'medium',
    anomaly_type: 'warning_threshold_violation',
    ...more,
  }) as RuleBookText['rules'][number]

async function inForce(rules: RuleBookText['rules'], groups?: RuleBookText['groups']): Promise<number> {
  const version = await proposeBook(sql, { rules, ...(groups ? { groups } : {}) }, 'somebody', 'a test')
  await books.refresh()
  expect(books.latest().version).toBe(version!)
  return version!
}

describe('rule books', () => {
  test('the file is seeded once, and again when a variable in it changes', async () => {
    expect(await seedBook(sql, parseConfig({}))).toBeNull()
    const warmer = await seedBook(sql, parseConfig({ TEMPERATURE_WARNING_THRESHOLD: '36' }))
    const [row] = await listBooks(sql, 1)
    expect(row).toMatchObject({ version: warmer!, author: 'file', reason: 'the file or .env changed' })
    expect(JSON.stringify(row!.book)).toContain('"limit":36')
  })

  test('one who did not see the newest version changes nothing', async () => {
    const version = await proposeBook(sql, { rules: [] }, 'first', '')
    expect(await proposeBook(sql, { rules: [limit('a', 1)] }, 'second', '', version! - 1)).toBeNull()
    expect((await listBooks(sql, 1))[0]!.author).toBe('first')
  })

  test('a book with faults is refused, every fault with the id of its rule', () => {
    const bad = { rules: [limit('a', 1), { ...limit('a', 2), severity: 'loud' }, { id: 'B', kind: 'limit' }] }
    expect(proposeBook(sql, bad, 'x', '')).rejects.toThrow(/rules\.1\.severity[\s\S]*B: rules\.2\.id/)
  })

  test('a new version comes into force at a recorded offset; a claim from the checkpoint finds the same', async () => {
    const first = await inForce([limit('hot', 30), limit('warm', 20)])
    const { worker, topic } = await openWorker()
    const log = [message(0, 'temperature', 25)]
    await worker.take(log)
    await settled(worker, 1)
    nowMs += 500 // too soon for a checkpoint
    const second = await inForce([limit('hot', 22)])
    log.push(message(1, 'temperature', 25))
    await worker.take(log.slice(1))
    await settled(worker, 2)
    const rows =
      await sql`select book_version, from_offset from rule_activations where topic = ${topic} order by 1`
    expect(rows.map((r) => ({ ...r }))).toEqual([
      { book_version: first, from_offset: 0 },
      { book_version: second, from_offset: 1 },
    ])
    const before = await alarmsOf(topic)
    expect(before.map((a) => [a.rule_id, a.rule_version, a.active])).toEqual([
      ['warm', first, false],
      ['hot', second, true],
    ])
    // Another consumer reads the log again from the start: nothing is raised twice, and the open alarm can be cleared.
    worker.release()
    const next = await openWorker(topic, 'consumer-2')
    expect(next.from).toBe(0)
    nowMs += 500
    await next.worker.take([...log, message(2, 'temperature', 10)])
    await settled(next.worker, 3)
    expect((await alarmsOf(topic)).map((a) => [a.alert_id, a.active])).toEqual(
      before.map((a) => [a.alert_id, false]),
    )
    const journal =
      await sql`select transition, reason from alert_journal where alert_id = ${before[0]!.alert_id} order by entry`
    expect(journal.map((j) => j.transition)).toEqual(['raised', 'cleared'])
    expect(journal[1]!.reason).toContain(`rule warm is no longer in force (rule book ${second})`)
  })
})

describe('the life of an alarm', () => {
  test('a latched one stays after its condition until it is acknowledged, and all hear of its end', async () => {
    await inForce([limit('hot', 30, { latching: true })])
    const { worker, topic } = await openWorker()
    await worker.take([message(0, 'temperature', 35)])
    nowMs += 3000
    await worker.take([message(1, 'temperature', 20)])
    await settled(worker, 2)
    const [open] = await alarmsOf(topic)
    expect(open).toMatchObject({ active: true, latching: true })
    await acknowledgeAlarms(sql, [open!.alert_id], 'seen', { by: 'somebody', alertTopic: 'alerts' })
    expect((await alarmsOf(topic))[0]!.active).toBe(false)
    const [told] =
      await sql`select string_agg(payload->>'state', ' ' order by entry) as states from outbox where alert_id = ${open!.alert_id}`
    expect(told?.states).toBe('raised returned acknowledged cleared')
  })

  test('a shelved rule of a sensor stays shelved when it raises again; out of service calls nobody either', async () => {
    await inForce([limit('hot', 30), limit('hotter', 50)])
    const { worker, topic } = await openWorker()
    await worker.take([message(0, 'temperature', 35)])
    await settled(worker, 1)
    await sql`update alerts set shelved_until = now() + interval '1 hour', shelved_by = 'somebody', shelve_reason = 'repair' where topic = ${topic}`
    nowMs += 3000
    await worker.take([message(1, 'temperature', 20)])
    nowMs += 3000
    await worker.take([message(2, 'temperature', 35)])
    await settled(worker, 3)
    expect((await alarmsOf(topic)).map((a) => a.suppressed)).toEqual([null, 'shelved'])
    await sql`insert into out_of_service (sensor_id, by, reason) values ('temperature-1', 'somebody', 'repair')`
    nowMs += 3000
    await worker.take([message(3, 'temperature', 60)])
    await settled(worker, 4)
    await sql`delete from out_of_service`
    expect((await alarmsOf(topic)).at(-1)).toMatchObject({ rule_id: 'hotter', suppressed: 'out_of_service' })
    const told =
      await sql`select payload->>'suppressed' as suppressed from outbox where alert_id = ${(await alarmsOf(topic)).at(-1)!.alert_id}`
    expect(told[0]!.suppressed).toBe('out_of_service')
  })

  test('a machine whose sensors all speak is one alarm, which ends with the last of them', async () => {
    await inForce([limit('hot', 30), limit('burning', 90, { severity: 'critical' })])
    const { worker, topic } = await openWorker()
    for (const n of [11, 12, 13, 14, 15]) await worker.take([message(n, 'temperature', 25, n, 'machine-x')])
    nowMs += 1000
    for (const n of [11, 12, 13, 14, 15]) {
      await worker.take([message(n + 10, 'temperature', n === 15 ? 95 : 35, n, 'machine-x')])
      await settled(worker, n + 11)
      nowMs += 1000
    }
    const alarms = await alarmsOf(topic)
    const group = alarms.find((a) => a.rule_id === 'machine.group')
    expect(group).toMatchObject({ active: true, suppressed: null })
    const members = alarms.filter((a) => a.rule_id === 'hot')
    // those that spoke before anybody could know had waited; from the one that made the group on nobody even did
    expect(members.map((a) => a.suppressed)).toEqual(members.map(() => 'group'))
    expect(members.every((a) => a.group_id === group!.alert_id)).toBe(true)
    expect(alarms.find((a) => a.rule_id === 'burning')!.suppressed).toBeNull()
    for (const n of [11, 12, 13, 14, 15])
      await worker.take([message(n + 20, 'temperature', 10, n, 'machine-x')])
    await settled(worker, 36)
    expect((await alarmsOf(topic)).filter((a) => a.active)).toEqual([])
    const journal =
      await sql`select transition from alert_journal where alert_id = ${group!.alert_id} order by entry`
    expect(journal.map((j) => j.transition)).toEqual(['raised', 'cleared'])
  })
})

describe('silence', () => {
  const silent = { id: 'quiet', kind: 'silence', severity: 'high', anomaly_type: 'sensor_silent' } as const

  async function steady(from: number, worker: Worker, count = 10) {
    for (let i = 0; i < count; i++) {
      await worker.take([message(from + i, 'temperature', 25)])
      nowMs += 3000
    }
    await settled(worker, from + count)
  }

  async function ticking(
    worker: Worker,
    topic: string,
    so: (alarms: Awaited<ReturnType<typeof alarmsOf>>) => boolean,
    ticks = 8,
  ) {
    for (let i = 0; i < ticks; i++) {
      nowMs += 1100
      worker.tick()
      await worker.drained()
      await worker.drained()
      if (so(await alarmsOf(topic))) return true
    }
    return false
  }

  test('a sensor that stops is told of after a few of its intervals, under one id, and cleared by its next reading', async () => {
    await inForce([silent, limit('hot', 90)])
    const { worker, topic } = await openWorker()
    await steady(0, worker)
    expect(await ticking(worker, topic, (a) => a.length > 0, 5)).toBe(false)
    nowMs += 12_000
    expect(await ticking(worker, topic, (a) => a.length === 1)).toBe(true)
    const [alarm] = await alarmsOf(topic)
    const [told] = await sql`select why from alerts where alert_id = ${alarm!.alert_id}`
    expect(Object.keys(told!.why.limits)).toEqual(['hot'])
    expect(told!.why).toMatchObject({ part: 'silence', rule: { kind: 'silence' }, rare: null, live: true })
    expect(told!.why.recent).toHaveLength(8)
    expect(told!.why.source).toEqual({ topic, partition: 0, offset: 9 })
    worker.release()
    const next = await openWorker(topic, 'consumer-2')
    nowMs += 60_000
    expect(await ticking(next.worker, topic, (a) => a.length > 1)).toBe(false)
    await next.worker.take([message(10, 'temperature', 25)])
    await settled(next.worker, 11)
    expect(await ticking(next.worker, topic, (a) => !a[0]!.active)).toBe(true)
    const journal =
      await sql`select transition from alert_journal where alert_id = ${alarm!.alert_id} order by entry`
    expect(journal.map((j) => j.transition)).toEqual(['raised', 'cleared'])
  })

  test.each([
    ['is not heard either', 'active', -60, -3600, false],
    ['has finished', 'finished', 0, -3600, false],
    ['has started a moment ago', 'active', 0, -1, false],
    ['is well', 'active', 0, -3600, true],
  ])('where its producer %s', async (_what, status, heartbeatAge, startedAge, told) => {
    await inForce([silent])
    const { worker, topic } = await openWorker()
    await steady(0, worker)
    nowMs += 40_000
    await sql`delete from producer_health`
    await sql`insert into producer_health (producer_id, run_id, fleet, status, last_heartbeat, started_at)
      values ('plant', 'run-1', 'factory', ${status}, to_timestamp(${nowMs / 1000 + heartbeatAge}),
        to_timestamp(${nowMs / 1000 + startedAge}))`
    expect(await ticking(worker, topic, (a) => a.length > 0)).toBe(told)
    await sql`delete from producer_health`
  })
})

test('backtest tells what another book would have raised on the stored readings, beside what was', async () => {
  nowMs = Date.now() - 60_000
  await inForce([limit('hot', 30)])
  const { worker } = await openWorker('backtest-topic')
  for (let i = 0; i < 6; i++) {
    await worker.take([message(i, 'temperature', i % 2 === 0 ? 25 : 35, 77)])
    nowMs += 3000
  }
  await settled(worker, 6)
  const rules = [limit('hotter', 40), limit('warm', 20)]
  const result = await backtest(url, rules, '--sensor', 'temperature-77')
  expect(result.readings).toBe(6)
  expect(result.rules).toEqual([
    { rule: 'hot', was: 3, would: 0 },
    { rule: 'warm', was: 0, would: 1 },
  ])
}, 60_000)
