import type { Snapshot } from '../snapshot.ts'
import type { Incident } from './incident.ts'

/** What an incident cost, from its first moment to its last. */
export interface Cost {
  duration_s: number
  max_lag: number | null
  max_lag_seconds: number | null
  max_end_to_end_ms: number | null
  rebalances: number
  rebalance_ms: number
  partitions_moved: number
  repeats_suppressed: number
  readings_missing: number
  /** by the producers' own record, once it was asked after the end; null: not (yet) told */
  readings_lost: number | null
  dead_lettered: number
  readings_stored: number
}

/** Counters at its beginning. */
export interface Totals {
  stored: number
  repeated: number
  missing: number
  dead_lettered: number
}

/** Brings the cost up to a snapshot; true where something of it changed that is worth writing down. */
export function addCost(incident: Incident, baseline: Totals, s: Snapshot, now: number): boolean {
  const totals = totalsOf(s)
  const since = (s.rebalances.data ?? []).filter((e) => e.at >= incident.opened_at)
  const events = since.filter((e) => e.event_type === 'rebalance_complete')
  const gained = since.flatMap((e) => (e.event_type === 'partition_assigned' ? e.gained : []))
  const flow = s.flow.data
  const cost: Cost = {
    duration_s: (now - Date.parse(incident.opened_at)) / 1000,
    max_lag: most(incident.cost.max_lag, flow?.lag ?? null),
    max_lag_seconds: most(incident.cost.max_lag_seconds, flow?.lag_seconds ?? null),
    max_end_to_end_ms: most(incident.cost.max_end_to_end_ms, flow?.end_to_end_ms_p99 ?? null),
    rebalances: Math.max(incident.cost.rebalances, events.length),
    rebalance_ms: Math.max(incident.cost.rebalance_ms, ...events.map((e) => e.duration_ms ?? 0)),
    partitions_moved: Math.max(incident.cost.partitions_moved, gained.length),
    repeats_suppressed: Math.max(0, totals.repeated - baseline.repeated),
    readings_missing: Math.max(0, totals.missing - baseline.missing),
    readings_lost: incident.cost.readings_lost,
    dead_lettered: Math.max(0, totals.dead_lettered - baseline.dead_lettered),
    readings_stored: Math.max(0, totals.stored - baseline.stored),
  }
  const changed =
    cost.max_lag !== incident.cost.max_lag ||
    cost.repeats_suppressed !== incident.cost.repeats_suppressed ||
    cost.readings_missing !== incident.cost.readings_missing
  incident.cost = cost
  return changed
}

export function recoveryText(cost: Cost): string {
  const lag = cost.max_lag === null ? 'unknown' : `${cost.max_lag} messages`
  const seconds = cost.max_lag_seconds === null ? '' : `, the oldest for ${cost.max_lag_seconds.toFixed(1)} s`
  return `Everything flows again. At most ${lag} waited${seconds}; ${cost.repeats_suppressed} repeats were suppressed, ${cost.readings_missing} numbers are missing.`
}

export function totalsOf(s: Snapshot): Totals {
  const parts = s.partitions.data ?? []
  const sum = (of: (p: (typeof parts)[number]) => number) => parts.reduce((total, p) => total + of(p), 0)
  return {
    stored: sum((p) => p.stored),
    repeated: sum((p) => p.repeated),
    missing: sum((p) => p.missing - p.filled),
    dead_lettered: sum((p) => p.dead_lettered),
  }
}

function most(a: number | null, b: number | null): number | null {
  if (a === null) return b
  return b === null ? a : Math.max(a, b)
}

export function noCost(): Cost {
  return {
    duration_s: 0,
    max_lag: null,
    max_lag_seconds: null,
    max_end_to_end_ms: null,
    rebalances: 0,
    rebalance_ms: 0,
    partitions_moved: 0,
    repeats_suppressed: 0,
    readings_missing: 0,
    readings_lost: null,
    dead_lettered: 0,
    readings_stored: 0,
  }
}

export function ledgerText(lost: number): string {
  return lost === 0
    ? 'By the ledger no accepted reading is lost.'
    : `By the ledger ${lost} accepted readings are lost.`
}
