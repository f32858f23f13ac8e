import type { Transaction } from '../db/connect.ts'
import type { Ledger } from '../spool/ledger.ts'

/**
 * Signs of life are counted by the consumers, not stored one by one, so they are held against the spools by number: what
 * a spool has accepted of a sensor, less what still waits there, must have been counted, each once.
 */
export interface HeartbeatVerdict {
  accepted: number
  counted: number
  dead_lettered: number
  spooled: number
  dropped: number
  lost: number
  duplicated: number
  /** of runs that no spool here knows */
  phantom: number
}

/** What one look at a spool says of its signs of life. */
export interface HeartbeatLedger {
  runId: string
  /** given up by SPOOL_WHEN_FULL=drop-oldest; not told by sensor */
  dropped: number
  sensors: { sensorId: string; accepted: number; spooled: number }[]
}

export interface HeartbeatCount {
  runId: string
  sensorId: string
  counted: number
  deadLettered: number
}

export function heartbeatsIn(ledger: Ledger, topic: string): HeartbeatLedger {
  const sensors = ledger
    .streams()
    .filter((s) => s.topic === topic)
    .map(({ key, accepted, spooled }) => ({ sensorId: key, accepted, spooled }))
  return { runId: ledger.runId, dropped: sensors.length === 0 ? 0 : ledger.droppedBesideReadings(), sensors }
}

/** Pure. `later` is a second look, after the counts were read: what came between the two is no repeat. */
export function judgeHeartbeats(
  first: readonly HeartbeatLedger[],
  later: readonly HeartbeatLedger[],
  counts: readonly HeartbeatCount[],
): HeartbeatVerdict {
  const v = {
    accepted: 0,
    counted: 0,
    dead_lettered: 0,
    spooled: 0,
    dropped: 0,
    lost: 0,
    duplicated: 0,
    phantom: 0,
  }
  const nothing = { counted: 0, deadLettered: 0 }
  const of = new Map(counts.map((c) => [`${c.runId}\n${c.sensorId}`, c]))
  const known = new Map(later.flatMap((l) => l.sensors.map((s) => [`${l.runId}\n${s.sensorId}`, s.accepted])))
  for (const { runId, dropped, sensors } of first) {
    let missing = 0
    for (const { sensorId, accepted, spooled } of sensors) {
      const { counted, deadLettered } = of.get(`${runId}\n${sensorId}`) ?? nothing
      missing += Math.max(0, accepted - spooled - deadLettered - counted)
      v.accepted += accepted
      v.spooled += spooled
    }
    v.dropped += Math.min(missing, dropped)
    v.lost += Math.max(0, missing - dropped)
  }
  for (const { runId, sensorId, counted, deadLettered } of counts) {
    v.counted += counted
    v.dead_lettered += deadLettered
    const accepted = known.get(`${runId}\n${sensorId}`)
    if (accepted === undefined) v.phantom += counted
    else v.duplicated += Math.max(0, counted + deadLettered - accepted)
  }
  return v
}

/** What the consumers have counted, of senders with an identity. */
export async function heartbeatCounts(tx: Transaction, topic: string): Promise<HeartbeatCount[]> {
  return tx<HeartbeatCount[]>`
    select run_id as "runId", sensor_id as "sensorId", coalesce(h.counted, 0) as counted,
      coalesce(d.letters, 0) as "deadLettered"
    from (select run_id, sensor_id, counted from sensor_heartbeats where run_id <> '') h
    full join (select run_id, sensor_id, count(*) as letters from dead_letters
      where topic = ${topic} and run_id is not null and sensor_id is not null and redriven_at is null
      group by 1, 2) d using (run_id, sensor_id)`
}
