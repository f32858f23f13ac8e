import { FINISHED, type Heartbeat, type LineReading } from '../line.ts'
import type { Micros } from '../time.ts'

/**
 * How far a line is and how its sensors live, folded message by message in the order of the log. Pure, and indifferent to
 * where the log is cut into batches, so that the rows are the log's and nobody's clock's.
 */
export interface LineState {
  factoryId: string
  sensorId: string
  sodaName: string
  /** the how manieth time that the line has begun, from 1 */
  round: number
  tier: string
  total: number
  /** the highest that has come */
  count: number
  /** how many came */
  readings: number
  firstAt: Micros
  lastAt: Micros
  /** the newest reading */
  value: number
  /** readings at 0, 1 … 100 points */
  points: readonly number[]
  runId: string
}

export interface LifeState {
  sensorId: string
  runId: string
  tier: string
  /** of the run, each once */
  counted: number
  status: string
  since: Micros
  lastAt: Micros
  upMicros: number
  outages: number
}

const NO_POINTS: readonly number[] = Array.from({ length: 101 }, () => 0)

/**
 * A count that has come before begins a new round: the line starts again. A late one that fills a skipped number does
 * not, nor does the same number once more (a sender without identity may repeat itself).
 */
export function stepLine(
  before: LineState | null,
  r: LineReading,
  runId: string,
  isFilled: boolean,
): LineState {
  const isSame = before !== null && (isFilled || goesOn(before, r))
  if (!isSame) {
    const { factoryId, sensorId, sodaName, tier, total, count } = r
    const round = (before?.round ?? 0) + 1
    const who = { factoryId, sensorId, sodaName, round, tier, total, runId }
    return {
      ...who,
      count,
      readings: 1,
      firstAt: r.at,
      lastAt: r.at,
      value: r.reading,
      points: withPoint(NO_POINTS, r),
    }
  }
  const isNewest = r.at >= before.lastAt
  return {
    ...before,
    ...(isFilled ? {} : { tier: r.tier, runId }),
    count: Math.max(before.count, Math.min(r.count, before.total)),
    readings: before.readings + 1,
    firstAt: Math.min(before.firstAt, r.at),
    lastAt: Math.max(before.lastAt, r.at),
    value: isNewest ? r.reading : before.value,
    points: withPoint(before.points, r),
  }
}

function goesOn(before: LineState, r: LineReading): boolean {
  if (r.total !== before.total) return false
  return r.count > before.count || (r.count === before.count && r.total > 1)
}

function withPoint(points: readonly number[], r: LineReading): readonly number[] {
  const at = Math.floor(r.reading)
  return points.map((n, i) => (i === at ? n + 1 : n))
}

/** Signs of life come every one or two seconds: after this long without one the sensor was away. */
export const AWAY_AFTER_MICROS = 5_000_000

export function stepLife(before: LifeState | null, beat: Heartbeat, runId: string): LifeState {
  const { sensorId, tier, status, at } = beat
  const counted = (before?.counted ?? 0) + 1
  if (!before || before.status === FINISHED)
    return { sensorId, runId, tier, counted, status, since: at, lastAt: at, upMicros: 0, outages: 0 }
  const gap = at - before.lastAt
  if (gap < 0) return { ...before, counted }
  const wasAway = gap > AWAY_AFTER_MICROS
  return {
    ...before,
    tier,
    status,
    counted,
    lastAt: at,
    upMicros: before.upMicros + (wasAway ? 0 : gap),
    outages: before.outages + (wasAway ? 1 : 0),
  }
}
