import {
  IGNORED,
  QUIET,
  type Detector,
  type Part,
  type Reason,
  type Sample,
  type Verdict,
} from './detector.ts'
import {
  COUNT,
  FIRST_AT,
  firstReading,
  HIGH,
  HOURS,
  INTERVAL,
  LAST_AT,
  learn,
  LOW,
  MEMORIES,
  STREAMS,
  usualAt,
  type Memories,
} from './residuals.ts'
import { kept } from './layout.ts'
import {
  advance,
  BINS,
  filledBins,
  fillTails,
  headLength,
  resetTails,
  surpriseOf,
  usualSize,
  type Tails,
} from './tail.ts'

/**
 * Finds the unknown: what a sensor does that it never or hardly ever did. Residuals on several time scales, each with
 * its own empirical tail, say how rare the reading is in their eyes; the 4-norm of their surprises (−log10 p) is one
 * number, to which a break of the known range adds up to 2. The longer the history, the rarer something must be.
 *
 * One alarm per episode. States: learning (120 readings, silent) → quiet → onset (score ≥ 0.5) → active, until 30
 * readings in a row are unremarkable → quiet. For 100 readings after a remarkable one only something three times
 * rarer than it speaks again.
 */
export interface AdaptiveRule {
  /** surprise at which a reading scores 0.5; sensors faster than two readings a minute need more (see thresholdAt) */
  readonly threshold: number
  /** local time minus UTC, for the hour of day */
  readonly utcOffsetMinutes: number
}
export const DEFAULT_ADAPTIVE_RULE: AdaptiveRule = { threshold: 3.55, utcOffsetMinutes: 0 }

export interface AdaptiveState extends Tails, Memories {
  readonly bytes: Uint8Array
  readonly episode: Float64Array
}

const LEARNING = 120
const REST = 100
const CALM = 30
const REMARKABLE = 0.6 // below the threshold
const RARER = 0.5 // decades
const GROWTH = 0.45
/** tails forget after some 10,000 readings; to ask for ever more would make an old sensor deaf */
const HISTORY = 20_000
const RANGE_WEIGHT = 2
const RANGE_FULL = 0.1
/** what was seen in less than a day is no range yet: most sensors have a daily round */
const DAY_MICROS = 86_400e6
const SLOW_ENOUGH_MICROS = 30e6
/** decades of surprise per decade of speed: more than one, because a fast sensor's slow residuals move together for long */
const SPEED = 3.5

const PEAK = 0
const AGE = 1
const OPEN = 2
const QUIET_FOR = 3
const RARITY = 4
const EPISODE = 5
/** the last tail is that of the combined surprise: it states how rare an alarm is for this sensor */
const COMBINED = STREAMS.length
const TAILS = COMBINED + 1
const HEAD = headLength(TAILS)
const DOUBLES = MEMORIES + 1 + EPISODE + HEAD
const MASKS_AT = 8 * DOUBLES + 4 * HOURS
const BINS_AT = MASKS_AT + 4 * TAILS + HOURS
const BYTES = BINS_AT + 4 * BINS * TAILS

export const adaptive: Detector<AdaptiveState, AdaptiveRule> = {
  name: 'adaptive',
  ...kept(
    2,
    { size: BYTES, at: layOut, begin, used: ({ masks }) => BINS_AT + 4 * filledBins(masks) },
    decodeFirst,
  ),
  step,
}

function layOut(buffer: ArrayBuffer, offset: number): AdaptiveState {
  let at = offset
  const doubles = (length: number) => {
    const view = new Float64Array(buffer, at, length)
    at += 8 * length
    return view
  }
  return {
    bytes: new Uint8Array(buffer, offset, BYTES),
    body: doubles(MEMORIES),
    origin: doubles(1),
    episode: doubles(EPISODE),
    head: doubles(HEAD),
    hours: new Float32Array(buffer, at, HOURS),
    masks: new Uint32Array(buffer, offset + MASKS_AT, TAILS),
    taught: new Uint8Array(buffer, offset + MASKS_AT + 4 * TAILS, HOURS),
    bins: new Float32Array(buffer, offset + BINS_AT, BINS * TAILS),
  }
}

function begin(state: AdaptiveState): void {
  state.bytes.fill(0)
  resetTails(state)
}

/** Version 1 kept the empty bins, too: the same numbers, then all bins, then what the hours were taught. */
function decodeFirst(state: AdaptiveState, bytes: Uint8Array, version: number): boolean {
  const binsAt = MASKS_AT
  const taughtAt = binsAt + 4 * BINS * TAILS
  if (version !== 1 || bytes.length !== taughtAt + HOURS) return false
  state.bytes.set(bytes.subarray(0, binsAt))
  state.taught.set(bytes.subarray(taughtAt))
  fillTails(state, new Float32Array(bytes.slice(binsAt, taughtAt).buffer))
  return true
}

const sizes = new Float64Array(STREAMS.length)
const surprises = new Float64Array(STREAMS.length)
const weights = Float64Array.from(STREAMS, (s) => s.weight)

function step(state: AdaptiveState, { at, value }: Sample, rule: AdaptiveRule): Verdict {
  const { body, episode } = state
  if (body[COUNT]! === 0) {
    firstReading(state, at, value)
    episode[AGE] = REST
    advance(state)
    return QUIET
  }
  if (!(at > body[LAST_AT]!)) return IGNORED
  const low = body[LOW]!
  const high = body[HIGH]!
  const expected = usualAt(state, at, rule.utcOffsetMinutes)
  const broken = learn(state, at, value, rule.utcOffsetMinutes, sizes)
  let sum = 0
  for (let k = 0; k < COMBINED; k++) {
    const s = surpriseOf(state, k, sizes[k]!)
    surprises[k] = s
    sum += weights[k]! * s * s * s * s
  }
  const rangeSpeaks =
    RANGE_WEIGHT * Math.min(1, broken / RANGE_FULL) * Math.min(1, (at - body[FIRST_AT]!) / DAY_MICROS)
  // a sensor that never moved has no scale: only its first move, once it is known, says anything
  const isFirstMove = high === low && value !== low && body[COUNT]! > LEARNING
  const speaks = high > low || isFirstMove ? Math.sqrt(Math.sqrt(sum)) + rangeSpeaks : 0
  const rarity = surpriseOf(state, COMBINED, 2 ** (1.25 * speaks))
  episode[RARITY] = rarity
  advance(state)
  const n = body[COUNT]!
  if (n <= LEARNING) return QUIET
  const surprise = speaks - GROWTH * Math.log10(Math.min(n, HISTORY) / 1000)
  const threshold = thresholdAt(rule, body[INTERVAL]!)
  const onset = follow(episode, surprise, threshold)
  if (onset <= 0 && episode[OPEN] === 0) return QUIET
  const score = onset > 0 ? 1 - 2 ** (-onset / threshold) : 0
  const raised = score >= 0.5
  return {
    score,
    active: episode[OPEN] === 1,
    rarity: 10 ** -rarity,
    part: raised ? loudest(rangeSpeaks) : null,
    expected,
    low,
    high,
    reasons: raised
      ? reasons(state, value > high ? value - high : low - value, broken, high - low)
      : QUIET.reasons,
  }
}

/** How rare the last reading was among the sensor's own: the share of readings at least as unusual. 1 while nothing is known. */
export function rarityOf({ episode }: AdaptiveState): number {
  return 10 ** -episode[RARITY]!
}

/** The faster a sensor, the more chances to be wrong in a day: from two readings a minute on, the bar rises with speed. */
export function thresholdAt(rule: AdaptiveRule, intervalMicros: number): number {
  return rule.threshold + SPEED * Math.max(0, Math.log10(SLOW_ENOUGH_MICROS / Math.max(1e3, intervalMicros)))
}

/** The surprise if it may speak now, else 0; moves the episode. */
function follow(e: Float64Array, surprise: number, threshold: number): number {
  e[AGE]! += 1
  if (surprise >= threshold - REMARKABLE) e[QUIET_FOR] = 0
  else if (++e[QUIET_FOR]! >= CALM) e[OPEN] = 0
  if (e[AGE]! <= REST && surprise < e[PEAK]! + RARER) return 0
  if (surprise > threshold - REMARKABLE) {
    e[AGE] = 0
    e[PEAK] = surprise
    if (surprise >= threshold) e[OPEN] = 1
  }
  return Math.max(0, surprise)
}

function loudest(rangeSpeaks: number): Part {
  let best = 0
  for (let k = 1; k < COMBINED; k++) if (weighted(k) > weighted(best)) best = k
  return rangeSpeaks > 1 ? 'range' : STREAMS[best]!.part
}

const weighted = (k: number) => weights[k]! * surprises[k]! ** 4

/** Every part that finds the reading rarer than one in thirty, rarest first. */
function reasons(tails: Tails, excess: number, broken: number, range: number): Reason[] {
  const found: Reason[] = []
  for (let k = 0; k < COMBINED; k++)
    if (surprises[k]! > 1.5)
      found.push({
        part: STREAMS[k]!.part,
        size: sizes[k]!,
        usual: usualSize(tails, k),
        p: 10 ** -surprises[k]!,
      })
  found.sort((a, b) => (a.p ?? 1) - (b.p ?? 1))
  if (broken > 0) found.unshift({ part: 'range', size: excess, usual: range, p: null })
  return found
}
