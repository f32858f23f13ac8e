import type { Detector, Verdict } from './detector.ts'
import { IGNORED, QUIET } from './detector.ts'
import type { Micros } from '../time.ts'
import { kept, numbers, type Numbers } from './layout.ts'

/**
 * A sensor that stops says nothing about it. What is usual between two of its readings is learnt from the log (`step`);
 * whether it is silent now is a question with the wall clock as an argument (`silenceOf`), asked from outside.
 */
export interface SilenceRule {
  /** of the sensor's own intervals that may go by */
  readonly intervals: number
  /** never told sooner than this, however fast the sensor */
  readonly leastMicros: Micros
  /** readings before anything is known about its rhythm */
  readonly settleReadings: number
}
export const DEFAULT_SILENCE_RULE: SilenceRule = { intervals: 4, leastMicros: 5e6, settleReadings: 5 }

export type SilenceState = Numbers

const RATE = 0.05
/** a pause longer than this many usual intervals teaches no more than that */
const MOST = 3
/** the longest regular pause is forgotten by half in some 700 readings */
const FORGET = 0.999
/** what comes at twice the usual interval is the sensor's own irregularity, what is longer is an outage */
const REGULAR = 10

const LAST_AT = 0
const COUNT = 1
const INTERVAL = 2
const LONGEST = 3
const FIELDS = 4

export const silence: Detector<SilenceState, SilenceRule> = {
  name: 'silence',
  ...kept(1, numbers(FIELDS)),
  step({ numbers: s }, { at }) {
    if (s[COUNT]! > 0 && !(at > s[LAST_AT]!)) return IGNORED
    const gap = at - s[LAST_AT]!
    const usual = s[INTERVAL]!
    if (s[COUNT] === 1) s[INTERVAL] = s[LONGEST] = gap
    if (s[COUNT]! > 1) {
      s[INTERVAL] = usual + Math.max(RATE, 1 / s[COUNT]!) * (Math.min(gap, MOST * usual) - usual)
      s[LONGEST] = Math.max(FORGET * s[LONGEST]!, gap <= REGULAR * usual ? gap : 0, s[INTERVAL]!)
    }
    s[LAST_AT] = at
    s[COUNT]! += 1
    return QUIET
  },
}

export function copyOf({ numbers: s }: SilenceState): SilenceState {
  const own = silence.create()
  own.numbers.set(s)
  return own
}

/** From when on the sensor counts as silent; Infinity while its rhythm is not known. */
export function silentFrom({ numbers: s }: SilenceState, rule: SilenceRule): Micros {
  if (s[COUNT]! < rule.settleReadings) return Infinity
  const patience = Math.max(rule.leastMicros, rule.intervals * s[INTERVAL]!, 1.5 * s[LONGEST]!)
  return s[LAST_AT]! + patience
}

/**
 * Is it silent at `now`? `held` says why nobody may say so: we lag behind the log ourselves, its producer is known to be
 * down (one alarm for that is enough), or it said that it had finished. Changes nothing, so it can be asked at any time.
 */
export function silenceOf(state: SilenceState, now: Micros, rule: SilenceRule, held: boolean): Verdict {
  const from = silentFrom(state, rule)
  if (held || now < from) return QUIET
  const s = state.numbers
  const waited = now - s[LAST_AT]!
  return {
    ...QUIET,
    score: 1 - 2 ** (-waited / (from - s[LAST_AT]!)),
    active: true,
    part: 'silence',
    reasons: [{ part: 'silence', size: waited / 1e6, usual: s[INTERVAL]! / 1e6, p: null }],
  }
}
