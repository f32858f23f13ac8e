import { sqlState } from '../db/connect.ts'
import { Fault } from './decode.ts'

/**
 * Finds the one message that makes the database refuse a whole batch (SQLSTATE class 22 or 23): the batch comes again,
 * its messages are stored one by one, and the one that is refused alone becomes a dead letter.
 */
export interface Suspects {
  /** `next` is the offset after the refused batch, `count` the number of its messages */
  note(error: unknown, next: number, count: number): void
  /** whether the message before `position` has to be stored by itself */
  isStoredAlone(position: number): boolean
  verdict(offset: number): Fault | undefined
  /** a checkpoint has these: they are not read again */
  forgetBefore(offset: number): void
  /** another log stands in the place of theirs: its offsets begin anew */
  forgetAll(): void
}

export function createSuspects(): Suspects {
  let until = 0
  const condemned = new Map<number, Fault>()
  return {
    note(error, next, count) {
      const code = sqlState(error)
      if (!code || !/^2[23]/.test(code)) return
      until = next
      if (count !== 1) return
      const seen = (error as Error).message
      condemned.set(next - 1, new Fault('storage', `is refused by the database: ${seen} (${code})`))
    },
    isStoredAlone: (position) => position <= until,
    verdict: (offset) => condemned.get(offset),
    forgetBefore(offset) {
      for (const known of condemned.keys()) if (known < offset) condemned.delete(known)
    },
    forgetAll() {
      until = 0
      condemned.clear()
    },
  }
}
