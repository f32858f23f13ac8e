import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import type { Books } from '../../lib/alarm/books.ts'
import type { Database } from '../../lib/db/connect.ts'
import { DEVICE_TOPIC, readingsOf } from '../../lib/device.ts'
import type { Decoded } from '../../lib/ingest/decode.ts'
import { createKeyCache } from '../../lib/ingest/keys.ts'
import type { Message } from '../../lib/ingest/outputs.ts'
import { createWorker, type Worker } from '../../lib/ingest/worker.ts'
import { list } from '../../lib/kafka/records.ts'
import { STACK_MS } from '../stack.ts'
import { seeded } from './room.ts'

setDefaultTimeout(STACK_MS)

const DEVICES = 6000
const SENSORS = 2 * DEVICES
const BEGAN = Date.UTC(2026, 0, 1)

let db: Database
let books: Books
let failures: unknown[]

beforeEach(async () => {
  ;({ db, books } = await seeded())
  failures = []
}, STACK_MS)
afterEach(() => db.close())

const now = () => performance.timeOrigin + performance.now()

function newWorker(): Worker {
  return createWorker({
    database: db,
    keys: createKeyCache(db),
    clusterId: 'test-cluster',
    topic: DEVICE_TOPIC,
    partition: 0,
    consumerId: 'consumer-1',
    decode,
    books,
    alertTopic: 'alerts',
    maxSensors: SENSORS,
    isCaughtUp: () => false,
    onFailure: (error) => failures.push(error),
    now,
  })
}

/** Its number is all that a message says: the device and the moment follow from it. */
function decode(value: Buffer | null): Decoded {
  const n = Number(value)
  const id = `device-${n % DEVICES}`
  const ts = (BEGAN + n) * 1000
  return {
    source: id,
    readings: readingsOf({ id, ts, temperature: 20 + (n % 7), humidity: 50 }),
    unknownFields: 0,
  }
}

/** Every device speaks once in each round. */
const logOf = (rounds: number): Message[] =>
  Array.from({ length: rounds * DEVICES }, (_, offset) => ({
    offset,
    appendedAtMs: BEGAN + offset,
    key: Buffer.from(`device-${offset % DEVICES}`),
    value: Buffer.from(String(offset)),
    headers: { 'run-id': Buffer.from('run-1'), seq: Buffer.from(String(Math.floor(offset / DEVICES) + 1)) },
  }))

/** As the group hands over: what one turn leaves is for the next. The most that one turn took. */
async function feed(worker: Worker, log: Message[], from: number): Promise<void> {
  const records = list(log.slice(from), from)
  while (records.standing && failures.length === 0) {
    await worker.takeRecords(records, 1000, log.length)
    await worker.drained()
  }
}

/** What the server has done with table sensors; its counts come late, so until `isThere`. */
async function workOnSensors(isThere: (inserted: number) => boolean) {
  for (;;) {
    const [row] = await db.sql<{ inserted: number; read: number; scans: number }[]>`
      select n_tup_ins::float8 as inserted, seq_tup_read::float8 as read, idx_scan::float8 as scans
      from pg_stat_user_tables where relname = 'sensors'`
    if (row && isThere(row.inserted)) return row
    await Bun.sleep(100)
  }
}

test('thousands of new sensors at once are registered in steps, each row once, and never read as a whole', async () => {
  const worker = newWorker()
  const log = logOf(2)
  await feed(worker, log.slice(0, DEVICES), await worker.claim({ low: 0, high: log.length }))
  await worker.close()
  const once = await workOnSensors((inserted) => inserted >= SENSORS)
  expect(once.inserted).toBe(SENSORS)
  // a small table is cheaper read than looked up in; as it grows that has to end
  expect(once.read / SENSORS).toBeLessThan(12)

  // Another consumer takes over: it has all numbers from the checkpoint, and looks none of them up again.
  const next = newWorker()
  await feed(next, log, await next.claim({ low: 0, high: log.length }))
  await next.close()
  expect(failures).toEqual([])
  const [stored] = await db.sql<{ rows: number; sensors: number; latest: number }[]>`
    select count(*)::int as rows, count(distinct sensor_key)::int as sensors,
      (select count(*)::int from sensor_latest) as latest from readings`
  expect(stored).toEqual({ rows: 2 * SENSORS, sensors: SENSORS, latest: expect.any(Number) })
  const [rows] = await db.sql`select count(*)::int as n from sensors`
  expect(rows?.n).toBe(SENSORS)
})
