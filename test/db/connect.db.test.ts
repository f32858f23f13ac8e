import { afterEach, beforeEach, describe, expect, setDefaultTimeout, spyOn, test } from 'bun:test'
import { ask, closeSql, connect, copyIn, createDatabase, sqlState, type Sql } from '../../lib/db/connect.ts'
import { createCopyBuffer, COPY_COLUMNS, type ReadingRow } from '../../lib/ingest/copy.ts'
import { DeadlineError } from '../../lib/run.ts'
import { row } from '../ingest/row.ts'
import { database, STACK_MS } from '../stack.ts'

setDefaultTimeout(STACK_MS)

let url: string
let sql: Sql
let other: Sql
beforeEach(async () => {
  url = (await database()).url
  sql = connect(url, { name: 'test', max: 1 })
  other = connect(url, { name: 'other', max: 1 })
})
afterEach(() => Promise.all([closeSql(sql), closeSql(other)]))

const COPY = `copy readings (${COPY_COLUMNS.map((c) => `"${c}"`).join(', ')}) from stdin (format binary)`
function copyOf(...rows: ReadingRow[]): Buffer {
  const copy = createCopyBuffer(64)
  for (const one of rows) copy.append(one)
  return copy.finish()
}

/** Ends the backend of the pool under test from another connection. */
async function killBackend(pid: number): Promise<void> {
  await other`select pg_terminate_backend(${pid})`
}

// Both were seen red with the library unpatched: the first never settled, the second hung or ended the process with
// "null is not an object (evaluating 'socket.write')".
describe('patched postgres', () => {
  test('a COPY that the server refuses is an error, and the connection goes on', async () => {
    const refused = sql.begin((tx) => copyIn(tx, COPY, copyOf(row, { ...row, value: 1e17 })))
    const error = await ask('copy', refused, 5000).catch((e: unknown) => e)
    expect(sqlState(error)).toBe('23514')
    expect([...(await ask('count', sql`select count(*) as n from readings`, 5000))]).toEqual([{ n: 0 }])
  })

  test('a COPY that is no COPY at all is an error', async () => {
    const refused = sql.begin((tx) => copyIn(tx, COPY, Buffer.alloc(100_000, 'x')))
    const error = await ask('copy', refused, 5000).catch((e: unknown) => e)
    expect(sqlState(error)).toBe('22P04')
    expect([...(await ask('count', sql`select 1 as n`, 5000))]).toEqual([{ n: 1 }])
  })

  for (const moment of ['between two statements', 'inside a statement', 'inside a COPY'] as const) {
    test(`a backend killed ${moment} of a transaction is an error; the pool goes on, and a renewed one too`, async () => {
      const db = createDatabase(url, { name: 'killed', max: 1 })
      const died = db.sql.begin(async (tx) => {
        const [{ pid }] = (await tx`select pg_backend_pid() as pid`) as unknown as [{ pid: number }]
        if (moment === 'inside a statement') {
          await Promise.all([tx`select pg_sleep(5)`, killBackend(pid)])
        } else if (moment === 'inside a COPY') {
          const stream = await tx.unsafe(COPY).writable()
          stream.on('error', () => {})
          stream.write(copyOf(row).subarray(0, 40))
          await killBackend(pid)
          await tx`select 1`
        } else {
          await killBackend(pid)
          await tx`select 1`
          await tx`select 2`
        }
      })
      const error = await ask('run the transaction', died, 10_000).then(
        () => null,
        (e: unknown) => e,
      )
      expect(error).toBeInstanceOf(Error)
      expect(error).not.toBeInstanceOf(DeadlineError)
      // Red without the reset in closed(): the new connection's first message was never sent (CONNECT_TIMEOUT).
      // The first query may still meet the dying connection; the second one must not.
      const again = () => ask('go on', db.sql`select 7 as n`, 4000)
      expect([...(await again().catch(again))]).toEqual([{ n: 7 }])
      db.renewAfter(error)
      for (const n of [1, 2, 3])
        expect([...(await ask('go on', db.sql`select ${n}::int as n`, 5000))]).toEqual([{ n }])
      await db.close()
    })
  }
})

describe('createDatabase()', () => {
  test('a pool that hangs can be thrown away: the next answers at once', async () => {
    const db = createDatabase(url, { name: 'hung', max: 1 })
    const held = ask('wait', db.sql`select pg_sleep(20)`, 300)
    const error = await held.catch((e: unknown) => e)
    expect(error).toBeInstanceOf(DeadlineError)
    db.renewAfter(error)
    expect([...(await ask('go on', db.sql`select 1 as n`, 5000))]).toEqual([{ n: 1 }])
    await db.close()
    await db.close()
  })

  test('a statement that the server refuses is no reason for a new pool, nor does a new pool cut what is under way', async () => {
    const db = createDatabase(url, { name: 'kept', max: 2 })
    const before = db.sql
    db.renewAfter(await db.sql`select 1 / 0`.catch((e: unknown) => e))
    expect(db.sql).toBe(before)
    const slow = db.sql.begin(async (tx) => {
      await tx`select pg_sleep(0.3)`
      return tx`select 7 as n`
    })
    db.renewAfter(Object.assign(new Error('somebody else lost a connection'), { code: 'CONNECTION_CLOSED' }))
    expect(db.sql).not.toBe(before)
    expect([...(await slow)]).toEqual([{ n: 7 }])
    await db.close()
  })

  test('who freezes inside a transaction loses its locks: the time limits are the server’s', async () => {
    const [limits] = await sql`
      select current_setting('idle_in_transaction_session_timeout') as idle, current_setting('lock_timeout') as lock,
        current_setting('statement_timeout') as statement, current_setting('timezone') as zone`
    expect(limits).toEqual({ idle: '5s', lock: '5s', statement: '10s', zone: 'UTC' })
  })
})

describe('copyIn()', () => {
  test('stores a row bit for bit', async () => {
    const rows = [
      row,
      { ...row, seq: null, runKey: null, claimedLevel: 2, metadata: null, value: 5e-324, measuredAt: -1 },
    ]
    await sql.begin((tx) => copyIn(tx, COPY, copyOf(...rows)))
    const stored = await sql`
      select (extract(epoch from measured_at) * 1000000)::bigint as "measuredAt", value, "offset", seq,
        sensor_key as "sensorKey", run_key as "runKey", quality, flags, partition, topic_key as "topicKey", level,
        claimed_level as "claimedLevel", metadata::text as metadata
      from readings order by measured_at desc`
    expect([...stored]).toEqual(rows.map((r) => ({ ...r, metadata: r.metadata && '{"note": "°"}' })))
  })

  test('sends the rows from where they lie', async () => {
    const bytes = copyOf(row)
    const concat = spyOn(Buffer, 'concat')
    await sql.begin((tx) => copyIn(tx, COPY, bytes))
    const copied = concat.mock.calls.some(([buffers]) => buffers.includes(bytes))
    concat.mockRestore()
    expect(copied).toBe(false) // the library, unpatched, copies them behind the five bytes of their head
    expect([...(await sql`select count(*) as n from readings`)]).toEqual([{ n: 1 }])
  })

  test('takes more rows than one buffer', async () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => ({
      ...row,
      offset: i,
      metadata: `{"n":"${'°'.repeat(i % 50)}"}`,
    }))
    await sql.begin((tx) => copyIn(tx, COPY, copyOf(...rows)))
    const [seen] = await sql`select count(*) as n, count(distinct "offset") as offsets,
      bool_and(metadata ->> 'n' = repeat('°', ("offset" % 50)::int)) as alike from readings`
    expect(seen).toEqual({ n: 20_000, offsets: 20_000, alike: true })
  })
})
