import type { Ends } from './cluster.ts'
import { MISSED_FOR_S } from './health.ts'
import type { SinkRow } from './questions/sinks.ts'

/**
 * A sink (Elasticsearch, S3) as its positions tell it. It has no heartbeat: it is there while it holds a connection to
 * PostgreSQL, and well while what waits for it gets less. `left`: it was stopped on purpose, and said goodbye; `away`:
 * nobody is there, and nobody said so; `stopped`: it says itself that it can't go on; `stalled`: it is there, something
 * waits, or the log ends before what it has taken, and nothing has moved for longer than it may wait for company.
 */
export type SinkStatus = 'active' | 'stalled' | 'stopped' | 'away' | 'left'

export interface Sink {
  /** kind and destination, such as s3:sensor-cold */
  sink: string
  status: SinkStatus
  owners: string[]
  /** messages waiting over its partitions; null while the log's end is unknown */
  lag: number | null
  stored: number
  dead_lettered: number
  repeated: number
  missing: number
  /** when any of its positions moved last */
  updated_at: string
  updated_age_s: number
  /** why a partition stands still, where one does */
  stopped: string | null
  /** when the last of it was stopped on purpose, where all of it was */
  left_at: string | null
  partitions: SinkPlace[]
}

export interface SinkPlace {
  topic: string
  partition: number
  next_offset: number
  end_offset: number | null
  lag: number | null
  owner: string
  updated_at: string
  stopped: string | null
}

/** Not at work as it should be; one that was stopped on purpose, or has been away for some time, is no longer missed. */
export function isMissed({ status, updated_age_s }: Pick<Sink, 'status' | 'updated_age_s'>): boolean {
  return status !== 'active' && status !== 'left' && !(status === 'away' && updated_age_s >= MISSED_FOR_S)
}

/** For people: what it is, and what waits for it. */
export function tellSink({ status, lag, stopped }: Pick<Sink, 'status' | 'lag' | 'stopped'>): string {
  const waits = lag === null ? '' : `, ${lag} messages wait`
  const what = status === 'left' ? 'stopped on purpose' : status
  return `${what}${waits}${stopped === null ? '' : `: ${stopped}`}`
}

export function viewSinks(rows: readonly SinkRow[], ends: Ends | null, patienceMs: number): Sink[] {
  return [...Map.groupBy(rows, (r) => r.sink)].map(([sink, own]) => viewSink(sink, own, ends, patienceMs))
}

function viewSink(sink: string, rows: readonly SinkRow[], ends: Ends | null, patienceMs: number): Sink {
  const isStill = (row: SinkRow) => row.updated_age_s * 1000 > patienceMs
  const places = rows.map((row) => placeOf(row, ends, isStill(row)))
  const sum = (of: (r: SinkRow) => number) => rows.reduce((total, r) => total + of(r), 0)
  const newest = rows.reduce((a, b) => (a.updated_age_s < b.updated_age_s ? a : b))
  const lags = places.map((p) => p.lag)
  const stopped = rows.find((r) => r.stopped !== null)?.stopped ?? null
  const isStalled = rows.some((r, i) => isStill(r) && ((lags[i] ?? 0) > 0 || endsBefore(places[i])))
  const hasLeft = rows.every((r) => r.left_at !== null)
  return {
    sink,
    status: statusOf(),
    owners: [...new Set(rows.map((r) => r.owner))].sort(),
    lag: lags.includes(null) ? null : lags.reduce((a: number, b) => a + (b ?? 0), 0),
    stored: sum((r) => r.stored),
    dead_lettered: sum((r) => r.dead_lettered),
    repeated: sum((r) => r.repeated),
    missing: sum((r) => r.missing),
    updated_at: newest.updated_at,
    updated_age_s: newest.updated_age_s,
    stopped,
    left_at: hasLeft
      ? (rows
          .map((r) => r.left_at)
          .sort()
          .at(-1) ?? null)
      : null,
    partitions: places,
  }

  function statusOf(): SinkStatus {
    if (hasLeft) return 'left'
    if (!rows.some((r) => r.connected && r.left_at === null)) return 'away'
    if (stopped !== null) return 'stopped'
    return isStalled ? 'stalled' : 'active'
  }
}

/** The log is not the one that was taken: what waits cannot be told. */
function endsBefore(place: SinkPlace | undefined): boolean {
  return place !== undefined && place.end_offset !== null && place.end_offset < place.next_offset
}

/** A row may be newer than the ends beside it: that the log ends before it counts only where it stands still. */
function placeOf(row: SinkRow, ends: Ends | null, isStill: boolean): SinkPlace {
  const high = ends?.get(row.topic)?.find((p) => p.partition === row.partition)?.high ?? null
  const { topic, partition, next_offset, owner, updated_at, stopped } = row
  const end = high === null || isStill ? high : Math.max(high, next_offset)
  return {
    topic,
    partition,
    next_offset,
    end_offset: end,
    lag: end === null || end < next_offset ? null : end - next_offset,
    owner,
    updated_at,
    stopped,
  }
}
