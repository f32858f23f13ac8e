import { readFrames } from './frame.ts'
import { nextSeqs } from './register.ts'
import { readStore } from './store.ts'

/**
 * The record of everything that was ever accepted: what `verify` judges by. It is written in the commit that accepts,
 * and neither the sender nor any consumer can touch it.
 *
 * Body of a row, little endian, for each sensor: sensor number u32 · count u32 · first seq f64 · count × hash u64.
 */
export interface LedgerEntry {
  runId: string
  sensorId: string
  seq: number
  /** lib/hash.ts contentHash of the reading */
  hash: bigint
  /**
   * accepted: on its way or there · dropped: given up by SPOOL_WHEN_FULL=drop-oldest (it may have arrived all the same,
   * where an answer was lost before) · rejected: too large, or refused by the broker for good; it is a dead letter
   */
  disposition: 'accepted' | 'dropped' | 'rejected'
  acceptedAtMs: number
}

export interface Ledger extends Iterable<LedgerEntry> {
  runId: string
  producerId: string
  /** messages; accepted = sent + dropped + rejected + what is spooled */
  totals: { accepted: number; sent: number; dropped: number; rejected: number }
  /** each running number: how many messages it has given out, and how many of them wait to be sent */
  streams(): { topic: string; key: string; accepted: number; spooled: number }[]
  /** messages without a reading that SPOOL_WHEN_FULL=drop-oldest gave up; where each message has one reading */
  droppedBesideReadings(): number
  /** readings not yet acknowledged by Kafka */
  spooled(): Iterable<{ runId: string; sensorId: string; seq: number }>
  close(): void
}

/** One reading's row in the making. */
export interface LedgerRun {
  sensor: number
  firstSeq: number
  hashes: bigint[]
}

export function encodeLedger(runs: Iterable<LedgerRun>): Buffer {
  const list = [...runs]
  const body = Buffer.allocUnsafe(list.reduce((sum, run) => sum + 16 + run.hashes.length * 8, 0))
  let at = 0
  for (const run of list) {
    at = body.writeUInt32LE(run.sensor, at)
    at = body.writeUInt32LE(run.hashes.length, at)
    at = body.writeDoubleLE(run.firstSeq, at)
    for (const hash of run.hashes) at = body.writeBigUInt64LE(hash, at)
  }
  return body
}

export function* decodeLedger(body: Uint8Array): Generator<LedgerRun> {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  let at = 0
  while (at < buffer.length) {
    const sensor = buffer.readUInt32LE(at)
    const count = buffer.readUInt32LE(at + 4)
    const firstSeq = buffer.readDoubleLE(at + 8)
    at += 16
    const hashes: bigint[] = []
    for (let i = 0; i < count; i++, at += 8) hashes.push(buffer.readBigUInt64LE(at))
    yield { sensor, firstSeq, hashes }
  }
}

/** A snapshot of one spool file, whether its producer runs or is dead. Close it: while open it holds the snapshot. */
export function readLedger(file: string): Ledger {
  const { db, runId, producerId, close } = readStore(file)
  db.run('begin')
  const totals = db.query<Ledger['totals'], []>('select accepted, sent, dropped, rejected from totals').get()
  if (!totals) throw new Error(`Cannot read the spool "${file}": it has no totals`)
  const names = new Map<number, string>()
  for (const row of db.query<{ sensor: number; sensor_id: string }, []>('select * from sensors').iterate()) {
    names.set(row.sensor, row.sensor_id)
  }
  const nameOf = (sensor: number) => names.get(sensor) ?? `sensor number ${sensor}`
  const dispositionOf = readExceptions(db)

  return {
    runId,
    producerId,
    totals,
    close,
    streams: () => readStreams(db),
    droppedBesideReadings: () => Math.max(0, totals.dropped - droppedReadings(db)),
    *[Symbol.iterator]() {
      const rows = db.query<{ accepted_at: number; body: Uint8Array }, []>(
        'select accepted_at, body from ledger order by entry',
      )
      for (const row of rows.iterate()) {
        for (const { sensor, firstSeq, hashes } of decodeLedger(row.body)) {
          for (const [i, hash] of hashes.entries()) {
            const seq = firstSeq + i
            yield {
              runId,
              sensorId: nameOf(sensor),
              seq,
              hash,
              disposition: dispositionOf(sensor, seq),
              acceptedAtMs: row.accepted_at,
            }
          }
        }
      }
    },
    *spooled() {
      const rows = db.query<{ payload: Uint8Array }, []>('select payload from chunks order by chunk')
      for (const row of rows.iterate()) {
        for (const { sensors, seq } of readFrames(row.payload)) {
          for (const sensor of sensors) yield { runId, sensorId: nameOf(sensor), seq }
        }
      }
    },
  }
}

function readStreams(db: ReturnType<typeof readStore>['db']) {
  const spooled = new Map<string, number>()
  const chunks = db.query<{ topic: string; payload: Uint8Array }, []>('select topic, payload from chunks')
  for (const { topic, payload } of chunks.iterate()) {
    for (const { key } of readFrames(payload)) {
      const name = `${topic}\n${key.toString()}`
      spooled.set(name, (spooled.get(name) ?? 0) + 1)
    }
  }
  return nextSeqs(db).map(({ topic, key, nextSeq }) => ({
    topic,
    key,
    accepted: nextSeq - 1,
    spooled: spooled.get(`${topic}\n${key}`) ?? 0,
  }))
}

function droppedReadings(db: ReturnType<typeof readStore>['db']): number {
  const sum = db
    .query<{ n: number | null }, []>(
      "select sum(to_seq - from_seq + 1) as n from exceptions where disposition = 'dropped'",
    )
    .get()
  return sum?.n ?? 0
}

type Exception = { sensor: number; from_seq: number; to_seq: number; disposition: 'dropped' | 'rejected' }

function readExceptions(db: ReturnType<typeof readStore>['db']) {
  const bySensor = new Map<number, Exception[]>()
  const rows = db.query<Exception, []>(
    'select sensor, from_seq, to_seq, disposition from exceptions order by sensor, from_seq',
  )
  for (const row of rows.iterate()) {
    const list = bySensor.get(row.sensor)
    if (list) list.push(row)
    else bySensor.set(row.sensor, [row])
  }
  return (sensor: number, seq: number): LedgerEntry['disposition'] => {
    const list = bySensor.get(sensor)
    if (!list) return 'accepted'
    let low = 0
    let high = list.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const range = list[middle] as Exception
      if (seq < range.from_seq) high = middle - 1
      else if (seq > range.to_seq) low = middle + 1
      else return range.disposition
    }
    return 'accepted'
  }
}
