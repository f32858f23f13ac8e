import { badContent } from './poison/content.ts'
import { createDesk } from './poison/draft.ts'
import { badTimes, badTransport } from './poison/transport.ts'

/**
 * Bad input as data: one message a case, what it is, and how it must end. The tests publish it among good readings
 * through a real consumer; `chaos/poison.sh` publishes the same list at a running system.
 */
export interface Case {
  id: number
  what: string
  key: Buffer | null
  /** made when asked for: some are large */
  value: () => Buffer | null
  headers: Record<string, string | string[] | Buffer>
  expected: Expected
}

export type Expected =
  /**
   * in table readings, once, with exactly these flags and, where it is told, this value; `second`: the flags of the
   * other reading of a message that carries two
   */
  | { end: 'stored'; flags: readonly string[]; second?: readonly string[]; value?: number }
  /** in table dead_letters, once, with its bytes and this reason */
  | { end: 'dead_letter'; reason: string }
  /** the same reading again: counted, not stored */
  | { end: 'repeat' }
  /** the same number with another content: counted, not stored */
  | { end: 'conflict' }
  /** never reaches the log: the broker says that it is too large */
  | { end: 'refused' }

/**
 * All cases. `now` is the time of publishing, in milliseconds; `run` makes sensors and running numbers of this
 * publication different from those of another one.
 */
export function catalogue(now: number, run: string): Case[] {
  const cases: Case[] = []
  const desk = createDesk(cases, now, run)
  badContent(desk)
  badTransport(desk)
  badTimes(desk)
  return cases
}
