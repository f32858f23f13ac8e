import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { createDatabase, type Database } from '../../lib/db/connect.ts'
import { acceptNewLog } from '../../lib/ingest/accept.ts'
import { decodeFactory } from '../../lib/ingest/decode.ts'
import { LogEndsEarly, LogReplaced } from '../../lib/ingest/log-end.ts'
import { acceptInSinks } from '../../lib/sink/accept.ts'
import type { SinkBatch } from '../../lib/sink/batch.ts'
import type { Destination } from '../../lib/sink/destination.ts'
import { documentId, logNamed } from '../../lib/sink/document.ts'
import { createSinkPartition, type SinkPartition } from '../../lib/sink/partition.ts'
import { objectName } from '../../lib/sink/s3.ts'
import { until } from '../door.ts'
import { logOf } from '../ingest/log.ts'
import { database, STACK_MS } from '../stack.ts'

/** One partition into a destination that keeps names alone; what is in PostgreSQL is real. */
setDefaultTimeout(STACK_MS)

const SINK = 's3:cold'
const TOPIC = 'sensor-data'
let db: Database
let written: { object: string; documents: string[] }[]
let failures: unknown[]

beforeEach(async () => {
  db = createDatabase((await database()).url, { name: 'test', max: 3 })
  written = []
  failures = []
  answers = Promise.resolve()
}, STACK_MS)
afterEach(() => db.close())

/** the destination's server answers only after this */
let answers: Promise<void>
const destination: Destination = {
  name: SINK,
  limits: { messages: 2, bytes: 1e6, ageMs: 1e6 },
  prepare: () => answers,
  async write(batch: SinkBatch) {
    written.push({
      object: objectName(batch),
      documents: batch.entries.map((e) => documentId(batch, e.offset)),
    })
    return []
  },
}

function sinkOf(clusterId: string, now: () => number = () => Date.now(), owner = 'sink-1'): SinkPartition {
  const place = { sink: SINK, clusterId, topic: TOPIC, partition: 0 }
  const onFailure = (error: unknown) => void failures.push(error)
  return createSinkPartition({
    database: db,
    destination,
    place,
    owner,
    decode: decodeFactory,
    onFailure,
    now,
  })
}

/** The log's first messages, two a batch. */
async function takeAll(sink: SinkPartition, count: number): Promise<void> {
  const from = await sink.claim({ low: 0, high: count })
  const messages = logOf(Array.from({ length: count }, (_, i) => ({ seq: i + 1, at: i })))
  await sink.take(messages.slice(from), from)
  await until('the batches to be written', async () => sink.nextOffset() === count)
}

const accept = (clusterId: string) =>
  db.sql.begin((tx) => acceptInSinks(tx, clusterId, TOPIC, [{ partition: 0, low: 0, high: 100 }]))
const row = async () =>
  (
    await db.sql<{ owner: string; stopped: string | null; next: number; log: number }[]>`
    select owner, stopped, next_offset as next, log from sink_progress`
  )[0]

test('another cluster is refused before it takes the place of anything', async () => {
  await takeAll(sinkOf('cluster-a'), 2)
  const other = sinkOf('cluster-b')
  await expect(other.claim({ low: 0, high: 2 })).rejects.toThrow(
    's3:cold holds cluster cluster-a, but the brokers are cluster cluster-b',
  )
  expect(await row()).toMatchObject({ next: 2, stopped: null })
  // Who it belongs to is not held up by the stranger, before or after.
  expect(await sinkOf('cluster-a').claim({ low: 0, high: 2 })).toBeLessThanOrEqual(2)
})

test('a log that ends before what was taken stops the sink for good, however long it grows, until it is accepted', async () => {
  await takeAll(sinkOf('cluster-a'), 4)
  let ahead = 0
  const sink = sinkOf('cluster-a', () => Date.now() + ahead)
  const short = { low: 0, high: 2 }
  await expect(sink.claim(short)).rejects.toBeInstanceOf(LogEndsEarly)
  expect(await row()).toMatchObject({ stopped: null })
  ahead = 70_000
  await expect(sink.claim(short)).rejects.toBeInstanceOf(LogReplaced)
  expect((await row())?.stopped).toContain(
    'sensor-data-0 in s3:cold: the log ends at 2, but 4 messages were taken',
  )
  await expect(sinkOf('cluster-a', Date.now, 'sink-2').claim({ low: 0, high: 100 })).rejects.toBeInstanceOf(
    LogReplaced,
  )
  expect(await row()).toMatchObject({ next: 4, owner: 'sink-2' })

  expect(await accept('cluster-a')).toEqual([
    'sensor-data-0 in s3:cold: was at offset 4 of cluster cluster-a, goes on at 0 of cluster-a',
  ])
  expect(await row()).toMatchObject({ next: 0, stopped: null, log: 1 })
})

test('what is written of an accepted log takes the place of nothing, and a repeat is still a repeat', async () => {
  let at = Date.now()
  await takeAll(
    sinkOf('cluster-a', () => (at += 3000)), // marks are due with every batch
    4,
  )
  expect(written.map((w) => w.object.split('/').at(-1))).toEqual([
    '00000000000000000000',
    '00000000000000000002',
  ])
  expect(written[0]?.documents).toEqual(['sensor-data+0+0', 'sensor-data+0+1'])
  await accept('cluster-b')
  written = []
  const sink = sinkOf('cluster-b')
  await sink.claim({ low: 0, high: 6 })
  // 1 and 2 once more, then news
  const numbers = [1, 2, 5, 6, 7, 8]
  await sink.take(logOf(numbers.map((seq, at) => ({ seq, at }))), 0)
  await until('the batches to be written', async () => sink.nextOffset() === 6)
  const documents = written.flatMap((w) => w.documents)
  expect(documents).toEqual([2, 3, 4, 5].map((offset) => `sensor-data+0+${offset}+log1`))
  expect(written.map((w) => w.object.split('/').at(-1))).toEqual([
    '00000000000000000002-log1',
    '00000000000000000004-log1',
  ])
  expect([...documents, 'sensor-data+0+1'].map(logNamed)).toEqual([1, 1, 1, 1, 0])
  expect(logNamed('sensor-data/2026-01-01/0/00000000000000000002-log12.ndjson.zst')).toBe(12)
})

test('a sink that takes a topic which PostgreSQL never stored is accepted, too', async () => {
  await takeAll(sinkOf('cluster-a'), 2)
  const ranges = [{ partition: 0, low: 0, high: 100 }]
  const lines = await db.sql.begin(async (tx) => [
    ...(await acceptNewLog(tx, 'cluster-b', TOPIC, ranges)),
    ...(await acceptInSinks(tx, 'cluster-b', TOPIC, ranges)),
  ])
  expect(lines.length).toBe(1)
})

test('a position that was set back by hand meets its own dead letters, and goes on', async () => {
  const broken = logOf([1, 2].map((seq, at) => ({ seq, at, value: 'broken' })))
  for (let round = 0; round < 2; round++) {
    const sink = sinkOf('cluster-a')
    expect(await sink.claim({ low: 0, high: 2 })).toBe(0)
    await sink.take(broken, 0)
    await until('the batch to be written', async () => sink.nextOffset() === 2)
    await db.sql`update sink_progress set next_offset = 0, marks_offset = 0, marks = null`
  }
  expect(failures).toEqual([])
  expect((await db.sql`select 1 from sink_dead_letters`).length).toBe(2)
})

test('ends of transactions and what was taken back are gone past, and the next batch begins behind them', async () => {
  let ahead = 0
  const sink = sinkOf('cluster-a', () => Date.now() + ahead)
  const log = logOf(Array.from({ length: 9 }, (_, i) => ({ seq: i + 1, at: i })))
  await sink.claim({ low: 0, high: 9 })
  await sink.take(log.slice(0, 1), 0)
  sink.pass(1, 4)
  sink.pass(6, 8) // 4 and 5 have not been seen yet
  await sink.take(log.slice(4, 5), 4)
  await until('the first batch', async () => sink.nextOffset() === 5)
  sink.pass(5, 6)
  ahead = 2e6
  sink.tick()
  await until('what has nothing in it', async () => sink.nextOffset() === 6)
  await sink.take(log.slice(6, 8), 6)
  await until('the second batch', async () => sink.nextOffset() === 8)
  expect(failures).toEqual([])
  expect(written.map((w) => w.documents)).toEqual([
    ['sensor-data+0+0', 'sensor-data+0+4'],
    ['sensor-data+0+6', 'sensor-data+0+7'],
  ])
})

const hasLeft = async () => (await db.sql`select 1 from sink_progress where left_at is not null`).length === 1

test('a goodbye waits for the claim that PostgreSQL is being asked for, so that it holds', async () => {
  const sink = sinkOf('cluster-a')
  await takeAll(sink, 2)
  const locked = Promise.withResolvers<void>()
  const held = db.sql.begin(async (tx) => {
    await tx`select 1 from sink_progress for update`
    await locked.promise
  })
  const claim = sink.claim({ low: 0, high: 2 })
  await until(
    'the claim to wait for the row',
    async () => (await db.sql`select 1 from pg_locks where not granted`).length > 0,
  )
  const closed = sink.close()
  locked.resolve()
  await Promise.all([held, claim, closed])
  expect(await hasLeft()).toBe(true)
  expect(sink.nextOffset()).toBeNull()
})

test('a sink that is stopping claims nothing any more', async () => {
  const sink = sinkOf('cluster-a')
  await takeAll(sink, 2)
  const answered = Promise.withResolvers<void>()
  answers = answered.promise
  const claim = sink.claim({ low: 0, high: 2 })
  await sink.close()
  answered.resolve()
  await expect(claim).rejects.toThrow('Cannot claim sensor-data-0: this sink is stopping')
  expect(await hasLeft()).toBe(true)
})
