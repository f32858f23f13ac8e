import { log } from '../log.ts'
import type { Identity, Reading } from '../reading.ts'
import { sleep } from '../run.ts'
import { nowMicros, type Micros } from '../time.ts'

/** Who measures. A fleet knows neither Kafka nor the spool: it yields what was measured, when it is due. */
export interface Fleet<What extends Carried = Reading> {
  name: string
  /** the one type that it measures, for producer_health; null where there are several */
  sensorType: string | null
  /**
   * Batches of what is due, never empty. Ends when the fleet is finished or the signal aborts. Whoever iterates sets
   * the pace: nothing more is measured ahead while a batch is being taken.
   */
  readings(signal: AbortSignal, past?: Past): AsyncIterable<Measured<What>[]>
  /** what it cannot measure without, and has not got, in words; null where nothing holds it up */
  waitsFor?(): string | null
  /** what came of it, for people: lines of text, asked for at the end */
  results?(): string[]
}

/** What an earlier life of this producer left in its spool. */
export interface Past {
  /** the newest memo of each name */
  memos: ReadonlyMap<string, string>
  /** messages accepted and not yet sent */
  unsent: number
}
export const NO_PAST: Past = { memos: new Map(), unsent: 0 }

/** A message carries one reading, several (a device that measures two things) or none (a heartbeat). */
export type Carried = Reading | readonly Reading[]

/** What a fleet hands to the spool: what was measured and the message that it becomes. */
export interface Measured<What extends Carried = Reading> {
  topic: string
  key: string
  reading: What
  /** for a later life: true in the commit that accepts this message, or not at all */
  memo?: { name: string; text: string }
  /** the Kafka value, once the spool has given the reading its identity */
  encode(id: Identity): string | Uint8Array
}

/** Time as a fleet sees it: a test, a score or a print-out puts its own in place of the wall's. */
export interface Clock {
  now(): Micros
  /** resolves after `ms`, or at once when the signal aborts */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export const wallClock: Clock = { now: nowMicros, sleep }

/**
 * The clock was set back: what is due next lies further ahead than anything ever waits. Says so; the fleet goes on by the
 * new time, or it would measure nothing until the old one is reached again.
 */
export function wentBack(fleet: string, due: Micros, now: Micros, longest: Micros): boolean {
  if (due - now <= longest) return false
  log.warn(`${fleet}.clock_went_back`, { seconds: Math.round((due - now) / 1e6) })
  return true
}
