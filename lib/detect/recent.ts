import type { Micros } from '../time.ts'
import { numbers, type Numbers } from './layout.ts'

/** The last values of a sensor, whatever its rules are: part of an alarm's explanation. */
export interface RecentReading {
  at: Micros
  value: number
}

const KEPT = 8
/** how many there were so far, then time and value of each, round about */
export const recent = {
  slot: { ruleId: '', detector: 'recent', version: 1 },
  layout: numbers(1 + 2 * KEPT),
}

export function remember({ numbers: s }: Numbers, at: Micros, value: number): void {
  const place = 1 + 2 * (s[0]! % KEPT)
  s[0]!++
  s[place] = at
  s[place + 1] = value
}

/** oldest first */
export function recentOf({ numbers: s }: Numbers): RecentReading[] {
  const count = s[0]!
  const from = Math.max(0, count - KEPT)
  return Array.from({ length: count - from }, (_, i) => {
    const place = 1 + 2 * ((from + i) % KEPT)
    return { at: s[place]!, value: s[place + 1]! }
  })
}
