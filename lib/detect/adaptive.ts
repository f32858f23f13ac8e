import { advance, BINS, headLength, resetTails, surpriseOf, type Tails } from './tail.ts'
import { QUIET, type Detector, type Part, type Verdict } from './detector.ts'

/**
 * Finds the unknown: what a sensor does that it never or hardly ever did. Six residuals on several time scales, each
 * with its own empirical tail; together (4-norm of their surprises) they are one number, to which a break of the known
 * range adds. The longer the history, the rarer something must be.
 *
 * One alarm per episode: after an onset, for 120 readings only something three times rarer speaks again.
 * States: quiet → (score ≥ 0.5) onset → active while surprising readings keep coming → quiet.
 */
export interface AdaptiveRule {
  /** surprise at which a reading scores 0.5: 3.5 is about one in 3,000 */
  readonly threshold: number
  /** local time minus UTC, for the hour of day */
  readonly utcOffsetMinutes: number
}
export const DEFAULT_ADAPTIVE_RULE: AdaptiveRule = { threshold: 3.5, utcOffsetMinutes: 0 }

export interface AdaptiveState extends Tails {
  readonly bytes: Uint8Array
  readonly body: Float64Array
}

const PARTS: readonly Part[] = ['level', 'ratio', 'change', 'hour-of-day', 'activity', 'trend']
const HOURS = 24
const REST = 120
const HOUR_MICROS = 3.6e9
const LAST_AT = 0
const COUNT = 1
const LEVEL = 2
const SPREAD = 3
const LOW = 4
const HIGH = 5
const RATIO_MEAN = 6
const PREVIOUS = 7
const ACTIVITY = 8
const FAST = 9
const SLOW = 10
const EPISODE_PEAK = 11
const EPISODE_AGE = 12
const HOUR = 13
const BODY = HOUR + HOURS
const HEAD = headLength(PARTS.length)
const BYTES = 8 * (BODY + HEAD) + 4 * BINS * PARTS.length

export const adaptive: Detector<AdaptiveState, AdaptiveRule> = {
  name: 'adaptive',
  version: 1,
  create() {
    const state = layOut(new Uint8Array(BYTES))
    resetTails(state)
    state.body.fill(0, 0, HOUR)
    state.body.fill(NaN, HOUR)
    return state
  },
  step,
  encode: (state) => state.bytes.slice(),
  decode: (bytes, version) =>
    version === adaptive.version && bytes.length === BYTES ? layOut(Uint8Array.from(bytes)) : null,
}

function layOut(bytes: Uint8Array): AdaptiveState {
  return {
    bytes,
    body: new Float64Array(bytes.buffer, 0, BODY),
    head: new Float64Array(bytes.buffer, 8 * BODY, HEAD),
    bins: new Float32Array(bytes.buffer, 8 * (BODY + HEAD), BINS * PARTS.length),
  }
}

const residual = new Float64Array(PARTS.length)

function step(
  state: AdaptiveState,
  { at, value }: { at: number; value: number },
  rule: AdaptiveRule,
): Verdict {
  const b = state.body
  if (b[COUNT]! === 0) return begin(state, at, value)
  if (!(at > b[LAST_AT]!)) return QUIET
  b[LAST_AT] = at
  const n = ++b[COUNT]!
  const low = b[LOW]!
  const high = b[HIGH]!
  const range = high - low
  const hour = HOUR + (((Math.floor(at / HOUR_MICROS + rule.utcOffsetMinutes / 60) % HOURS) + HOURS) % HOURS)
  const usual = Number.isNaN(b[hour]!) ? b[LEVEL]! : b[hour]!
  const offLevel = value - b[LEVEL]!
  const change = Math.abs(value - b[PREVIOUS]!)
  const floor = 0.01 * range
  b[ACTIVITY]! += Math.max(0.03, 1 / n) * (change - b[ACTIVITY]!)
  b[FAST]! += Math.max(0.03, 1 / n) * (value - b[FAST]!)
  b[SLOW]! += Math.max(0.001, 1 / n) * (value - b[SLOW]!)
  residual[0] = Math.abs(offLevel)
  residual[1] =
    range > 0 ? Math.abs(Math.log((Math.max(value, low) - low + floor) / (b[RATIO_MEAN]! - low + floor))) : 0
  residual[2] = change
  residual[3] = Math.abs(value - usual)
  residual[4] = b[ACTIVITY]!
  residual[5] = Math.abs(b[FAST]! - b[SLOW]!)
  let sum = 0
  for (let k = 0; k < residual.length; k++) {
    const s = surpriseOf(state, k, residual[k]!)
    sum += s * s * s * s
  }
  advance(state)
  const beyond = Math.max(0, value - high, low - value)
  const surprise =
    Math.sqrt(Math.sqrt(sum)) -
    0.35 * Math.log10(n / 1000) +
    (range > 0 ? 3 * Math.min(1, beyond / (0.05 * range)) : 0)

  const rate = Math.max(0.003, 1 / n)
  b[SPREAD]! += rate * (Math.abs(offLevel) - b[SPREAD]!)
  b[LEVEL]! += rate * Math.max(-3 * b[SPREAD]!, Math.min(3 * b[SPREAD]!, offLevel))
  b[RATIO_MEAN]! += Math.max(0.01, 1 / n) * (value - b[RATIO_MEAN]!)
  b[hour] = usual + (Number.isNaN(b[hour]!) ? value - usual : 0.02 * (value - usual))
  b[PREVIOUS] = value
  if (beyond > 0) b[value > high ? HIGH : LOW] = value
  b[EPISODE_AGE]! += 1
  if (b[EPISODE_AGE]! <= REST && surprise < b[EPISODE_PEAK]! + 0.5) return QUIET
  if (surprise > 2) {
    b[EPISODE_AGE] = 0
    b[EPISODE_PEAK] = surprise
  }
  return surprise > 0
    ? { ...QUIET, score: 1 - 2 ** (-surprise / rule.threshold), expected: b[LEVEL]! }
    : QUIET
}

function begin({ body, head }: AdaptiveState, at: number, value: number): Verdict {
  for (const i of [LEVEL, LOW, HIGH, RATIO_MEAN, PREVIOUS, FAST, SLOW]) body[i] = value
  body[LAST_AT] = at
  body[COUNT] = 1
  body[EPISODE_AGE] = REST + 1
  head[1] = 1
  return QUIET
}
