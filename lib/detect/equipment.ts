import { IGNORED, QUIET, type Part, type Reason, type Verdict } from './detector.ts'
import type { Micros } from '../time.ts'

/**
 * Health of one machine from several channels. The first readings of each channel (the commissioning) are the
 * baseline; it is then frozen, because slow wear must not be learnt away. From there each channel says how far its
 * smoothed value (EWMA) and its restlessness (EWMA of the steps away from it) have left what commissioning showed; the
 * 4-norm of all is the size of the condition. The alarm stays while the condition lasts.
 *
 * A channel that wandered during a short commissioning is known badly, so its distance counts less: it is divided by
 * 1 + `wandering` × the share of its variance that is slower than a sixteenth of the commissioning.
 *
 * States: commissioning (silent) → normal ↔ alarmed (on at the threshold, off after 5 readings in a row below 65 % of
 * it). Re-baseline after maintenance is an operator's act: start again from `create()`.
 */
export interface MachineSample {
  at: Micros
  /** one value per channel, NaN for a channel that did not report: channels may come in different rhythms */
  values: ArrayLike<number>
  quality: number
}

export interface EquipmentRule {
  /** readings of each channel from which its baseline is learnt */
  readonly commissioning: number
  /** size of the condition that raises an alarm: about so many times the largest swing of a healthy machine */
  readonly threshold: number
  /** how much a slow wander in commissioning takes from a channel's distance; 0 where commissioning has seen whole rounds */
  readonly wandering: number
}
export const DEFAULT_EQUIPMENT_RULE: EquipmentRule = { commissioning: 400, threshold: 4.7, wandering: 3 }

export interface EquipmentState {
  /** HEADER numbers, then FIELDS a channel */
  readonly numbers: Float64Array
}

/** As Detector, but made for a number of channels and stepped with a value of each. */
export interface EquipmentDetector {
  readonly name: 'equipment'
  readonly version: number
  create(): EquipmentState
  /** `reasons` name the channel in `channel`, loudest first */
  step(state: EquipmentState, sample: MachineSample, rule: EquipmentRule): Verdict
  encode(state: EquipmentState): Uint8Array
  /** bytes of fewer channels are continued from, too: the new ones are commissioned by themselves */
  decode(bytes: Uint8Array, version: number): EquipmentState | null
}

/** 1 divided every channel's distance by up to four, and what it held for a baseline is learnt anew */
const VERSION = 2
const SMOOTHING = 0.15
const RESTLESS_SMOOTHING = 0.03
const RESTLESS_WEIGHT = 0.5
/** smoothed values need this long before they show how far a healthy machine swings */
const SETTLE = 20
const RESTLESS_SETTLE = 50
const BLOCKS = 16
/** the largest swing of commissioning counts, too: fat tails make a deviation in sigmas lie */
const LARGEST = 0.35
const OFF_RATIO = 0.65
const OFF_AFTER = 5
/** beyond so many thresholds nothing is told apart */
const CAP = 40

const LAST_AT = 0
const ACTIVE = 1
const BELOW = 2
const HEADER = 3
/** Fields of a channel. *_MEAN and *_SQUARES are running mean and sum of squared deviations (Welford). */
const N = 0
const MEAN = 1
const SQUARES = 2
const EWMA = 3
const SWING_MEAN = 4
const SWING_SQUARES = 5
const SWING_LOW = 6
const SWING_HIGH = 7
const BLOCK_SUM = 8
const BLOCK_MEAN = 9
const BLOCK_SQUARES = 10
const RESTLESS = 11
const RESTLESS_MEAN = 12
const RESTLESS_SQUARES = 13
const RESTLESS_HIGH = 14
const DISTANCE = 15
const RESTLESS_DISTANCE = 16
const FIELDS = 17

export function equipment(channels: number): EquipmentDetector {
  const length = HEADER + FIELDS * channels
  return {
    name: 'equipment',
    version: VERSION,
    create: () => ({ numbers: new Float64Array(length) }),
    step: (state, sample, rule) => step(state.numbers, channels, sample, rule),
    encode: ({ numbers }) => new Uint8Array(numbers.buffer.slice(0)),
    decode(bytes, version) {
      const known = bytes.length / 8
      if (version !== VERSION || known > length || (known - HEADER) % FIELDS !== 0) return null
      const numbers = new Float64Array(length)
      numbers.set(new Float64Array(Uint8Array.from(bytes).buffer))
      return { numbers }
    },
  }
}

/** What one channel has to do with the condition of its machine. */
export interface Contribution {
  channel: number
  /** 0 … 1: how much of its commissioning is done */
  commissioned: number
  /** distances from the baseline, in swings of the healthy machine; they count with their 4th powers */
  level: number
  activity: number
  /** of the whole condition, 0 … 1 */
  share: number
}

export function contributionsOf({ numbers: s }: EquipmentState, rule: EquipmentRule): Contribution[] {
  const found = Array.from({ length: (s.length - HEADER) / FIELDS }, (_, channel) => {
    const o = HEADER + FIELDS * channel
    const activity = RESTLESS_WEIGHT * s[o + RESTLESS_DISTANCE]!
    const commissioned = Math.min(1, s[o + N]! / rule.commissioning)
    return { channel, commissioned, level: s[o + DISTANCE]!, activity }
  })
  const power = (c: { level: number; activity: number }) => c.level ** 4 + c.activity ** 4
  const all = found.reduce((sum, c) => sum + power(c), 0)
  return found.map((c) => ({ ...c, share: all > 0 ? power(c) / all : 0 }))
}

function step(s: Float64Array, channels: number, sample: MachineSample, rule: EquipmentRule): Verdict {
  if (s[LAST_AT]! !== 0 && !(sample.at > s[LAST_AT]!)) return IGNORED
  s[LAST_AT] = sample.at
  let sum = 0
  for (let c = 0; c < channels; c++) {
    const o = HEADER + FIELDS * c
    const x = sample.values[c]!
    if (Number.isFinite(x)) {
      const n = ++s[o + N]!
      if (n <= rule.commissioning) commission(s, o, x, rule.commissioning)
      else compare(s, o, x, rule)
    }
    sum += s[o + DISTANCE]! ** 4 + (RESTLESS_WEIGHT * s[o + RESTLESS_DISTANCE]!) ** 4
  }
  const size = Math.min(CAP * rule.threshold, Math.sqrt(Math.sqrt(sum)))
  const active = holds(s, size, rule.threshold)
  if (size === 0 && !active) return QUIET
  const score = 1 - 2 ** (-size / rule.threshold)
  return {
    ...QUIET,
    score,
    active,
    part: active ? 'condition' : null,
    reasons: active ? reasons(s, channels) : QUIET.reasons,
  }
}

function commission(s: Float64Array, o: number, x: number, length: number): void {
  const n = s[o + N]!
  learnMoment(s, o + MEAN, x, n)
  if (n === 1) s[o + EWMA] = x
  else move(s, o, x, n)
  const ewma = s[o + EWMA]!
  if (n === SETTLE + 1) s[o + SWING_LOW] = s[o + SWING_HIGH] = ewma
  if (n > SETTLE) {
    learnMoment(s, o + SWING_MEAN, ewma, n - SETTLE)
    s[o + SWING_LOW] = Math.min(s[o + SWING_LOW]!, ewma)
    s[o + SWING_HIGH] = Math.max(s[o + SWING_HIGH]!, ewma)
  }
  if (n > RESTLESS_SETTLE) {
    const restless = logRestless(s, o, n)
    if (n === RESTLESS_SETTLE + 1) s[o + RESTLESS_HIGH] = restless
    learnMoment(s, o + RESTLESS_MEAN, restless, n - RESTLESS_SETTLE)
    s[o + RESTLESS_HIGH] = Math.max(s[o + RESTLESS_HIGH]!, restless)
  }
  const block = Math.max(1, Math.floor(length / BLOCKS))
  s[o + BLOCK_SUM]! += x
  if (n % block === 0) {
    learnMoment(s, o + BLOCK_MEAN, s[o + BLOCK_SUM]! / block, n / block)
    s[o + BLOCK_SUM] = 0
  }
}

/** Distances of one channel, in swings of the healthy machine. */
function compare(
  s: Float64Array,
  o: number,
  x: number,
  { commissioning: length, wandering }: EquipmentRule,
): void {
  move(s, o, x, length)
  const variance = s[o + SQUARES]! / length
  if (variance === 0) {
    // never moved in commissioning: every other value is news, and there is no scale to measure it by
    s[o + DISTANCE] = x === s[o + MEAN] ? 0 : CAP
    return
  }
  const mean = s[o + MEAN]!
  const swings = Math.max(1, length - SETTLE)
  const swing = Math.max(
    Math.sqrt(s[o + SWING_SQUARES]! / swings + (s[o + SWING_MEAN]! - mean) ** 2),
    LARGEST * Math.max(s[o + SWING_HIGH]! - mean, mean - s[o + SWING_LOW]!),
  )
  const slowShare = Math.min(1, s[o + BLOCK_SQUARES]! / BLOCKS / variance)
  s[o + DISTANCE] = Math.abs(s[o + EWMA]! - mean) / swing / (1 + wandering * slowShare)

  const usual = s[o + RESTLESS_MEAN]!
  const spread = Math.max(
    Math.sqrt(s[o + RESTLESS_SQUARES]! / Math.max(1, length - RESTLESS_SETTLE)),
    LARGEST * (s[o + RESTLESS_HIGH]! - usual),
  )
  s[o + RESTLESS_DISTANCE] = spread > 0 ? Math.max(0, logRestless(s, o, length) - usual) / spread : 0
}

/** EWMA of the value and of its steps; both start as plain means so that the first readings don't weigh for ever. */
function move(s: Float64Array, o: number, x: number, n: number): void {
  const away = x - s[o + EWMA]!
  s[o + EWMA]! += Math.max(SMOOTHING, 1 / n) * away
  s[o + RESTLESS]! += Math.max(RESTLESS_SMOOTHING, 1 / n) * (Math.abs(away) - s[o + RESTLESS]!)
}

function logRestless(s: Float64Array, o: number, n: number): number {
  const deviation = Math.sqrt(s[o + SQUARES]! / n)
  return deviation > 0 ? Math.log(s[o + RESTLESS]! / deviation + 1e-3) : 0
}

function learnMoment(s: Float64Array, at: number, x: number, n: number): void {
  const before = x - s[at]!
  s[at]! += before / n
  s[at + 1]! += before * (x - s[at]!)
}

function holds(s: Float64Array, size: number, threshold: number): boolean {
  if (size >= threshold) {
    s[ACTIVE] = 1
    s[BELOW] = 0
  } else if (s[ACTIVE] === 1) {
    s[BELOW] = size < OFF_RATIO * threshold ? s[BELOW]! + 1 : 0
    if (s[BELOW]! > OFF_AFTER) s[ACTIVE] = s[BELOW] = 0
  }
  return s[ACTIVE] === 1
}

/** The three loudest channels: level (smoothed value against its baseline) or activity (times its usual restlessness). */
function reasons(s: Float64Array, channels: number): Reason[] {
  const found: (Reason & { loud: number })[] = []
  for (let channel = 0; channel < channels; channel++) {
    const o = HEADER + FIELDS * channel
    const restless = RESTLESS_WEIGHT * s[o + RESTLESS_DISTANCE]!
    const level = s[o + DISTANCE]!
    const part: Part = level >= restless ? 'level' : 'activity'
    found.push({
      part,
      size: part === 'level' ? s[o + EWMA]! : s[o + RESTLESS]!,
      usual: part === 'level' ? s[o + MEAN]! : Math.exp(s[o + RESTLESS_MEAN]!) * deviationOf(s, o),
      p: null,
      channel,
      loud: Math.max(level, restless),
    })
  }
  found.sort((a, b) => b.loud - a.loud)
  return found.slice(0, 3).map(({ loud: _, ...reason }) => reason)
}

function deviationOf(s: Float64Array, o: number): number {
  return Math.sqrt(s[o + SQUARES]! / Math.max(1, s[o + N]!))
}
