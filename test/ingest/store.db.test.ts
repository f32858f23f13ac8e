import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { closeSql, connect, createDatabase, type Sql } from '../../lib/db/connect.ts'
import { type ReadingRow } from '../../lib/ingest/copy.ts'
import { Fault } from '../../lib/ingest/decode.ts'
import { createOutputs } from '../../lib/ingest/outputs.ts'
import { Fenced, storeBatch, type Batch } from '../../lib/ingest/store.ts'
import { database, STACK_MS } from '../stack.ts'
import { row } from './row.ts'

setDefaultTimeout(STACK_MS)

let url: string
let sql: Sql
let other: Sql
beforeEach(async () => {
  url = (await database()).url
  sql = connect(url, { name: 'test', max: 1 })
  other = connect(url, { name: 'other', max: 1 })
  await sql`insert into partition_progress (cluster_id, topic, partition, next_offset, epoch, owner, claimed_at)
    values ('c', 't', 0, 10, 3, 'consumer-1', now())`
})
afterEach(() => Promise.all([closeSql(sql), closeSql(other)]))

const position = { clusterId: 'c', topic: 't', partition: 0, expected: 10, next: 12, epoch: 3 }

function batchOf(rows: readonly ReadingRow[], change: Partial<Batch['position']> = {}): Batch {
  const outputs = createOutputs()
  for (const one of rows) outputs.copy.append(one)
  outputs.counters.stored = rows.length
  return {
    position: { ...position, ...change },
    outputs,
    checkpoint: Buffer.from('state'),
    latest: [],
    topicKey: 1,
    detectedBy: 'consumer-1',
    alertTopic: 'alerts',
    groups: { sensors: 3, window: 60, wait: 10 },
  }
}

const rowsOf = (count: number) => Array.from({ length: count }, (_, i) => ({ ...row, offset: i }))

/** The three ways in which a batch is stored. */
const ways = [
  ['a few rows, in one statement', 2, false],
  ['many rows, by COPY', 60, false],
  ['a few rows and a dead letter, in a transaction', 2, true],
] as const

describe.each(ways)('storeBatch() of %s', (_way, count, letter) => {
  function batch(change: Partial<Batch['position']> = {}): Batch {
    const made = batchOf(rowsOf(count), change)
    const message = { offset: 8, appendedAtMs: 0, key: null, value: Buffer.from('x'), headers: undefined }
    if (letter)
      made.outputs.deadLetters.push({
        message,
        fault: new Fault('decode', 'is x'),
        identity: null,
        source: null,
      })
    return made
  }

  const seen = async () => {
    const [found] = await sql`select next_offset, stored, (select count(*) from readings) as readings,
      (select count(*) from dead_letters) as letters,
      (select max(at_offset) from partition_checkpoints) as checkpoint from partition_progress`
    return found
  }
  const nothing = { next_offset: 10, stored: 0, readings: 0, letters: 0, checkpoint: null }
  const everything = {
    next_offset: 12,
    stored: count,
    readings: count,
    letters: letter ? 1 : 0,
    checkpoint: 12,
  }

  test('moves the offset, the rows, the counters and the checkpoint together', async () => {
    await storeBatch(sql, batch())
    expect(await seen()).toEqual(everything)
  })

  test.each([
    [1, 'an older epoch: somebody else has claimed it', { epoch: 2 }],
    [2, 'an offset that was already stored: a redelivery', { expected: 8, next: 10 }],
    [3, 'an offset further on: something in between is missing', { expected: 11, next: 13 }],
    [4, 'another cluster', { clusterId: 'd' }],
    [5, 'another partition', { partition: 1 }],
  ])('writes nothing for %d. %s', async (_number, _what, change) => {
    await expect(storeBatch(sql, batch(change))).rejects.toBeInstanceOf(Fenced)
    expect(await seen()).toEqual(nothing)
  })

  test('of two rivals with the same claim one writes, once', async () => {
    const rivals = await Promise.allSettled([storeBatch(sql, batch()), storeBatch(other, batch())])
    expect(rivals.map((one) => one.status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await seen()).toEqual(everything)
  })

  test('keeps the offset when the transaction fails', async () => {
    await sql`alter table readings add constraint unlucky check ("offset" <> 1)`
    await expect(storeBatch(sql, batch())).rejects.toMatchObject({ code: '23514' })
    expect(await seen()).toEqual(nothing)
  })

  test('a COMMIT without an answer leaves either all or nothing, and the same batch again does not double it', async () => {
    // The backend dies while it commits: a deferred trigger ends it there.
    await sql.unsafe(`create function die() returns trigger language plpgsql as
      $$ begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1); return null; end $$;
      create constraint trigger dies after insert on partition_checkpoints deferrable initially deferred
        for each row execute function die()`)
    const db = createDatabase(url, { name: 'dying', max: 1 })
    const error = await storeBatch(db.sql, batch()).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(Error)
    expect(error).not.toBeInstanceOf(Fenced)
    db.renewAfter(error)
    await other`drop trigger dies on partition_checkpoints`
    expect(await seen()).toEqual(nothing)
    await storeBatch(db.sql, batch())
    await expect(storeBatch(db.sql, batch())).rejects.toBeInstanceOf(Fenced)
    expect(await seen()).toEqual(everything)
    await db.close()
  })
})

describe('storeBatch()', () => {
  const int16 = fc.integer({ min: -32_768, max: 32_767 })
  const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
  const any: fc.Arbitrary<ReadingRow> = fc.record({
    measuredAt: fc.integer({ min: -62_135_596_800_000_000, max: Number.MAX_SAFE_INTEGER }),
    value: fc.double({ noNaN: true, min: -1e16, max: 1e16 }).map((v) => v + 0),
    offset: fc.maxSafeNat(),
    seq: fc.option(fc.maxSafeNat()),
    sensorKey: int32,
    runKey: fc.option(int32),
    quality: fc.double({ noNaN: true, min: 0, max: 1 }).map(Math.fround),
    flags: int32,
    partition: int16,
    topicKey: int16,
    level: int16,
    claimedLevel: fc.option(int16),
    metadata: fc.option(fc.jsonValue().map((v) => JSON.stringify(v).replaceAll('\\u0000', ''))),
  })

  test('stores the same whichever way it goes: few rows in a statement, many by COPY', async () => {
    const content = async () => {
      const rows =
        await sql`select extract(epoch from measured_at)::text as at, value::float8, "offset", seq, sensor_key,
        run_key, quality, flags, partition, topic_key, level, claimed_level, metadata::text from readings
        order by "offset", measured_at, value`
      await sql`truncate readings`
      await sql`update partition_progress set next_offset = 10`
      return [...rows]
    }
    await fc.assert(
      fc.asyncProperty(fc.array(any, { minLength: 1, maxLength: 50 }), async (rows) => {
        await storeBatch(sql, batchOf(rows))
        const few = await content()
        await storeBatch(sql, batchOf([...rows, ...rowsOf(51).map((r) => ({ ...r, sensorKey: -7 }))]))
        await sql`delete from readings where sensor_key = -7 and metadata = '{"note":"°"}'`
        expect(few).toEqual(await content())
        expect(few.length).toBe(rows.length)
      }),
      { numRuns: 40 },
    )
  })
})
