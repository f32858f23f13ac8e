import { IGNORED, QUIET, type Detector, type Verdict } from './detector.ts'
import { kept, numbers, type Numbers } from './layout.ts'

/**
 * Rapid change: the value moves by `limit` or more from one reading to the next. Active with the step, clear after `hold`
 * readings in a row without another.
 */
export interface ChangeRule {
  /** in the sensor's unit */
  limit: number
  hold: number
}

export type ChangeState = Numbers

const LAST_AT = 0
const COUNT = 1
const PREVIOUS = 2
/** readings left until it is clear */
const LEFT = 3
const FIELDS = 4

export const change: Detector<ChangeState, ChangeRule> = {
  name: 'rapid_change',
  ...kept(1, numbers(FIELDS)),
  step({ numbers: s }, { at, value }, rule) {
    if (s[COUNT]! > 0 && !(at > s[LAST_AT]!)) return IGNORED
    const before = s[PREVIOUS]!
    const size = s[COUNT] === 0 ? 0 : Math.abs(value - before)
    const active = s[LEFT]! > 0
    s[LAST_AT] = at
    s[PREVIOUS] = value
    s[COUNT] = 1
    s[LEFT] = size >= rule.limit ? rule.hold : Math.max(0, s[LEFT]! - 1)
    if (size < rule.limit || active) return s[LEFT]! > 0 ? HOLDS : QUIET
    return {
      ...QUIET,
      score: 1,
      active: true,
      part: 'change',
      expected: before,
      reasons: [{ part: 'change', size: value - before, usual: null, p: null }],
    }
  },
}

const HOLDS: Verdict = Object.freeze({ ...QUIET, active: true, part: 'change' })
