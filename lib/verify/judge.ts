import type { LedgerEntry } from '../spool/ledger.ts'

/**
 * Compares what was accepted with what is stored, by identity (run, sensor, running number) and by content. Pure: fed
 * with ledger entries and rows, in any order within each phase, it keeps one hash and two bytes a reading.
 *
 *   expect() every entry of the first look at the ledgers · spooled() what waits there ·
 *   justify() entries of a later look, so that rows that came meanwhile are not taken for phantoms ·
 *   row() every stored row · deadLetter() every dead letter · verdict()
 */
export interface Judge {
  expect(entry: LedgerEntry): void
  justify(entry: LedgerEntry): void
  spooled(runId: string, sensorId: string, seq: number): void
  row(runId: string, sensorId: string, seq: number, hash: bigint): void
  deadLetter(runId: string, sensorId: string, seq: number): void
  /** a row with the right content was there */
  isStored(runId: string, sensorId: string, seq: number): boolean
  verdict(retiredBeforeMs: number): Verdict
}

export interface Verdict {
  accepted: number
  stored: number
  dead_lettered: number
  spooled: number
  dropped: number
  /** dropped with its partition by retention */
  retired: number
  lost: number
  duplicated: number
  phantom: number
  faults: SensorFault[]
}

export interface SensorFault {
  run_id: string
  sensor_id: string
  lost: number
  duplicated: number
  phantom: number
  /** the first running number that shows it */
  first_seq: number
}

/** Everything known of one sensor in one run; index = running number − 1. */
interface Track {
  hashes: BigUint64Array
  acceptedAt: Float64Array
  /** bits: 1 expected, 2 justified, 4 dropped, 8 rejected, 16 spooled, 32 dead letter */
  is: Uint8Array
  /** how often a row with the right content is there, at most 255 */
  rows: Uint8Array
  phantoms: number
  firstPhantom: number
}

const EXPECTED = 1
const JUSTIFIED = 2
const DROPPED = 4
const REJECTED = 8
const SPOOLED = 16
const DEAD = 32
/** No producer numbers this far without our knowing: a row beyond is a phantom, not a reason to allocate. */
const MAX_SEQ = 2 ** 32

export function createJudge(): Judge {
  const runs = new Map<string, Map<string, Track>>()

  function trackOf(runId: string, sensorId: string): Track {
    let sensors = runs.get(runId)
    if (!sensors) runs.set(runId, (sensors = new Map()))
    let track = sensors.get(sensorId)
    if (!track) sensors.set(sensorId, (track = emptyTrack()))
    return track
  }

  function mark(runId: string, sensorId: string, seq: number, bit: number): void {
    const track = runs.get(runId)?.get(sensorId)
    if (track && seq >= 1 && seq <= track.is.length) track.is[seq - 1] = (track.is[seq - 1] ?? 0) | bit
  }

  function note(entry: LedgerEntry, bit: number): void {
    const track = trackOf(entry.runId, entry.sensorId)
    const i = entry.seq - 1
    grow(track, entry.seq)
    track.hashes[i] = entry.hash
    track.acceptedAt[i] = entry.acceptedAtMs
    const disposition =
      entry.disposition === 'dropped' ? DROPPED : entry.disposition === 'rejected' ? REJECTED : 0
    track.is[i] = (track.is[i] ?? 0) | bit | disposition
  }

  return {
    expect: (entry) => note(entry, EXPECTED),
    justify: (entry) => note(entry, JUSTIFIED),
    spooled: (runId, sensorId, seq) => mark(runId, sensorId, seq, SPOOLED),
    deadLetter: (runId, sensorId, seq) => mark(runId, sensorId, seq, DEAD),
    isStored: (runId, sensorId, seq) => (runs.get(runId)?.get(sensorId)?.rows[seq - 1] ?? 0) > 0,
    row(runId, sensorId, seq, hash) {
      const track = trackOf(runId, sensorId)
      const i = seq - 1
      const known =
        seq >= 1 && seq <= Math.min(track.is.length, MAX_SEQ) && (track.is[i] ?? 0) & (EXPECTED | JUSTIFIED)
      if (known && track.hashes[i] === hash) {
        track.rows[i] = Math.min(255, (track.rows[i] ?? 0) + 1)
        return
      }
      track.phantoms++
      track.firstPhantom = Math.min(track.firstPhantom, seq)
      // Its identity is there, though with another content: it is a phantom, not lost as well.
      if (known) track.is[i] = (track.is[i] ?? 0) | ALTERED
    },
    verdict: (retiredBeforeMs) => sumUp(runs, retiredBeforeMs),
  }
}

const ALTERED = 64

function sumUp(runs: Map<string, Map<string, Track>>, retiredBeforeMs: number): Verdict {
  const v: Verdict = {
    accepted: 0,
    stored: 0,
    dead_lettered: 0,
    spooled: 0,
    dropped: 0,
    retired: 0,
    lost: 0,
    duplicated: 0,
    phantom: 0,
    faults: [],
  }
  for (const [runId, sensors] of runs) {
    for (const [sensorId, track] of sensors) {
      const fault: SensorFault = {
        run_id: runId,
        sensor_id: sensorId,
        lost: 0,
        duplicated: 0,
        phantom: track.phantoms,
        first_seq: track.firstPhantom,
      }
      for (let i = 0; i < track.is.length; i++) {
        const is = track.is[i] ?? 0
        const rows = track.rows[i] ?? 0
        if (rows > 1) blame(fault, 'duplicated', rows - 1, i + 1)
        if (!(is & EXPECTED)) continue
        v.accepted++
        if (rows > 0 || is & ALTERED) v.stored++
        else if (is & (DEAD | REJECTED)) v.dead_lettered++
        else if (is & DROPPED) v.dropped++
        else if (is & SPOOLED) v.spooled++
        else if ((track.acceptedAt[i] ?? 0) < retiredBeforeMs) v.retired++
        else blame(fault, 'lost', 1, i + 1)
      }
      v.lost += fault.lost
      v.duplicated += fault.duplicated
      v.phantom += fault.phantom
      if (fault.lost + fault.duplicated + fault.phantom > 0) v.faults.push(fault)
    }
  }
  return v
}

function blame(fault: SensorFault, what: 'lost' | 'duplicated', count: number, seq: number): void {
  fault[what] += count
  fault.first_seq = Math.min(fault.first_seq, seq)
}

function emptyTrack(): Track {
  return {
    hashes: new BigUint64Array(0),
    acceptedAt: new Float64Array(0),
    is: new Uint8Array(0),
    rows: new Uint8Array(0),
    phantoms: 0,
    firstPhantom: Infinity,
  }
}

function grow(track: Track, seq: number): void {
  if (seq <= track.is.length) return
  const length = Math.max(64, seq, Math.ceil(track.is.length * 1.5))
  const hashes = new BigUint64Array(length)
  hashes.set(track.hashes)
  const acceptedAt = new Float64Array(length)
  acceptedAt.set(track.acceptedAt)
  const is = new Uint8Array(length)
  is.set(track.is)
  const rows = new Uint8Array(length)
  rows.set(track.rows)
  Object.assign(track, { hashes, acceptedAt, is, rows })
}
