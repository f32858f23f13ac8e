import { Database } from 'bun:sqlite'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { AcceptedRun } from './evidence.ts'

/**
 * The producers' spools, read from outside by their documented form: ledger rows are, little endian and for each sensor,
 * number u32 · count u32 · first f64 · count × print u64; a chunk's frames are value length u32 · key length u16 · readings
 * u16 · number f64 · sensor number u32 each · key · value.
 */
export interface SpoolReader {
  /** what was accepted since the last look, over all spools of the directory */
  news(): AcceptedRun[]
  /** what is given up or still waits, as of now */
  exceptions(): AcceptedRun[]
}

export function createSpoolReader(directory: string): SpoolReader {
  const seen = new Map<string, number>()

  function* open() {
    const names = existsSync(directory)
      ? readdirSync(directory).filter((name) => name.endsWith('.sqlite'))
      : []
    for (const name of names) {
      let db: Database
      try {
        db = new Database(join(directory, name), { readonly: true })
        db.run('pragma busy_timeout = 2000')
      } catch {
        continue // it is being made
      }
      try {
        db.run('begin') // one moment for all: a sensor may be registered between two looks
        const run = db
          .query<{ value: string }, []>("select value from meta where name = 'run_id'")
          .get()?.value
        if (run !== undefined) yield { db, run, names: sensorNames(db) }
      } catch (error) {
        if (!/no such table|locked|busy/.test(String(error))) throw error
      } finally {
        db.close()
      }
    }
  }

  return {
    news() {
      const found: AcceptedRun[] = []
      for (const { db, run, names } of open()) {
        const rows = db
          .query<{ entry: number; body: Uint8Array }, [number]>(
            'select entry, body from ledger where entry > ? order by entry',
          )
          .all(seen.get(run) ?? 0)
        for (const { entry, body } of rows) {
          for (const part of ledgerOf(body))
            found.push({
              run,
              sensor: names.get(part.sensor) ?? `number ${part.sensor}`,
              first: part.first,
              prints: part.prints,
              given_up: null,
            })
          seen.set(run, entry)
        }
      }
      return found
    },
    exceptions() {
      const found: AcceptedRun[] = []
      for (const { db, run, names } of open()) {
        const nameOf = (sensor: number) => names.get(sensor) ?? `number ${sensor}`
        const given = db.query<
          { sensor: number; from_seq: number; to_seq: number; disposition: 'dropped' | 'rejected' },
          []
        >('select sensor, from_seq, to_seq, disposition from exceptions')
        for (const e of given.all())
          found.push({
            run,
            sensor: nameOf(e.sensor),
            first: e.from_seq,
            prints: Array<bigint>(e.to_seq - e.from_seq + 1).fill(0n),
            given_up: e.disposition,
          })
        for (const { payload } of db.query<{ payload: Uint8Array }, []>('select payload from chunks').all())
          for (const { seq, sensors } of framesOf(payload))
            for (const sensor of sensors)
              found.push({ run, sensor: nameOf(sensor), first: seq, prints: [0n], given_up: 'spooled' })
      }
      return found
    },
  }
}

function sensorNames(db: Database): Map<number, string> {
  const rows = db
    .query<{ sensor: number; sensor_id: string }, []>('select sensor, sensor_id from sensors')
    .all()
  return new Map(rows.map((row) => [row.sensor, row.sensor_id]))
}

function* ledgerOf(body: Uint8Array): Generator<{ sensor: number; first: number; prints: bigint[] }> {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  for (let at = 0; at < body.byteLength;) {
    const count = view.getUint32(at + 4, true)
    const prints = Array.from({ length: count }, (_, i) => view.getBigUint64(at + 16 + 8 * i, true))
    yield { sensor: view.getUint32(at, true), first: view.getFloat64(at + 8, true), prints }
    at += 16 + 8 * count
  }
}

function* framesOf(payload: Uint8Array): Generator<{ seq: number; sensors: number[] }> {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  for (let at = 0; at < payload.byteLength;) {
    const count = view.getUint16(at + 6, true)
    const sensors = Array.from({ length: count }, (_, i) => view.getUint32(at + 16 + 4 * i, true))
    yield { seq: view.getFloat64(at + 8, true), sensors }
    at += 16 + 4 * count + view.getUint16(at + 4, true) + view.getUint32(at, true)
  }
}
