import { QUIET, type Detector, type Sample, type Verdict } from './detector.ts'
import type { Micros } from '../time.ts'
import { kept, numbers, type Numbers } from './layout.ts'

/**
 * Fixed limits: they protect machines and always stay. Low-low, low, high and high-high are each a rule of their own.
 *
 * States of one rule: clear, active. Values at or beyond the limit make it active, once there were `on.readings` in a row
 * over at least `on.micros`; only values back inside by more than the deadband, as many and as long as `off` says, make
 * it clear again. Unlike the detectors that learn, a limit looks at every live reading, also at a second one of the
 * same moment: no repeat reaches it, and two sensors' worth of caution costs nothing.
 */
export interface LimitRule {
  side: 'high' | 'low'
  limit: number
  /** the limit itself is still inside */
  exclusive: boolean
  /** how far back inside the value must come before the alarm clears, in the sensor's unit */
  deadband: number
  on: Delay
  off: Delay
}

/** So many readings in a row, and the first of them so long ago. */
export interface Delay {
  readings: number
  micros: Micros
}

export type LimitState = Numbers

const ACTIVE = 0
/** readings in a row that speak for the other state, and when the first of them was */
const STREAK = 1
const SINCE = 2
const FIELDS = 3

export const limits: Detector<LimitState, LimitRule> = {
  name: 'limit',
  ...kept(1, numbers(FIELDS)),
  step({ numbers: s }, sample, rule) {
    const active = s[ACTIVE] === 1
    const changes = active ? isBackInside(rule, sample.value) : isBeyond(rule, sample.value)
    if (!changes) {
      s[STREAK] = 0
      return active ? HOLDS : QUIET
    }
    const delay = active ? rule.off : rule.on
    if (s[STREAK] === 0) s[SINCE] = sample.at
    s[STREAK]! += 1
    if (s[STREAK]! < delay.readings || sample.at - s[SINCE]! < delay.micros) return active ? HOLDS : QUIET
    s[ACTIVE] = active ? 0 : 1
    s[STREAK] = 0
    return active ? QUIET : beyond(rule, sample)
  },
}

/** The state of a limit as an older checkpoint kept it. */
export function limitState(active: boolean, streak: number): LimitState {
  const state = limits.create()
  state.numbers.set([active ? 1 : 0, streak])
  return state
}

export function isBeyond(rule: Pick<LimitRule, 'side' | 'limit' | 'exclusive'>, value: number): boolean {
  if (value === rule.limit) return !rule.exclusive
  return rule.side === 'high' ? value > rule.limit : value < rule.limit
}

const HOLDS: Verdict = Object.freeze({ ...QUIET, active: true, part: 'limit' })

function isBackInside(rule: LimitRule, value: number): boolean {
  return rule.side === 'high' ? value < rule.limit - rule.deadband : value > rule.limit + rule.deadband
}

function beyond(rule: LimitRule, { value }: Sample): Verdict {
  return {
    ...QUIET,
    score: 1,
    active: true,
    part: 'limit',
    low: rule.side === 'low' ? rule.limit : null,
    high: rule.side === 'high' ? rule.limit : null,
    reasons: [{ part: 'limit', size: Math.abs(value - rule.limit), usual: rule.limit, p: null }],
  }
}
