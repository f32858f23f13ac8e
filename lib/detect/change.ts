import { IGNORED, QUIET, type Detector, type Verdict } from './detector.ts'

/**
 * Rapid change: the value moves by `limit` or more from one reading to the next. Active with the step, clear after `hold`
 * readings in a row without another.
 */
export interface ChangeRule {
  /** in the sensor's unit */
  limit: number
  hold: number
}

export interface ChangeState {
  readonly numbers: Float64Array
}

const LAST_AT = 0
const COUNT = 1
const PREVIOUS = 2
/** readings left until it is clear */
const LEFT = 3
const FIELDS = 4

export const change: Detector<ChangeState, ChangeRule> = {
  name: 'rapid_change',
  version: 1,
  create: () => ({ numbers: new Float64Array(FIELDS) }),
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
  encode: ({ numbers }) => new Uint8Array(numbers.buffer.slice(0)),
  decode: (bytes, version) =>
    version === change.version && bytes.length === 8 * FIELDS
      ? { numbers: new Float64Array(Uint8Array.from(bytes).buffer) }
      : null,
}

const HOLDS: Verdict = Object.freeze({ ...QUIET, active: true, part: 'change' })
