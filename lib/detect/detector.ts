import type { Micros } from '../time.ts'
import type { Kept } from './layout.ts'

/** What a detector sees of a reading. */
export interface Sample {
  /** event time, microseconds since 1970 UTC */
  at: Micros
  value: number
  /** 0 (worthless) … 1 (good) */
  quality: number
}

/**
 * A detector is a pure, event-time state machine: the same readings in the same order give the same verdicts on any
 * machine, in any batches, across any restart. No wall clock, no randomness, constant memory.
 *
 * `step` moves the state and answers for this one reading. A reading that is not newer than the last one moves
 * nothing and answers `IGNORED` (compare by identity: it is no statement about an open alarm), so repeats and late
 * data raise and clear nothing. `decode` of what `encode` gave continues
 * bit for bit; it answers null for bytes it can't continue from (another version or size): the caller starts with
 * `create()` and says that this detector re-learns.
 */
export interface Detector<State, Rule> extends Kept<State> {
  readonly name: string
  step(state: State, sample: Sample, rule: Rule): Verdict
}

export interface Verdict {
  /** 0 … 1: how much this reading deserves a new alarm; ≥ 0.5 raises one at the default threshold */
  readonly score: number
  /** the condition holds: an alarm that was raised stays open while this is true */
  readonly active: boolean
  /** probability of anything this unusual, from the sensor's own history; null where the rule is not statistical */
  readonly rarity: number | null
  /** what spoke loudest; null where nothing spoke */
  readonly part: Part | null
  /** what was expected instead, in the sensor's unit */
  readonly expected: number | null
  /** limits or usual band in force, in the sensor's unit; null where that side has none */
  readonly low: number | null
  readonly high: number | null
  /** further facts for the explanation, loudest first; filled where the score reaches 0.5, and with what it came to where an alarm ends */
  readonly reasons: readonly Reason[]
}

/** One fact behind an alarm: `part` was `size` (see below) where `usual` is normal, and so much is seen once in 1/p readings. */
export interface Reason {
  readonly part: Part
  /** the observed quantity, in the sensor's unit unless the part says otherwise */
  readonly size: number
  /** what is usual for it, same unit; null where not known */
  readonly usual: number | null
  /** probability of at least this size; null where not statistical */
  readonly p: number | null
  /** which channel of a machine, where there are several */
  readonly channel?: number
  /** vibration severity: the zone that it is in (part zone), or that comes next (part trend) */
  readonly zone?: string
}

export type Part =
  | 'level' // away from the slow level
  | 'ratio' // times more or less than usual, counted from the sensor's floor
  | 'change' // from one reading to the next
  | 'hour-of-day' // away from what is usual at this hour
  | 'activity' // restless, or suspiciously calm
  | 'trend' // the fast mean leaves the slow one
  | 'range' // beyond everything seen
  | 'limit' // a fixed limit
  | 'condition' // several channels of one machine together
  | 'frozen'
  | 'jump'
  | 'physical'
  | 'late'
  | 'future'
  | 'zone' // vibration severity
  | 'pattern' // energy against its week
  | 'excess' // kWh beyond it
  | 'cost' // money for that
  | 'silence'

/** Nothing to say. Shared: verdicts are read, never written. */
export const QUIET: Verdict = Object.freeze({
  score: 0,
  active: false,
  rarity: null,
  part: null,
  expected: null,
  low: null,
  high: null,
  reasons: Object.freeze([]),
})

/** The answer to a reading that is not newer than the last one: neither alarm nor all-clear. */
export const IGNORED: Verdict = Object.freeze({ ...QUIET })
