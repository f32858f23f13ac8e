import { ask } from '../db/connect.ts'

/** To be tried again with a fresh look at the log. */
export class LogEndsEarly extends Error {}

/** The log is not the one that was being taken: going on would skip or mix readings, so the partition stands still. */
export class LogReplaced extends Error {}

/** Offsets that the log has of a partition: `low` is the first, `high` one beyond the last. */
export interface LogRange {
  low: number
  high: number
  /** of what was appended at this time or later (milliseconds since 1970) the first; the log's end where there is none */
  firstSince?: (ms: number) => Promise<number>
}

/** How far a partition was taken, and when that moved last (milliseconds since 1970). */
export interface Taken {
  next_offset: number
  epoch: number
  moved_ms: number
}

/**
 * Without a proof: a broker that is cut off from its own tells of an older end for as long, a look at the log may be older
 * than a rival's COMMIT, a new leader's high watermark may lag.
 */
const SURE_AFTER_MS = 60_000
/** the database's clock and the brokers' may differ so much */
const CLOCKS_MS = 2000

/** Whether the log of one partition is still the one that was taken. */
export interface Doubt {
  /** Resolves where it is. Throws LogEndsEarly where it ends too early just now, LogReplaced where it is another one. */
  resolve(name: string, log: LogRange, taken: Taken): Promise<void>
}

/**
 * Of one and the same log all that was taken had been appended before the position moved last: a message below it that
 * came later proves another log, however long that has grown. Without such a message (nothing new is sent) the log is
 * another one when it has ended too early for a minute, in looks between which nobody else has claimed the partition.
 */
export function createDoubt(now: () => number): Doubt {
  let since = 0
  /** of the newest claim that was refused; null: there is no doubt */
  let epoch: number | null = null
  return {
    async resolve(name, log, taken) {
      const endsEarly = taken.next_offset > log.high
      if (!endsEarly && epoch === null) return
      const first = (await log.firstSince?.(taken.moved_ms + CLOCKS_MS)) ?? Infinity
      const is = `${name}: the log ends at ${log.high}, but ${taken.next_offset} messages were taken`
      if (first < Math.min(taken.next_offset, log.high))
        throw new LogReplaced(`${is}; offset ${first} is newer`)
      if (!endsEarly) {
        epoch = null
        return
      }
      if (epoch === null || taken.epoch !== epoch + 1) since = now()
      epoch = taken.epoch
      if (now() - since > SURE_AFTER_MS) throw new LogReplaced(is)
      throw new LogEndsEarly(`${is}: asked again`)
    },
  }
}

/**
 * Where it is certain that the log is another one, `stop` writes down why, so that the partition stands still until a person
 * accepts it, and LogReplaced says the same. Any other error is passed on.
 */
export async function orStop(
  resolved: Promise<void>,
  topic: string,
  stop: (why: string) => PromiseLike<unknown>,
): Promise<void> {
  await resolved.catch(async (error: Error) => {
    if (!(error instanceof LogReplaced)) throw error
    const why = `${error.message}: the topic was re-created or lost its end; look into it, then: bun run topics --accept-new-log ${topic}`
    await ask('stop the partition', stop(why))
    throw new LogReplaced(why)
  })
}
