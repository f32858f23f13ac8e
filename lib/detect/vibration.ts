import { IGNORED, QUIET, type Detector, type Sample, type Verdict } from './detector.ts'
import type { Micros } from '../time.ts'
import { kept, numbers, type Numbers } from './layout.ts'

/**
 * Severity of vibration velocity (RMS, mm/s) in the zones of ISO 10816/20816: A as new, B fit for long operation, C not
 * for long, D does damage. The value is smoothed over a minute, so that a truck passing by is no zone; a zone is left
 * downwards only 10 % below its lower end. Beside it runs the trend: an exponentially weighted line through the last
 * three days and what it means for the next zone.
 *
 * Active in zones C and D; the score crosses 0.5 on the way from B to C and 0.75 on the way to D.
 */
export const MACHINE_CLASSES = {
  'class-1': [0.71, 1.8, 4.5], // ISO 10816-1: small machines, to 15 kW
  'class-2': [1.12, 2.8, 7.1], // medium, 15–75 kW, or to 300 kW on a special foundation
  'class-3': [1.8, 4.5, 11.2], // large, on a rigid foundation
  'class-4': [2.8, 7.1, 18], // large, on a soft foundation
  'group-1-rigid': [2.3, 4.5, 7.1], // ISO 20816-3: 300 kW to 50 MW
  'group-1-flexible': [3.5, 7.1, 11],
  'group-2-rigid': [1.4, 2.8, 4.5], // 15–300 kW
  'group-2-flexible': [2.3, 4.5, 7.1],
} as const
export type MachineClass = keyof typeof MACHINE_CLASSES

export const ZONES = ['A', 'B', 'C', 'D'] as const
export type Zone = (typeof ZONES)[number]

export interface VibrationRule {
  readonly machineClass: MachineClass
  /** a trend that reaches zone C or D within this time is told */
  readonly horizonMicros: Micros
}
const HOUR = 3600e6
export const DEFAULT_VIBRATION_RULE: VibrationRule = { machineClass: 'class-2', horizonMicros: 72 * HOUR }

export type VibrationState = Numbers

const SMOOTHING_MICROS = 60e6
/** wear takes days: a daily round must not look like it */
const TREND_MICROS = 72 * HOUR
const TREND_SETTLE = 72 * HOUR
/** a line must explain this share of what the smoothed value does before it is believed */
const TREND_FIT = 0.6
const HYSTERESIS = 0.9

const LAST_AT = 0
const COUNT = 1
const SMOOTH = 2
const ZONE = 3
const FIRST_AT = 4
/** weighted sums for the line, time in hours before the newest reading */
const WEIGHT = 5
const SUM_T = 6
const SUM_TT = 7
const SUM_Y = 8
const SUM_TY = 9
const SUM_YY = 10
const TREND_OPEN = 11
const FIELDS = 12

export const vibration: Detector<VibrationState, VibrationRule> = {
  name: 'vibration',
  ...kept(1, numbers(FIELDS)),
  step,
}

function step({ numbers: s }: VibrationState, { at, value }: Sample, rule: VibrationRule): Verdict {
  const limits = MACHINE_CLASSES[rule.machineClass]
  if (s[COUNT]! === 0) {
    s[SMOOTH] = value
    s[FIRST_AT] = at
    s[ZONE] = zoneFrom(0, value, limits)
  } else {
    if (!(at > s[LAST_AT]!)) return IGNORED
    const gap = at - s[LAST_AT]!
    s[SMOOTH]! += Math.max(1 - Math.exp(-gap / SMOOTHING_MICROS), 1 / (s[COUNT]! + 1)) * (value - s[SMOOTH]!)
    age(s, gap)
  }
  s[LAST_AT] = at
  s[COUNT]! += 1
  const y = s[SMOOTH]!
  s[WEIGHT]! += 1
  s[SUM_Y]! += y
  s[SUM_YY]! += y * y

  const before = s[ZONE]!
  const zone = zoneFrom(before, y, limits)
  s[ZONE] = zone
  const trend = trendOf({ numbers: s })
  const next = limits[zone] ?? null
  const hoursToNext = trend && next !== null && trend.perHour > 0 ? (next - y) / trend.perHour : Infinity
  const soon = zone >= 1 && hoursToNext * HOUR <= rule.horizonMicros
  if (zone < 2 && !soon) {
    s[TREND_OPEN] = 0
    return { ...QUIET, score: severity(y, limits), part: 'zone', high: next }
  }
  const entered = zone > before && zone >= 2
  const began = soon && s[TREND_OPEN] === 0
  s[TREND_OPEN] = soon ? 1 : 0
  const score = entered ? Math.max(0.5, severity(y, limits)) : began ? 0.5 : 0
  return {
    ...QUIET,
    score,
    active: true,
    part: zone >= 2 ? 'zone' : 'trend',
    low: zone > 0 ? limits[zone - 1]! : null,
    high: next,
    reasons: [
      { part: 'zone', size: y, usual: limits[1], p: null, zone: ZONES[zone] as Zone },
      ...(trend && soon
        ? [{ part: 'trend' as const, size: hoursToNext, usual: null, p: null, zone: ZONES[zone + 1] as Zone }]
        : []),
    ],
  }
}

/** The zone of one value, without memory: for a mean that somebody else has made. */
export function zoneOfValue(value: number, machine: MachineClass): Zone {
  return ZONES[zoneFrom(0, value, MACHINE_CLASSES[machine]) as 0 | 1 | 2 | 3]
}

export function zoneOf({ numbers }: VibrationState): Zone {
  return ZONES[numbers[ZONE]! as 0 | 1 | 2 | 3]
}

/** The line through the last three days, mm/s per hour; null while it is too young or explains too little. */
export function trendOf({
  numbers: s,
}: Pick<VibrationState, 'numbers'>): { perHour: number; fit: number } | null {
  if (s[LAST_AT]! - s[FIRST_AT]! < TREND_SETTLE) return null
  const w = s[WEIGHT]!
  const tt = s[SUM_TT]! - s[SUM_T]! ** 2 / w
  const yy = s[SUM_YY]! - s[SUM_Y]! ** 2 / w
  const ty = s[SUM_TY]! - (s[SUM_T]! * s[SUM_Y]!) / w
  if (!(tt > 0 && yy > 0)) return null
  const fit = ty ** 2 / (tt * yy)
  return fit >= TREND_FIT ? { perHour: -ty / tt, fit } : null
}

/** Time passes: every earlier reading is further back and weighs less. */
function age(s: Float64Array, gap: Micros): void {
  const hours = gap / HOUR
  const keep = Math.exp(-gap / TREND_MICROS)
  s[SUM_TT]! += 2 * hours * s[SUM_T]! + hours * hours * s[WEIGHT]!
  s[SUM_TY]! += hours * s[SUM_Y]!
  s[SUM_T]! += hours * s[WEIGHT]!
  for (const i of [WEIGHT, SUM_T, SUM_TT, SUM_Y, SUM_TY, SUM_YY]) s[i]! *= keep
}

function zoneFrom(before: number, value: number, limits: readonly number[]): number {
  let zone = 0
  for (let z = 0; z < limits.length; z++) {
    const limit = limits[z]!
    if (value >= (before > z ? HYSTERESIS * limit : limit)) zone = z + 1
  }
  return zone
}

/** 0 … 1, so that A|B lies at 0.25, B|C at 0.5, C|D at 0.75. */
function severity(value: number, limits: readonly number[]): number {
  const ends = [0, ...limits, 2 * limits[limits.length - 1]!]
  for (let z = 0; z + 1 < ends.length; z++) {
    const [low, high] = [ends[z]!, ends[z + 1]!]
    if (value < high) return Math.max(0, 0.25 * (z + (value - low) / (high - low)))
  }
  return 1
}
