import { sqlState } from '../db/connect.ts'
import { Fault } from './decode.ts'

/**
 * Where the database refuses a batch for a value in it (SQLSTATE class 22 or 23), one message is at fault, and only that
 * one becomes a dead letter: the batch's messages are stored one by one until it is found.
 */
export interface Suspects {
  /** what is known against the message at this offset */
  condemned(offset: number): Fault | null
  /** messages up to here are to be stored one by one */
  isSuspect(position: number): boolean
  /** a batch of `count` messages up to `next` was not stored */
  note(error: unknown, next: number, count: number): void
}

export function createSuspects(): Suspects {
  let suspectUntil = 0
  const condemned = new Map<number, Fault>()
  return {
    condemned: (offset) => condemned.get(offset) ?? null,
    isSuspect: (position) => position <= suspectUntil,
    note(error, next, count) {
      const code = sqlState(error)
      if (!code || !/^2[23]/.test(code)) return
      if (count > 1) suspectUntil = next
      else {
        const seen = (error as Error).message
        condemned.set(next - 1, new Fault('storage', `is refused by the database: ${seen} (${code})`))
      }
    },
  }
}
