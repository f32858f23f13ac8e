import type { Micros } from '../time.ts'

/** Bits of readings.flags: what is to be known of a stored reading beside its value. */
export const FLAG = {
  /** older than one of this sensor that was already stored, or long on its way: raises and clears nothing */
  late: 1,
  /** its time lies outside [arrival − 30 days, arrival + 5 minutes]: raises and clears nothing */
  clock: 2,
  /** outside what its type can physically be */
  outOfRange: 4,
  /** came without run and seq: its producer's repeats cannot be told from news */
  unidentified: 8,
  /** fills a number that had been skipped */
  filled: 16,
  /** numbers before it are missing */
  gapBefore: 32,
  /** sent as history: raises and clears nothing */
  history: 64,
  /** the producer itself calls it bad (quality under 0.5): raises and clears nothing */
  badQuality: 128,
} as const

export const FLAG_NAMES = Object.keys(FLAG) as (keyof typeof FLAG)[]

export function flagNames(flags: number): string[] {
  return FLAG_NAMES.filter((name) => flags & FLAG[name])
}

/** A reading with one of these does not move detectors. */
export const NOT_LIVE = FLAG.late | FLAG.clock | FLAG.history | FLAG.badQuality | FLAG.filled

const LATE_AFTER = 5 * 60 * 1_000_000 // five minutes under way: older news is history
const CLOCK_BEHIND = 30 * 86_400 * 1_000_000
const CLOCK_AHEAD = 5 * 60 * 1_000_000

/** What its time says of a reading; the watermark is the newest time of its sensor so far. */
export function timeFlags(measuredAt: Micros, arrivedAt: Micros, watermark: Micros): number {
  const wrong = measuredAt < arrivedAt - CLOCK_BEHIND || measuredAt > arrivedAt + CLOCK_AHEAD
  const late = measuredAt < watermark || measuredAt < arrivedAt - LATE_AFTER
  return (wrong ? FLAG.clock : 0) | (late ? FLAG.late : 0)
}
