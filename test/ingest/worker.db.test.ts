import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import type { Books } from '../../lib/alarm/books.ts'
import type { Database } from '../../lib/db/connect.ts'
import { acceptNewLog } from '../../lib/ingest/accept.ts'
import { decodeCheckpoint } from '../../lib/ingest/checkpoint.ts'
import { decodeFactory } from '../../lib/ingest/decode.ts'
import { LogEndsEarly, LogReplaced } from '../../lib/ingest/log-end.ts'
import { Skipped } from '../../lib/ingest/intake.ts'
import { createKeyCache } from '../../lib/ingest/keys.ts'
import type { Message } from '../../lib/ingest/outputs.ts'
import { createWorker, type Worker } from '../../lib/ingest/worker.ts'
import { list } from '../../lib/kafka/records.ts'
import { STACK_MS } from '../stack.ts'
import { seeded } from './room.ts'
import { fetched } from './batch.ts'

setDefaultTimeout(STACK_MS)

const TOPIC = 'sensor-data'
const BEGAN = Date.UTC(2026, 0, 1)

let db: Database
let books: Books
let failures: unknown[]

beforeEach(async () => {
  ;({ db, books } = await seeded())
  failures = []
}, STACK_MS)
afterEach(() => db.close())

function newWorker(
  maxSensors = 100,
  now: () => number = () => performance.timeOrigin + performance.now(),
  keys = createKeyCache(db),
): Worker {
  return createWorker({
    database: db,
    keys,
    clusterId: 'test-cluster',
    topic: TOPIC,
    partition: 0,
    consumerId: 'consumer-1',
    decode: decodeFactory,
    books,
    alertTopic: 'alerts',
    maxSensors,
    isCaughtUp: () => false,
    onFailure: (error) => failures.push(error),
    now,
  })
}

function message(offset: number, seq: number, change: Record<string, unknown> = {}): Message {
  const at = BEGAN + seq * 1000
  const body = {
    timestamp: new Date(at).toISOString(),
    sensor_id: 'temp-1',
    sensor_type: 'temperature',
    location: { factory_section: 'production', machine_id: 'machine-001', zone: 'zone-a' },
    value: seq,
    unit: '°C',
    ...change,
  }
  return {
    offset,
    appendedAtMs: at,
    key: Buffer.from(body.sensor_id),
    value: Buffer.from(JSON.stringify(body)),
    headers: { 'run-id': Buffer.from('run-1'), seq: Buffer.from(String(seq)) },
  }
}

/** The log of these numbers, one message each. */
const logOf = (numbers: readonly number[], change = {}) =>
  numbers.map((seq, offset) => message(offset, seq, change))

/** Feeds the log from where the worker wants to read, in chunks; claims again after each failure, as the group does. */
async function consume(worker: Worker, log: Message[], chunks: readonly number[] = [1000]): Promise<void> {
  const range = { low: 0, high: (log.at(-1)?.offset ?? -1) + 1 }
  for (let rounds = 0; rounds < 50; rounds++) {
    const from = await worker.claim(range)
    const failed = failures.length
    const rest = log.filter((m) => m.offset >= from)
    for (let i = 0, c = 0; i < rest.length && failures.length === failed; c++) {
      const size = chunks[c % chunks.length] ?? 1
      await worker.takeRecords(await fetched(rest.slice(i, i + size)), size, range.high)
      i += size
    }
    await worker.close()
    if (failures.length === failed) return
  }
  throw new Error('Cannot get through the log in 50 rounds', { cause: failures.at(-1) })
}

async function storedNumbers(): Promise<number[]> {
  const rows = await db.sql<{ seq: number }[]>`select seq from readings order by seq`
  return rows.map((row) => row.seq)
}

const odd = Array.from({ length: 41 }, (_, i) => 2 * i + 1)
const even = Array.from({ length: 40 }, (_, i) => 2 * i + 2)

describe('createWorker()', () => {
  test('fills a number whose gap went out of memory in the same chunk', async () => {
    await consume(newWorker(), logOf([...odd, 2]))
    expect(await storedNumbers()).toEqual([...odd, 2].sort((a, b) => a - b))
  })

  test('fills every number once, by way of the table', async () => {
    const numbers = [...odd, ...even, ...even, ...odd]
    await consume(newWorker(), logOf(numbers), [41, 7, 40])
    expect(await storedNumbers()).toEqual(Array.from({ length: 81 }, (_, i) => i + 1))
    expect([...(await db.sql`select * from sequence_gaps`)]).toEqual([])
    expect(failures).toEqual([])
  })

  test('asks the table only after what it spilled itself is there', async () => {
    const worker = newWorker()
    const log = logOf([...odd, ...even])
    await worker.claim({ low: 0, high: log.length })
    // not awaited in between: the second chunk comes while the first is being stored
    await Promise.all([worker.take(log.slice(0, 41))])
    await worker.take(log.slice(41, 60))
    await worker.take(log.slice(60))
    await worker.close()
    expect(await storedNumbers()).toEqual(Array.from({ length: 81 }, (_, i) => i + 1))
  })

  test('stores each number once for any order, any cut, and a restart in between', async () => {
    const numbers = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 30, maxLength: 150 })
    const chunks = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(numbers, chunks, fc.nat(), async (sequence, cut, stop) => {
        await db.sql`truncate readings, partition_progress, partition_checkpoints, sequence_gaps, dead_letters`
        const log = logOf(sequence)
        await consume(newWorker(), log.slice(0, stop % log.length), cut)
        await consume(newWorker(), log, cut)
        expect(await storedNumbers()).toEqual([...new Set(sequence)].sort((a, b) => a - b))
      }),
      { numRuns: 12 },
    )
  })

  test('registers sensors up to the limit, not one more, though they come in one chunk', async () => {
    const log = Array.from({ length: 30 }, (_, i) => message(i, 1, { sensor_id: `sensor-${i}` }))
    await consume(newWorker(10), log)
    const [count] = await db.sql`select (select count(*) from sensors)::int as sensors,
      (select count(*) from readings)::int as readings,
      (select count(*) from dead_letters where reason = 'sensor_limit')::int as letters`
    expect(count).toEqual({ sensors: 10, readings: 10, letters: 20 })
  })

  test('a sensor that describes itself anew each time does not fill the table of sensors', async () => {
    const log = Array.from({ length: 200 }, (_, i) =>
      message(i, i + 1, { metadata: { warning_threshold: i } }),
    )
    await consume(newWorker(10), log, [50])
    const [count] = await db.sql`select (select count(*) from sensors)::int as sensors,
      (select count(*) from readings)::int as readings,
      (select count(*) from dead_letters where reason = 'sensor_limit')::int as letters`
    expect(count?.sensors).toBeLessThanOrEqual(100)
    expect(count?.readings + count?.letters).toBe(200)
  })

  test('what only the database refuses is one dead letter; offsets may skip', async () => {
    await db.sql`alter table readings add constraint unlucky check (value <> 13)`
    const numbers = Array.from({ length: 40 }, (_, i) => i + 1)
    const log = numbers.map((seq) => message(seq * 3, seq))
    await consume(newWorker(), log)
    expect(await storedNumbers()).toEqual(numbers.filter((n) => n !== 13))
    const letters = await db.sql`select "offset"::int as "offset", reason, message from dead_letters`
    expect([...letters]).toEqual([
      { offset: 39, reason: 'storage', message: expect.stringContaining('unlucky') },
    ])
  })

  test('what throws while a message is taken loses nothing: the partition is claimed anew', async () => {
    const keys = createKeyCache(db)
    let left = 1
    const odd = {
      ...keys,
      run(id: string) {
        if (left-- > 0) throw new Error('unheard of')
        return keys.run(id)
      },
    }
    const worker = newWorker(100, undefined, odd)
    await worker.claim({ low: 0, high: 3 })
    await expect(worker.take(logOf([1, 2, 3]))).rejects.toThrow('unheard of')
    expect(failures.length).toBe(1)
    await consume(worker, logOf([1, 2, 3]))
    expect(await storedNumbers()).toEqual([1, 2, 3])
  })

  test('dead letters count for the backlog as rows do', async () => {
    const worker = newWorker()
    await worker.claim({ low: 0, high: 5000 })
    const held = await db.sql.reserve()
    await held`begin`
    await held`lock table dead_letters`
    const broken = Array.from({ length: 5000 }, (_, i) => ({
      ...message(i, i + 1),
      value: Buffer.alloc(1000, 'x'),
    }))
    for (let i = 0; i < broken.length && !worker.isBacklogged(); i += 500)
      await worker.take(broken.slice(i, i + 500))
    expect(worker.isBacklogged()).toBe(true)
    await held`rollback`
    held.release()
    await worker.close()
  })

  test('large rows count for the backlog by their bytes', async () => {
    const worker = newWorker()
    await worker.claim({ low: 0, high: 1000 })
    const held = await db.sql.reserve()
    await held`begin`
    await held`lock table readings`
    const metadata = { note: 'x'.repeat(100_000) }
    let taken = 0
    for (; taken < 1000 && !worker.isBacklogged(); taken++)
      await worker.take([message(taken, taken + 1, { metadata })])
    expect(worker.isBacklogged()).toBe(true)
    expect(taken).toBeLessThan(500) // 50 MB; thirty thousand such rows are three gigabytes
    await held`rollback`
    held.release()
    await worker.close()
  })

  test('dead letters of unknown sensors do not fill the memory', async () => {
    const worker = newWorker(10)
    await worker.claim({ low: 0, high: 3000 })
    for (let i = 0; i < 3000; i += 500) {
      const flood = Array.from({ length: 500 }, (_, j) =>
        message(i + j, 1, { sensor_id: `nobody-${i + j}`, value: 'x' }),
      )
      await worker.take(flood)
      await worker.drained()
    }
    await worker.close()
    const [row] = await db.sql<{ state: Uint8Array; version: number }[]>`
      select state, version from partition_checkpoints`
    expect(decodeCheckpoint(row!.state, row!.version)?.state.marks.size).toBe(1000)
  })

  describe('a log that ends before what is stored', () => {
    const stopped = async () =>
      (await db.sql<{ stopped: string | null }[]>`select stopped from partition_progress`)[0]?.stopped
    let ahead = 0
    let worker: Worker
    beforeEach(async () => {
      ahead = 0
      worker = newWorker(100, () => Date.now() + ahead)
      await consume(newWorker(), logOf([1, 2, 3]))
    })

    test('stops nothing where the look was older than what a rival stored; a minute of it does, for good', async () => {
      const stale = { low: 0, high: 2 }
      await expect(worker.claim(stale)).rejects.toThrow(LogEndsEarly)
      expect(await worker.claim({ low: 0, high: 3 })).toBe(3)
      await expect(worker.claim(stale)).rejects.toThrow(LogEndsEarly)
      ahead = 70_000
      await expect(worker.claim(stale)).rejects.toThrow(LogReplaced)
      expect(await stopped()).toContain('the log ends at 2, but 3 messages were taken')
      // However long the new log grows: its first messages were never taken.
      for (const one of [worker, newWorker()])
        await expect(one.claim({ low: 0, high: 100 })).rejects.toThrow('the log ends at 2')
      const range = { partition: 0, low: 0, high: 100 }
      await db.sql.begin((tx) => acceptNewLog(tx, 'test-cluster', TOPIC, [range]))
      expect(await stopped()).toBeNull()
      expect(await worker.claim(range)).toBe(0)
    })

    test('is no proof where a rival has stored more since, however long ago the last such look was', async () => {
      await expect(worker.claim({ low: 0, high: 2 })).rejects.toThrow(LogEndsEarly)
      await consume(newWorker(), logOf([1, 2, 3, 4]))
      ahead = 70_000
      await expect(worker.claim({ low: 0, high: 3 })).rejects.toThrow(LogEndsEarly)
      expect(await worker.claim({ low: 0, high: 4 })).toBe(4)
    })

    test('is another one as soon as it has a message that is newer than what is stored', async () => {
      // Nothing newer: what a broker answers that lags behind, or is cut off from its own.
      const lagging = { low: 0, high: 2, firstSince: async () => 2 }
      await expect(worker.claim(lagging)).rejects.toThrow(LogEndsEarly)
      await expect(worker.claim({ ...lagging, firstSince: async () => 1 })).rejects.toThrow(LogReplaced)
      expect(await stopped()).toContain('offset 1 is newer')
    })

    test('and has outgrown it before the next look is found out, too', async () => {
      await expect(worker.claim({ low: 0, high: 0 })).rejects.toThrow(LogEndsEarly)
      await expect(worker.claim({ low: 0, high: 50, firstSince: async () => 0 })).rejects.toThrow(LogReplaced)
    })

    test('and has caught up with what is new since goes on', async () => {
      await expect(worker.claim({ low: 0, high: 2 })).rejects.toThrow(LogEndsEarly)
      expect(await worker.claim({ low: 0, high: 50, firstSince: async () => 3 })).toBe(3)
    })
  })

  test('what was fetched for an older claim is not taken past what has to be read first', async () => {
    const log = logOf(Array.from({ length: 20 }, (_, i) => i + 1))
    await consume(newWorker(), log.slice(0, 10))
    const worker = newWorker()
    expect(await worker.claim({ low: 0, high: 20 })).toBe(10)
    await worker.takeRecords(list(log.slice(15), 15), 1000, 20)
    expect(failures).toEqual([expect.any(Skipped)])
    expect(await storedNumbers()).toHaveLength(10)
    failures = []
    await consume(worker, log)
    expect(await storedNumbers()).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  })

  test('claims that overlap are made one after the other', async () => {
    const log = logOf(Array.from({ length: 20 }, (_, i) => i + 1))
    await consume(newWorker(), log.slice(0, 10))
    const worker = newWorker()
    const range = { low: 0, high: 20 }
    const [first] = await Promise.all([worker.claim(range), worker.claim(range)])
    await worker.takeRecords(list(log.slice(first), first), 1000, 20)
    await worker.close()
    expect(await storedNumbers()).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    expect(failures).toEqual([])
  })

  test('a time far ahead does not stay the newest reading', async () => {
    const log = [
      message(0, 1),
      message(1, 2, { timestamp: '2199-01-01T00:00:00Z' }),
      message(2, 3),
      message(3, 4, { timestamp: '2199-01-01T00:00:00Z' }),
    ]
    await consume(newWorker(), log)
    const [row] = await db.sql`select value from sensor_latest`
    expect(row?.value).toBe(3)
  })
})
