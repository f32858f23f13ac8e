import { messagesOf, type Records } from '../kafka/records.ts'
import type { Message } from './outputs.ts'
import type { Beat } from './prepare.ts'

interface Ways {
  /** the short way, for records of known form: how many of the next ones it took */
  run(records: Records, most: number): number
  /** the long way, for all others: each becomes an object first */
  take(messages: Message[], beat: Beat): Promise<void>
  /** under which claim the partition is held, and the offset that has to come next; null while it is not held */
  hold(): { epoch: number; position: number } | null
  /** what came begins behind that: the partition has to be claimed and read anew */
  fail(error: Skipped): void
  /** milliseconds since 1970 */
  now(): number
}

/** Records came without those before them. */
export class Skipped extends Error {}

/** A message of unknown form may be the only one, or the first of many: each time in a row twice as many go the long way. */
const MOST_AT_ONCE = 1024
/** beyond this a turn ends, however little it has taken */
const TURN_MS = 1000

/** Takes records in their order, each by the way that is fit for it. Resolves to the offset of the last that was taken. */
export function createIntake(ways: Ways): (records: Records, most: number, beat: Beat) => Promise<number> {
  const { run, take, hold, fail, now } = ways
  let atOnce = 1
  return async (records, most, beat) => {
    const held = hold()
    const from = records.last + 1
    // What was fetched for an older claim may still be handed over: it lies behind what has to be read first.
    if (held && from > held.position)
      fail(new Skipped(`offsets ${held.position} to ${from - 1} were not handed over`))
    const began = now()
    let left = most
    // a new claim begins to read elsewhere
    while (left > 0 && records.standing && held && hold()?.epoch === held.epoch && now() - began < TURN_MS) {
      const known = run(records, left)
      left -= known
      if (known > 0) atOnce = 1
      const messages: Message[] = messagesOf(records, Math.min(atOnce, left))
      left -= messages.length
      if (messages.length === 0) continue
      atOnce = Math.min(2 * atOnce, MOST_AT_ONCE)
      await take(messages, beat)
    }
    if (!hold()) while (records.standing) records.next() // nobody's now
    return records.last
  }
}
