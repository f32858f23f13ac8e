import type { Part } from './detector.ts'

/**
 * What a reading is compared with: a handful of slow memories of one sensor, and how far the reading is from each. Every
 * residual is a difference or a ratio of differences, so a sensor in other units or with another zero gives the same
 * picture. Residuals below a millionth of the range seen are rounding and count as none.
 */
export const LAST_AT = 0
export const COUNT = 1
export const LOW = 2
export const HIGH = 3
export const LEVEL = 4
export const PREVIOUS = 5
export const INTERVAL = 6
const SPREAD = 7
const RATIO_MEAN = 8
const ACTIVITY = 9
const FAST = 10
const SLOW = 11
const SMOOTH_HOUR = 12
const SIDE = 13
const RUN = 14
const LOW_AT = 15
const HIGH_AT = 16
export const FIRST_AT = 17
export const MEMORIES = 18
export const HOURS = 24

/** Tail k belongs to residual k. Signed residuals have two, because a drop can be rare where rises are common. */
export const STREAMS = [
  { part: 'ratio', weight: 1 },
  { part: 'change', weight: 0.25 }, // one noisy reading is weak evidence
  { part: 'hour-of-day', weight: 1 },
  { part: 'activity', weight: 1 },
  { part: 'trend', weight: 1 },
  { part: 'hour-of-day', weight: 1 }, // the same, smoothed over ten readings
  { part: 'level', weight: 1 }, // readings in a row above the level
  { part: 'level', weight: 1 }, // … below it
  { part: 'frozen', weight: 1 }, // readings in a row without a change
] as const satisfies readonly { part: Part; weight: number }[]

const HOUR_MICROS = 3.6e9
/** a pause this many times the usual interval starts the short memories afresh */
const PAUSE = 3
/** an end of the known range that nothing came near for so long shrinks towards the level: one wild day is not for ever */
const RANGE_MEMORY_MICROS = 60 * 24 * HOUR_MICROS
const RANGE_NEAR = 0.1
/** from here on an hour is a moving mean */
const TAUGHT = 50
const ROUNDING = 1e-6

export interface Memories {
  readonly body: Float64Array
  /** usual value of each hour of the day, relative to `origin`, so that single precision is enough */
  readonly hours: Float32Array
  /** how many readings taught it, counted to TAUGHT */
  readonly taught: Uint8Array
  readonly origin: Float64Array
}

export function firstReading({ body, hours, taught, origin }: Memories, at: number, value: number): void {
  body.fill(0)
  hours.fill(0)
  taught.fill(0)
  origin[0] = value
  for (const i of [LOW, HIGH, LEVEL, PREVIOUS, RATIO_MEAN, FAST, SLOW]) body[i] = value
  for (const i of [FIRST_AT, LAST_AT, LOW_AT, HIGH_AT]) body[i] = at
  body[COUNT] = 1
}

/** Sizes of all residuals of a newer reading, written to `sizes`; then the memories learn it. Returns the share of the range by which it breaks the range (0 where it does not, endless where there was none). */
export function learn(
  m: Memories,
  at: number,
  value: number,
  utcOffsetMinutes: number,
  sizes: Float64Array,
): number {
  const { body: b, hours, taught } = m
  const n = ++b[COUNT]!
  const gap = at - b[LAST_AT]!
  b[LAST_AT] = at
  const usualGap = b[INTERVAL]!
  b[INTERVAL] = usualGap === 0 ? gap : usualGap + 0.05 * (Math.min(gap, PAUSE * usualGap) - usualGap)
  const paused = n > 2 && gap > PAUSE * b[INTERVAL]!

  const level = b[LEVEL]!
  const low = b[LOW]!
  const high = b[HIGH]!
  const range = high - low
  const rounding = ROUNDING * range
  const floor = 0.005 * range
  const off = value - level
  const change = paused ? 0 : Math.abs(value - b[PREVIOUS]!)
  const hour = hourOf(at, utcOffsetMinutes)
  const seen = taught[hour]!
  const usual = seen > 0 ? hours[hour]! + m.origin[0]! : level
  const offHour = value - usual
  const first = 1 / n
  const side = Math.abs(off) <= rounding ? 0 : off > 0 ? 1 : -1

  b[ACTIVITY]! += Math.max(0.03, first) * (change - b[ACTIVITY]!)
  b[FAST]! += Math.max(0.03, first) * (value - b[FAST]!)
  b[SLOW]! += Math.max(0.002, first) * (value - b[SLOW]!)
  b[SMOOTH_HOUR]! += Math.max(0.1, first) * (offHour - b[SMOOTH_HOUR]!)
  b[SIDE] = side * b[SIDE]! > 0 ? b[SIDE]! + side : side
  b[RUN] = paused || value !== b[PREVIOUS]! ? 0 : b[RUN]! + 1

  const ratio =
    range > 0 ? (Math.max(value, low) - low + floor) / (Math.max(b[RATIO_MEAN]!, low) - low + floor) : 1
  sizes[0] = overRounding(Math.abs(Math.log(ratio)), ROUNDING)
  sizes[1] = overRounding(change, rounding)
  // an hour is known when it comes round again
  const wholeDay = at - b[FIRST_AT]! >= HOURS * HOUR_MICROS
  sizes[2] = wholeDay ? overRounding(Math.abs(offHour), rounding) : 0
  sizes[3] = overRounding(b[ACTIVITY]!, rounding)
  sizes[4] = overRounding(Math.abs(b[FAST]! - b[SLOW]!), rounding)
  sizes[5] = wholeDay ? overRounding(Math.abs(b[SMOOTH_HOUR]!), rounding) : 0
  sizes[6] = Math.max(0, b[SIDE]!)
  sizes[7] = Math.max(0, -b[SIDE]!)
  sizes[8] = b[RUN]!

  const rate = Math.max(0.006, first)
  b[SPREAD]! += rate * (Math.abs(off) - b[SPREAD]!)
  const most = 3 * b[SPREAD]!
  b[LEVEL] = level + rate * Math.max(-most, Math.min(most, off))
  b[RATIO_MEAN]! += Math.max(0.01, first) * (value - b[RATIO_MEAN]!)
  taught[hour] = Math.min(seen + 1, TAUGHT)
  hours[hour] = usual - m.origin[0]! + Math.max(0.02, 1 / (seen + 1)) * offHour
  b[PREVIOUS] = value
  const beyond = Math.max(0, value - high, low - value)
  if (value >= high - RANGE_NEAR * range) b[HIGH_AT] = at
  if (value <= low + RANGE_NEAR * range) b[LOW_AT] = at
  const shrink = Math.min(0.01, gap / RANGE_MEMORY_MICROS)
  if (value > high) b[HIGH] = value
  else if (at - b[HIGH_AT]! > RANGE_MEMORY_MICROS) b[HIGH]! -= shrink * Math.max(0, high - level)
  if (value < low) b[LOW] = value
  else if (at - b[LOW_AT]! > RANGE_MEMORY_MICROS) b[LOW]! += shrink * Math.max(0, level - low)
  return beyond > 0 ? beyond / range : 0
}

/** What is usual at this hour, for the explanation. */
export function usualAt(m: Memories, at: number, utcOffsetMinutes: number): number {
  const hour = hourOf(at, utcOffsetMinutes)
  return m.taught[hour]! > 0 ? m.hours[hour]! + m.origin[0]! : m.body[LEVEL]!
}

function hourOf(at: number, utcOffsetMinutes: number): number {
  const hour = Math.floor(at / HOUR_MICROS + utcOffsetMinutes / 60) % HOURS
  return hour < 0 ? hour + HOURS : hour
}

function overRounding(size: number, rounding: number): number {
  return size > rounding ? size : 0
}
