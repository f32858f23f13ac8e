import { bellRarity } from './bell.ts'
import {
  IGNORED,
  QUIET,
  type Detector,
  type Part,
  type Reason,
  type Sample,
  type Verdict,
} from './detector.ts'
import { kept } from './layout.ts'

/**
 * A steady, fast sensor against its own recent past: spikes, shifts, drifts and restlessness, found within seconds and
 * with known odds. Two levels follow the sensor, one closely and one with a stronger memory of where it is heading; from
 * each, deviations are smoothed over one to some 25 readings, and of each smoothed deviation it knows how large it is when
 * nothing happens. Beside them stands the size of the noise. `threshold` is in those deviations.
 *
 * What is being judged is no part of what it is judged by: the levels learn from readings that are 16 and 32 readings
 * old, and from none that belong to an alarm. How large a deviation usually is, is a quantile and not a variance, because
 * faults that nobody noticed would swell a variance and hide the next one.
 *
 * That arithmetic holds only where noise is well-behaved, so the detector judges itself: while more than one step in 100
 * is larger than four usual ones (clusters count once) it keeps silent and leaves the sensor to the adaptive detector, which assumes nothing.
 *
 * States: learning (60 readings, silent) → quiet → active, until 10 readings in a row are within 60 % of the threshold.
 * While active nothing is learnt; after 300 readings what lasts is the new normal. A value that sticks teaches nothing.
 */
export interface BaselineRule {
  /** deviations at which the score is 0.5 */
  readonly threshold: number
  /** sensors slower than this are left alone */
  readonly slowestMicros: number
}
export const DEFAULT_BASELINE_RULE: BaselineRule = { threshold: 5.3, slowestMicros: 15e6 }

export interface BaselineState {
  readonly bytes: Uint8Array
  readonly numbers: Float64Array
  /** means of eight readings each, oldest overwritten; NaN: they belong to an alarm and teach nothing */
  readonly blocks: Float64Array
  readonly small: Float32Array
}

const LEARNING = 60
const BLOCK = 8
const BLOCKS = 4
/** `rate`, `slope`: what a block teaches, a reading; `delay` in blocks; `means`: rates of the smoothed deviations */
const LEVELS = [
  { rate: 0.015, slope: 1.4e-5, delay: 2, means: [1, 0.3, 0.1, 0.04] },
  { rate: 0.015, slope: 2.7e-5, delay: 4, means: [0.15, 0.05] },
] as const
/** during an alarm the slope fades: nobody knows where the sensor would be heading */
const FADE = 0.95
const MEANS = LEVELS.flatMap(({ means }, level) => means.map((rate) => ({ level, rate })))
/** the mean that tells where the readings are now, at the end of an alarm */
const SETTLED = 2
/** … and where they just were: restlessness is away from there, √(1 + 0.3 / 1.7) times a deviation of plain noise */
const NEAR = 1
const NEAR_SPREAD = 1.085
/** so little movement (of plain noise it is 1) is a value that sticks: it teaches nothing */
const STUCK = 0.1
const SCALE_RATE = 0.001
const QUANTILE = 0.87
/** that quantile of a normal deviation's size */
const QUANTILE_AT = 1.514
/** the size that one reading in 50 reaches: 1.54 times the quantile for a bell curve, 1.6 with faults in it, 1.85 for a fat tail */
const TAIL_QUANTILE = 0.98
const PLAIN_TAIL = 1.54
const FAT = 1.68
/** further out than so many deviations a single reading says no more to a mean */
const HEARD = 4
/** one step of a scale, towards the quantile */
const SCALE_STEP = 2 / QUANTILE_AT
const SCALES_KNOWN = 200
/** what is further out than so many deviations teaches a level no more than that */
const MOST = 4
/** from here on a reading is suspicious and teaches scales a fifth */
const SUSPICIOUS = 3.8
const NOISE = 0.08
const POWER_RATE = 0.002
const CLIP = 7
/** the root of the power is not quite normal far out */
const RESTLESS_SKEW = 1.2
/** of plain noise: the cube root of its power, smoothed by NOISE, strays by this (2 · NOISE / (2 − NOISE) / 9); nothing real strays less */
const PLAIN_POWER_VARIANCE = 0.0093
/** the power is smoothed over a dozen readings, so it takes many before one knows how far it strays by itself */
const RESTLESS_YOUNG = 150
/** scales learnt from few readings are too small as often as too large: the bar starts higher by this many / readings … */
const YOUNG = 40
/** … and for slow means, of which few are independent, by this many / (readings · rate) */
const YOUNG_MEAN = 8
const CALM = 10
const ACCEPTED_AFTER = 300
const WILD_RATE = 1 / 2000
const WILD_SHARE = 1 / 100
/** a fault is a cluster of large steps; wild noise has them scattered: one in so many readings is counted */
const WILD_APART = 20
const PAUSE = 10

/** numbers (double precision): times and values */
const LAST_AT = 0
const PREVIOUS = 1
const STEP_VARIANCE = 2
const BLOCK_SUM = 3
const LEVEL = 4
const NUMBERS = LEVEL + LEVELS.length
/** small (single precision): deviations, ratios and counts */
const COUNT = 0
const POWER = 1
const POWER_ROOT = 2
const POWER_VARIANCE = 3
const WILD = 4
const WILD_AGE = 5
const ACTIVE_FOR = 6
const CALM_FOR = 7
const INTERVAL = 8
const SLOPE = 9
const MEAN = SLOPE + LEVELS.length
const SCALE = MEAN + MEANS.length
const TAIL = SCALE + MEANS.length
const SMALL = TAIL + 1
const BYTES = 8 * (NUMBERS + BLOCKS) + 4 * SMALL

export const baseline: Detector<BaselineState, BaselineRule> = {
  name: 'baseline',
  // 1 knew one level and variances: it can't be continued from, and is learnt anew within minutes
  ...kept(2, { size: BYTES, at: layOut }),
  step,
}

function layOut(buffer: ArrayBuffer, offset: number): BaselineState {
  return {
    bytes: new Uint8Array(buffer, offset, BYTES),
    numbers: new Float64Array(buffer, offset, NUMBERS),
    blocks: new Float64Array(buffer, offset + 8 * NUMBERS, BLOCKS),
    small: new Float32Array(buffer, offset + 8 * (NUMBERS + BLOCKS), SMALL),
  }
}

function step(state: BaselineState, { at, value }: Sample, rule: BaselineRule): Verdict {
  const { numbers: d, small: s } = state
  if (s[COUNT]! === 0) {
    d[LAST_AT] = at
    d[PREVIOUS] = d[BLOCK_SUM] = value
    d.fill(value, LEVEL)
    s[COUNT] = s[POWER] = s[POWER_ROOT] = 1
    return QUIET
  }
  if (!(at > d[LAST_AT]!)) return IGNORED
  const n = ++s[COUNT]!
  const gap = at - d[LAST_AT]!
  d[LAST_AT] = at
  s[INTERVAL] = n === 2 ? gap : s[INTERVAL]! + 0.05 * (Math.min(gap, 3 * s[INTERVAL]!) - s[INTERVAL]!)
  const paused = gap > PAUSE * s[INTERVAL]!
  if (paused) s.fill(0, MEAN, SCALE)

  const off = value - d[LEVEL]!
  const deviation = s[SCALE]!
  const restlessness = off - s[MEAN + NEAR]!
  const loudest = smooth(state, value)
  const relative = deviation > 0 ? Math.min(36, (restlessness / (NEAR_SPREAD * deviation)) ** 2) : 1
  s[POWER]! += NOISE * (relative - s[POWER]!)
  const root = Math.cbrt(s[POWER]!) // nearly normal where the noise is (Wilson and Hilferty)
  const restless = isFat(s)
    ? 0
    : Math.max(0, root - s[POWER_ROOT]!) /
      Math.sqrt(Math.max(s[POWER_VARIANCE]!, PLAIN_POWER_VARIANCE)) /
      (RESTLESS_SKEW * (1 + RESTLESS_YOUNG / n))
  learnSteps(state, value, paused)

  const active = s[ACTIVE_FOR]! > 0
  const threshold = rule.threshold * (1 + YOUNG / n)
  const away = distance(s, loudest)
  const size = Math.max(away, restless)
  learnScales(state.small, root, active ? 0.1 : size > SUSPICIOUS && n > LEARNING ? 0.2 : 1)
  learnTail(s, active)
  const expected = d[LEVEL]!
  const stuck = s[POWER]! < STUCK
  if (stuck) s.fill(0, MEAN, SCALE)
  learnLevels(state, value, active || stuck)
  d[PREVIOUS] = value
  if (s[ACTIVE_FOR]! >= ACCEPTED_AFTER) accept(state)
  if (n <= LEARNING || s[WILD]! > WILD_SHARE || s[INTERVAL]! > rule.slowestMicros) {
    s[ACTIVE_FOR] = 0
    return QUIET
  }
  const holds = follow(s, size >= threshold, size < 0.6 * threshold)
  const began = holds && !active
  if (active && !holds) accept(state)
  if (began) state.blocks.fill(NaN) // it was there before it was noticed
  const score = 1 - 2 ** (-size / threshold)
  if (!holds) return score < 0.25 ? QUIET : { ...QUIET, score }
  const part = restless > away ? 'activity' : partOf(loudest)
  return {
    score: began ? Math.max(0.5, score) : 0,
    active: true,
    rarity: began ? bellRarity(size / (1 + YOUNG / n), MEANS.length + 1) : null,
    part,
    expected,
    low: expected - threshold * deviation,
    high: expected + threshold * deviation,
    reasons: began ? [reason(s, part, loudest)] : QUIET.reasons,
  }
}

/** Smooths the deviations from each level; answers which is the largest in its own scale. */
function smooth({ numbers: d, small: s }: BaselineState, value: number): number {
  const most = s[SCALE]! > 0 ? HEARD * s[SCALE]! : Infinity
  let loudest = 0
  let largest = -1
  for (let k = 0; k < MEANS.length; k++) {
    const { level, rate } = MEANS[k]!
    const off = value - d[LEVEL + level]!
    const heard = rate === 1 || s[COUNT]! <= LEARNING ? off : Math.max(-most, Math.min(most, off))
    s[MEAN + k]! += rate * (heard - s[MEAN + k]!)
    const size = distance(s, k)
    if (size > largest) {
      largest = size
      loudest = k
    }
  }
  return loudest
}

/** Single readings of a sensor with a fat tail say nothing, nor does how much it moves; its means still do. */
function isFat(s: Float32Array): boolean {
  return s[TAIL]! > FAT * QUANTILE_AT * s[SCALE]!
}

/** In deviations; a sensor that never moved has none, so any move is far. */
function distance(s: Float32Array, k: number): number {
  if (k === 0 && isFat(s)) return 0
  const size = Math.abs(s[MEAN + k]!)
  const scale = s[SCALE + k]! * (1 + YOUNG_MEAN / (s[COUNT]! * MEANS[k]!.rate))
  return scale > 0 ? size / scale : size === 0 ? 0 : 1e3
}

/** The share of steps that are far larger than usual: the sensor's own proof that it is well-behaved. */
function learnSteps({ numbers: d, small: s }: BaselineState, value: number, paused: boolean): void {
  if (paused) return
  const n = s[COUNT]!
  const square = (value - d[PREVIOUS]!) ** 2
  const usual = d[STEP_VARIANCE]!
  if (n > LEARNING / 2) {
    const wild = ++s[WILD_AGE]! > WILD_APART && square > 16 * usual
    if (wild) s[WILD_AGE] = 0
    s[WILD]! += Math.max(WILD_RATE, 1 / n) * ((wild ? 1 : 0) - s[WILD]!)
  }
  const most = n > LEARNING / 2 ? Math.min(square, CLIP * usual) : square
  d[STEP_VARIANCE]! += Math.max(POWER_RATE, 1 / n) * (most - usual)
}

/** How large each smoothed deviation and the power are when nothing happens. `weight`: less while something does. */
function learnScales(s: Float32Array, root: number, weight: number): void {
  const n = s[COUNT]!
  for (let k = 0; k < MEANS.length; k++) {
    const size = Math.abs(s[MEAN + k]!)
    const scale = s[SCALE + k]!
    if (n < SCALES_KNOWN || scale === 0) {
      const normal = 1.2533 * size // the mean size of a normal deviation is √(2/π) of it
      s[SCALE + k]! += (weight / n) * ((n > LEARNING / 2 ? Math.min(normal, 2.6 * scale) : normal) - scale)
      if (s[SCALE + k] === 0 && n >= SCALES_KNOWN) s[SCALE + k] = normal / n
    } else {
      const beyond = size > QUANTILE_AT * scale
      s[SCALE + k]! *= 1 + weight * SCALE_RATE * SCALE_STEP * (beyond ? QUANTILE : QUANTILE - 1)
    }
  }
  if (n < LEARNING / 3) return
  const rate = weight * Math.max(POWER_RATE, 1 / n)
  const away = root - s[POWER_ROOT]!
  s[POWER_ROOT]! += rate * away
  s[POWER_VARIANCE]! +=
    rate * (Math.min(away * away, CLIP * (s[POWER_VARIANCE]! || 0.02)) - s[POWER_VARIANCE]!)
}

/** How far out one reading in 50 is. Of a fault only the first reading counts. */
function learnTail(s: Float32Array, active: boolean): void {
  if (s[COUNT]! <= SCALES_KNOWN) s[TAIL] = PLAIN_TAIL * QUANTILE_AT * s[SCALE]!
  else if (!active)
    s[TAIL]! *=
      1 + SCALE_RATE * SCALE_STEP * (Math.abs(s[MEAN]!) > s[TAIL]! ? TAIL_QUANTILE : TAIL_QUANTILE - 1)
}

/** The levels go on as they were heading; every eighth reading each is taught by a block that is some time ago. */
function learnLevels({ numbers: d, blocks, small: s }: BaselineState, value: number, active: boolean): void {
  const n = s[COUNT]!
  const young = n <= BLOCK * BLOCKS
  d[BLOCK_SUM]! += active ? NaN : value
  const ended = n % BLOCK === 0
  const place = Math.floor(n / BLOCK)
  if (ended) {
    blocks[place % BLOCKS] = d[BLOCK_SUM]! / BLOCK
    d[BLOCK_SUM] = 0
  }
  for (let j = 0; j < LEVELS.length; j++) {
    const { rate, slope, delay } = LEVELS[j]!
    d[LEVEL + j]! += s[SLOPE + j]!
    if (young) {
      if (!active) d[LEVEL + j]! += (value - d[LEVEL + j]!) / n
      continue
    }
    if (!ended) continue
    const taught = blocks[(place + 1 + BLOCKS - delay) % BLOCKS]!
    const age = BLOCK * (delay - 0.5) - 0.5 // readings from the middle of that block to now
    const off = taught - (d[LEVEL + j]! - s[SLOPE + j]! * age)
    if (Number.isNaN(off)) {
      s[SLOPE + j]! *= FADE ** BLOCK
      continue
    }
    const most = MOST * s[SCALE]!
    const lesson = BLOCK * Math.max(-most, Math.min(most, off))
    d[LEVEL + j]! += Math.max(rate, 1 / n) * lesson
    if (n > 100) s[SLOPE + j]! += slope * lesson
  }
}

/** What has lasted so long, or what comes after an alarm, is normal now: the levels begin anew where the readings are. */
function accept({ numbers: d, blocks, small: s }: BaselineState): void {
  d.fill(d[LEVEL]! + s[MEAN + SETTLED]!, LEVEL)
  blocks.fill(NaN)
  s.fill(0, SLOPE, SCALE)
  d[BLOCK_SUM] = NaN
  s[ACTIVE_FOR] = s[CALM_FOR] = 0
}

function follow(s: Float32Array, begins: boolean, calm: boolean): boolean {
  if (begins) {
    s[ACTIVE_FOR]! += 1
    s[CALM_FOR] = 0
  } else if (s[ACTIVE_FOR]! > 0) {
    s[ACTIVE_FOR]! += 1
    s[CALM_FOR] = calm ? s[CALM_FOR]! + 1 : 0
    if (s[CALM_FOR]! >= CALM) s[ACTIVE_FOR] = 0
  }
  return s[ACTIVE_FOR]! > 0
}

function partOf(k: number): Part {
  const { rate } = MEANS[k]!
  return rate === 1 ? 'change' : rate >= 0.1 ? 'level' : 'trend'
}

function reason(s: Float32Array, part: Part, k: number): Reason {
  const usual = s[SCALE]!
  const size = part === 'activity' ? Math.sqrt(s[POWER]!) * usual : s[MEAN + k]!
  return { part, size, usual, p: null }
}
