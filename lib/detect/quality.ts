import { IGNORED, QUIET, type Detector, type Sample, type Verdict } from './detector.ts'
import { kept, numbers, type Numbers } from './layout.ts'

/**
 * Is the sensor itself in order? A value that sticks where it usually moves raises an alarm; a jump that a working
 * sensor hardly makes is a flag of the reading, shown and counted, and raises nothing.
 *
 * States: moving → frozen (so many equal readings in a row are improbable for this sensor) → moving with the first
 * reading that differs. A sensor that often repeats its value (a counter, a switch, a coarse scale) may repeat it long.
 */
export interface QualityRule {
  /** how improbable a row of equal readings must be, in decades */
  readonly decades: number
  /** equal readings in a row that are always allowed */
  readonly leastReadings: number
}
export const DEFAULT_QUALITY_RULE: QualityRule = { decades: 12, leastReadings: 8 }

export type QualityState = Numbers

const LEARNING = 60
const SHARE_RATE = 1 / 1000
const STEP_RATE = 0.01
/** a step so many times the usual one, and twice the largest before it, is a jump */
const JUMP = 15
/** at most so many repeats of a row teach how common repeats are: a sticking sensor must not call sticking normal */
const TEACHING_REPEATS = 3
/** repeats may come in bursts: a row must also be so many times the longest that was usual */
const BEYOND_LONGEST = 3
/** one row of repeats lengthens what is usual by no more than this factor */
const LENGTHEN = 1.5
/** a sensor of which more than this share of readings repeats can't be judged */
const REPEATER = 0.7

const LAST_AT = 0
const COUNT = 1
const PREVIOUS = 2
const EQUAL_SHARE = 3
const RUN = 4
const STEP = 5
const LARGEST_STEP = 6
const FROZEN = 7
const LONGEST_RUN = 8
const FIELDS = 9

export const quality: Detector<QualityState, QualityRule> = {
  name: 'quality',
  ...kept(1, numbers(FIELDS)),
  step,
}

function step({ numbers: s }: QualityState, { at, value }: Sample, rule: QualityRule): Verdict {
  if (s[COUNT]! === 0) {
    s[LAST_AT] = at
    s[COUNT] = 1
    s[PREVIOUS] = value
    return QUIET
  }
  if (!(at > s[LAST_AT]!)) return IGNORED
  s[LAST_AT] = at
  const n = ++s[COUNT]!
  const change = Math.abs(value - s[PREVIOUS]!)
  s[PREVIOUS] = value
  if (change !== 0) {
    const longest = s[LONGEST_RUN]!
    s[LONGEST_RUN] = Math.max(longest * (1 - SHARE_RATE / 2), Math.min(s[RUN]!, LENGTHEN * longest + 1))
  }
  s[RUN] = change === 0 ? s[RUN]! + 1 : 0
  const share = Math.max(s[EQUAL_SHARE]!, 3 / n)
  if (s[RUN]! <= TEACHING_REPEATS)
    s[EQUAL_SHARE]! += Math.max(SHARE_RATE, 1 / n) * ((change === 0 ? 1 : 0) - s[EQUAL_SHARE]!)
  const jumped = n > LEARNING && change > JUMP * s[STEP]! && change > 2 * s[LARGEST_STEP]!
  const taught = jumped ? JUMP * s[STEP]! : change
  if (change > 0) s[STEP] = s[STEP]! === 0 ? change : s[STEP]! + STEP_RATE * (taught - s[STEP]!)
  s[LARGEST_STEP] = Math.max(s[LARGEST_STEP]! * (1 - SHARE_RATE), taught)
  if (n <= LEARNING) return QUIET

  const decades = share < REPEATER ? s[RUN]! * -Math.log10(share) : 0
  const least = Math.max(rule.leastReadings, BEYOND_LONGEST * s[LONGEST_RUN]!)
  const frozen = decades >= rule.decades && s[RUN]! >= least
  const began = frozen && s[FROZEN] === 0
  s[FROZEN] = frozen ? 1 : 0
  if (frozen)
    return {
      ...QUIET,
      score: began ? 1 - 2 ** (-decades / rule.decades) : 0,
      active: true,
      rarity: 10 ** -decades,
      part: 'frozen',
      reasons: began
        ? [{ part: 'frozen', size: s[RUN]! + 1, usual: null, p: 10 ** -decades }]
        : QUIET.reasons,
    }
  if (jumped)
    return {
      ...QUIET,
      score: 0.4,
      part: 'jump',
      reasons: [{ part: 'jump', size: change, usual: s[STEP]!, p: null }],
    }
  return QUIET
}
