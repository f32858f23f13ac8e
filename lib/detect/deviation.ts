import { IGNORED, QUIET, type Detector } from './detector.ts'
import { kept, numbers, type Numbers } from './layout.ts'

/**
 * Deviation from a baseline by a fixed amount. The baseline is given, or learnt: a slow mean to which a reading far out
 * adds no more than a tenth of the limit, so that an hour at another level is not the new baseline, from which the way
 * back would be a deviation. Active at the limit, clear below three quarters of it.
 */
export interface DeviationRule {
  /** in the sensor's unit */
  limit: number
  /** null: learnt */
  baseline: number | null
}

export type DeviationState = Numbers

const RATE = 0.005
const LEARNING = 30
const SHARE = 0.1
const BACK = 0.75

const LAST_AT = 0
const COUNT = 1
const MEAN = 2
const ACTIVE = 3
const FIELDS = 4

export const deviation: Detector<DeviationState, DeviationRule> = {
  name: 'deviation',
  ...kept(1, numbers(FIELDS)),
  step({ numbers: s }, { at, value }, rule) {
    if (s[COUNT]! > 0 && !(at > s[LAST_AT]!)) return IGNORED
    s[LAST_AT] = at
    const n = ++s[COUNT]!
    if (n === 1) s[MEAN] = value
    const expected = rule.baseline ?? s[MEAN]!
    const off = value - expected
    const most = n > LEARNING ? SHARE * rule.limit : rule.limit
    s[MEAN]! += Math.max(RATE, 1 / n) * Math.max(-most, Math.min(most, value - s[MEAN]!))
    const before = s[ACTIVE] === 1
    const known = rule.baseline !== null || n > LEARNING
    const active = known && Math.abs(off) >= (before ? BACK : 1) * rule.limit
    s[ACTIVE] = active ? 1 : 0
    if (!active) return QUIET
    return {
      ...QUIET,
      score: before ? 0 : 1,
      active: true,
      part: 'level',
      expected,
      low: expected - rule.limit,
      high: expected + rule.limit,
      reasons: before ? QUIET.reasons : [{ part: 'level', size: off, usual: null, p: null }],
    }
  },
}
