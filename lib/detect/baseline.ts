import {
  IGNORED,
  QUIET,
  type Detector,
  type Part,
  type Reason,
  type Sample,
  type Verdict,
} from './detector.ts'

/**
 * A steady, fast sensor against its own recent past: spikes, shifts, drifts and restlessness, found within seconds and
 * with known odds. It follows the level slowly and knows, for the reading itself, for two smoothed
 * deviations and for the size of the noise, how large each is when nothing happens; `threshold` is in those deviations.
 *
 * That arithmetic holds only where noise is well-behaved, so the detector judges itself: while more than one step in 100
 * is larger than four usual ones (clusters count once) it keeps silent and leaves the sensor to the adaptive detector, which assumes nothing.
 *
 * States: learning (60 readings, silent) → quiet → active, until 10 readings in a row are within 60 % of the threshold.
 * While active the level is learnt four times slower; after 1,200 readings what lasts is the new normal.
 */
export interface BaselineRule {
  /** deviations at which the score is 0.5; at 5.2 a hundred simulated healthy sensors raise one or two false alarms a day */
  readonly threshold: number
  /** sensors slower than this are left alone */
  readonly slowestMicros: number
}
export const DEFAULT_BASELINE_RULE: BaselineRule = { threshold: 5.2, slowestMicros: 15e6 }

export interface BaselineState {
  readonly numbers: Float64Array
}

const LEARNING = 60
const LEVEL_RATE = 0.01
const SCALE_RATE = 0.002
/** what is further out (in squared deviations) counts as this much when scales are learnt */
const CLIP = 7
/** from here on a reading is suspicious and teaches a fifth */
const SUSPICIOUS = 3.8
const FAST = 0.25
const SLOW = 0.06
const NOISE = 0.08
/** the root of the power is not quite normal far out */
const RESTLESS_SKEW = 1.2
/** of plain noise: the cube root of its power, smoothed by NOISE, strays by this (2 · NOISE / (2 − NOISE) / 9); nothing real strays less */
const PLAIN_POWER_VARIANCE = 0.0093
/** the power is smoothed over a dozen readings, so it takes many before one knows how far it strays by itself */
const RESTLESS_YOUNG = 150
/** scales learnt from few readings are too small as often as too large: the bar starts higher by this many / readings */
const YOUNG = 40
const CALM = 10
const ACCEPTED_AFTER = 1200
const WILD_RATE = 1 / 2000
const WILD_SHARE = 1 / 100
/** a fault is a cluster of large steps; wild noise has them scattered: one in so many readings is counted */
const WILD_APART = 20
const PAUSE = 10

const LAST_AT = 0
const COUNT = 1
const LEVEL = 2
const VARIANCE = 3
const FAST_MEAN = 4
const FAST_VARIANCE = 5
const SLOW_MEAN = 6
const SLOW_VARIANCE = 7
const POWER = 8
const POWER_ROOT = 9
const POWER_VARIANCE = 10
const PREVIOUS = 11
const STEP_VARIANCE = 12
const WILD = 13
const ACTIVE_FOR = 14
const CALM_FOR = 15
const INTERVAL = 16
const WILD_AGE = 17
const FIELDS = 18

export const baseline: Detector<BaselineState, BaselineRule> = {
  name: 'baseline',
  version: 1,
  create: () => ({ numbers: new Float64Array(FIELDS) }),
  step,
  encode: ({ numbers }) => new Uint8Array(numbers.buffer.slice(0)),
  decode: (bytes, version) =>
    version === baseline.version && bytes.length === 8 * FIELDS
      ? { numbers: new Float64Array(Uint8Array.from(bytes).buffer) }
      : null,
}

function step({ numbers: s }: BaselineState, { at, value }: Sample, rule: BaselineRule): Verdict {
  if (s[COUNT]! === 0) {
    s[LAST_AT] = at
    s[COUNT] = 1
    s[LEVEL] = s[PREVIOUS] = value
    s[POWER] = s[POWER_ROOT] = 1
    return QUIET
  }
  if (!(at > s[LAST_AT]!)) return IGNORED
  const n = ++s[COUNT]!
  const gap = at - s[LAST_AT]!
  s[LAST_AT] = at
  s[INTERVAL] = n === 2 ? gap : s[INTERVAL]! + 0.05 * (Math.min(gap, 3 * s[INTERVAL]!) - s[INTERVAL]!)
  const paused = gap > PAUSE * s[INTERVAL]!

  const off = value - s[LEVEL]!
  const deviation = Math.sqrt(s[VARIANCE]!)
  if (paused) s[FAST_MEAN] = s[SLOW_MEAN] = 0
  s[FAST_MEAN]! += FAST * (off - s[FAST_MEAN]!)
  s[SLOW_MEAN]! += SLOW * (off - s[SLOW_MEAN]!)
  const relative = deviation > 0 ? Math.min(36, (off / deviation) ** 2) : 1
  s[POWER]! += NOISE * (relative - s[POWER]!)
  const root = Math.cbrt(s[POWER]!) // nearly normal where the noise is (Wilson and Hilferty)

  const spike = ratio(off, s[VARIANCE]!)
  const fast = ratio(s[FAST_MEAN]!, s[FAST_VARIANCE]!)
  const slow = ratio(s[SLOW_MEAN]!, s[SLOW_VARIANCE]!)
  const restless =
    Math.max(0, root - s[POWER_ROOT]!) /
    Math.sqrt(Math.max(s[POWER_VARIANCE]!, PLAIN_POWER_VARIANCE)) /
    (RESTLESS_SKEW * (1 + RESTLESS_YOUNG / n))
  learnSteps(s, value, paused)

  const active = s[ACTIVE_FOR]! > 0
  const threshold = rule.threshold * (1 + YOUNG / n)
  const size = Math.max(spike, fast, slow, restless)
  learn(s, off, root, active, size > SUSPICIOUS)
  s[PREVIOUS] = value
  if (n <= LEARNING || s[WILD]! > WILD_SHARE || s[INTERVAL]! > rule.slowestMicros) {
    s[ACTIVE_FOR] = 0
    return QUIET
  }
  const holds = follow(s, size >= threshold, size < 0.6 * threshold)
  const began = holds && !active
  const score = 1 - 2 ** (-size / threshold)
  if (!holds) return score < 0.25 ? QUIET : { ...QUIET, score }
  const part = loudest(spike, fast, slow, restless)
  return {
    score: began ? Math.max(0.5, score) : 0,
    active: true,
    rarity: null,
    part,
    expected: s[LEVEL]!,
    low: s[LEVEL]! - threshold * deviation,
    high: s[LEVEL]! + threshold * deviation,
    reasons: began ? [reason(s, part, off, deviation)] : QUIET.reasons,
  }
}

/** The share of steps that are far larger than usual: the sensor's own proof that it is well-behaved. */
function learnSteps(s: Float64Array, value: number, paused: boolean): void {
  if (paused) return
  const n = s[COUNT]!
  const square = (value - s[PREVIOUS]!) ** 2
  const usual = s[STEP_VARIANCE]!
  if (n > LEARNING / 2) {
    const wild = ++s[WILD_AGE]! > WILD_APART && square > 16 * usual
    if (wild) s[WILD_AGE] = 0
    s[WILD]! += Math.max(WILD_RATE, 1 / n) * ((wild ? 1 : 0) - s[WILD]!)
  }
  s[STEP_VARIANCE]! += Math.max(SCALE_RATE, 1 / n) * (clip(square, CLIP * usual, n) - usual)
}

function learn(s: Float64Array, off: number, root: number, active: boolean, suspicious: boolean): void {
  const n = s[COUNT]!
  const first = 1 / n
  const deviation = Math.sqrt(s[VARIANCE]!)
  const lasting = s[ACTIVE_FOR]! > ACCEPTED_AFTER
  const scaleRate =
    Math.max(SCALE_RATE, first) * (active && !lasting ? 0.1 : suspicious && n > LEARNING ? 0.2 : 1)
  const levelRate = Math.max(LEVEL_RATE, first) * (active && !lasting ? 0.25 : 1)
  const most = n > LEARNING / 2 ? 2.5 * deviation : Infinity
  s[LEVEL]! += levelRate * Math.max(-most, Math.min(most, off))
  s[VARIANCE]! += scaleRate * (clip(off * off, CLIP * s[VARIANCE]!, n) - s[VARIANCE]!)
  s[FAST_VARIANCE]! += scaleRate * (clip(s[FAST_MEAN]! ** 2, CLIP * s[FAST_VARIANCE]!, n) - s[FAST_VARIANCE]!)
  s[SLOW_VARIANCE]! += scaleRate * (clip(s[SLOW_MEAN]! ** 2, CLIP * s[SLOW_VARIANCE]!, n) - s[SLOW_VARIANCE]!)
  if (n < LEARNING / 3) return
  const away = root - s[POWER_ROOT]!
  s[POWER_ROOT]! += scaleRate * away
  s[POWER_VARIANCE]! +=
    scaleRate * (Math.min(away * away, CLIP * (s[POWER_VARIANCE]! || 0.02)) - s[POWER_VARIANCE]!)
}

/** What is far out teaches only a little; at the very beginning nothing is known to be far out. */
function clip(square: number, most: number, n: number): number {
  return n > LEARNING / 2 ? Math.min(square, most) : square
}

/** A distance in deviations; a sensor that never moved has none, so any move is far. */
function ratio(distance: number, variance: number): number {
  if (variance > 0) return Math.abs(distance) / Math.sqrt(variance)
  return distance === 0 ? 0 : 1e3
}

function follow(s: Float64Array, begins: boolean, calm: boolean): boolean {
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

function loudest(spike: number, fast: number, slow: number, restless: number): Part {
  const most = Math.max(spike, fast, slow, restless)
  return most === spike ? 'change' : most === restless ? 'activity' : most === fast ? 'level' : 'trend'
}

function reason(s: Float64Array, part: Part, off: number, deviation: number): Reason {
  switch (part) {
    case 'activity':
      return { part, size: Math.sqrt(s[POWER]!) * deviation, usual: deviation, p: null }
    default:
      return {
        part,
        size: part === 'change' ? off : part === 'level' ? s[FAST_MEAN]! : s[SLOW_MEAN]!,
        usual: deviation,
        p: null,
      }
  }
}
