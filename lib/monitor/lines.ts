import { FINISHED } from '../line.ts'
import type { LifeRow, LineRow, Lines } from './questions/lines.ts'
import type { Section } from './section.ts'

/** What a line is held against: both are the operator's. */
export interface LineTargets {
  /** planned milliseconds for one item (SODA_CYCLE) */
  cycleMs: number
  /** fewer points than this is a reject (SODA_GOOD_FROM) */
  goodFrom: number
}
export const LINE_TARGETS: LineTargets = { cycleMs: 3500, goodFrom: 10 }

/** Each figure in one sentence: on the page and in the API. */
export const DEFINITIONS = {
  availability:
    'share of the time since its sensor’s first sign of life in which signs of life came without a pause of more than five seconds',
  performance: 'planned time for the items counted (SODA_CYCLE each) by the time that the line ran for them',
  quality: 'share of the readings that had at least SODA_GOOD_FROM points',
  oee: 'availability × performance (at most 1) × quality; unknown where one of them is',
} as const

export type LineState = 'running' | 'complete' | 'standing' | 'silent'

export interface ProductionLine {
  factory_id: string
  sensor_id: string
  soda_name: string
  /** the how manieth time that it has begun */
  round: number
  tier: string
  /** standing: alive, but no item for three times the longest usual pause; silent: no sign of life either */
  state: LineState
  count: number
  total: number
  readings: number
  /** counted, but their readings have not come */
  missing: number
  value: number
  started_at: string
  last_at: string
  /** when the target is met at the pace so far; null once it is, and before there is a pace */
  projected_end: string | null
  pace_per_minute: number | null
  target_per_minute: number
  /** shares from 0 on; definitions beside; null: not known */
  availability: number | null
  performance: number | null
  quality: number | null
  oee: number | null
}

export interface LineSensor {
  sensor_id: string
  tier: string
  status: 'alive' | 'silent' | 'finished'
  since: string
  last_at: string
  heartbeats: number
  /** share of the time watched in which it was alive */
  uptime: number | null
  outages: number
}

/** Items come every 2 to 5 s. */
const STANDING_AFTER_MS = 15_000
/** Signs of life come every 1 to 2 s, and are stored within a second or two. */
const SILENT_AFTER_MS = 8000

/** Rows → what people ask of them, as of the moment at which they were read. Pure. */
export function viewLines(
  section: Section<Lines>,
  targets: LineTargets,
): Section<{ lines: ProductionLine[]; sensors: LineSensor[] }> {
  if (!section.data || section.as_of === null) return { ...section, data: null }
  const now = Date.parse(section.as_of)
  const lives = new Map(section.data.lives.map((life) => [life.sensor_id, life]))
  return {
    ...section,
    data: {
      lines: section.data.lines.map((row) => lineOf(row, lives.get(row.sensor_id) ?? null, now, targets)),
      sensors: section.data.lives.map((life) => sensorOf(life, now)),
    },
  }
}

/** One line and its sensor, as far as they are known. */
export function findLine(
  seen: { lines: ProductionLine[]; sensors: LineSensor[] } | null,
  { factory_id, sensor_id, soda_name }: Pick<ProductionLine, 'factory_id' | 'sensor_id' | 'soda_name'>,
): { line: ProductionLine | null; sensor: LineSensor | null } {
  const isIt = (l: ProductionLine) =>
    l.factory_id === factory_id && l.sensor_id === sensor_id && l.soda_name === soda_name
  return {
    line: seen?.lines.find(isIt) ?? null,
    sensor: seen?.sensors.find((s) => s.sensor_id === sensor_id) ?? null,
  }
}

export function lineOf(
  row: LineRow,
  life: LifeRow | null,
  now: number,
  targets: LineTargets,
): ProductionLine {
  const [first, last] = [Date.parse(row.first_at), Date.parse(row.last_at)]
  const isComplete = row.count >= row.total
  const stands = !isComplete && now - last > STANDING_AFTER_MS
  const isSilent = life !== null && statusOf(life, now) === 'silent'
  const intervals = row.readings - 1
  const meanMs = intervals > 0 && last > first ? (last - first) / intervals : null
  const ranMs = Math.max(0, (stands ? now : last) - first - awayMs(life, now))
  const availability = life && uptimeOf(life, now)
  const performance = intervals > 0 && ranMs > 0 ? (intervals * targets.cycleMs) / ranMs : null
  const quality = qualityOf(row.points, targets.goodFrom)
  return {
    factory_id: row.factory_id,
    sensor_id: row.sensor_id,
    soda_name: row.soda_name,
    round: row.round,
    tier: row.tier,
    state: isComplete ? 'complete' : isSilent ? 'silent' : stands ? 'standing' : 'running',
    count: row.count,
    total: row.total,
    readings: row.readings,
    missing: Math.max(0, row.count - row.readings),
    value: row.value,
    started_at: row.first_at,
    last_at: row.last_at,
    projected_end:
      isComplete || meanMs === null
        ? null
        : isoOrNull((stands ? now : last) + (row.total - row.count) * meanMs),
    pace_per_minute: meanMs === null ? null : 60_000 / meanMs,
    target_per_minute: 60_000 / targets.cycleMs,
    availability,
    performance,
    quality,
    oee:
      availability === null || performance === null || quality === null
        ? null
        : availability * Math.min(1, performance) * quality,
  }
}

function sensorOf(life: LifeRow, now: number): LineSensor {
  return {
    sensor_id: life.sensor_id,
    tier: life.tier,
    status: statusOf(life, now),
    since: life.since,
    last_at: life.last_at,
    heartbeats: life.counted,
    uptime: uptimeOf(life, now),
    outages: life.outages + (statusOf(life, now) === 'silent' ? 1 : 0),
  }
}

function statusOf(life: LifeRow, now: number): LineSensor['status'] {
  if (life.status === FINISHED) return 'finished'
  return now - Date.parse(life.last_at) > SILENT_AFTER_MS ? 'silent' : 'alive'
}

/** From its first sign of life to now while it is silent, else to its newest. */
function watchedMs(life: LifeRow, now: number): number {
  const until = statusOf(life, now) === 'silent' ? now : Date.parse(life.last_at)
  return until - Date.parse(life.since)
}

function uptimeOf(life: LifeRow, now: number): number | null {
  const watched = watchedMs(life, now)
  return watched > 0 ? Math.min(1, life.up_ms / watched) : null
}

function awayMs(life: LifeRow | null, now: number): number {
  return life ? Math.max(0, watchedMs(life, now) - life.up_ms) : 0
}

function qualityOf(points: readonly number[], goodFrom: number): number | null {
  const all = points.reduce((sum, n) => sum + n, 0)
  return all === 0 ? null : points.slice(goodFrom).reduce((sum, n) => sum + n, 0) / all
}

/** A pace of nearly nothing projects beyond what a date can be. */
function isoOrNull(ms: number): string | null {
  return Math.abs(ms) < 8.64e15 / 100 ? new Date(ms).toISOString() : null
}
