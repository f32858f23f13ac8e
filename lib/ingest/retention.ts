import { ask, type Database } from '../db/connect.ts'
import { log } from '../log.ts'
import { sleep } from '../run.ts'

const DAYS_AHEAD = 7
const EVERY_MS = 3_600_000
const RETRY_MS = 10_000

/**
 * Keeps daily partitions of readings a week ahead and drops those past their days, with the rounds of production lines
 * that they told of, at start and every hour. Every
 * consumer does it: the functions in the database order themselves, and a second call finds nothing to do.
 */
export async function keepPartitions(
  database: Database,
  keepDays: number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await ask('make partitions ahead', database.sql`select ensure_reading_partitions(${DAYS_AHEAD})`)
      const dropped = await ask(
        'drop old partitions',
        database.sql<{ name: string }[]>`select drop_old_reading_partitions(${keepDays}) as name`,
      )
      if (dropped.length > 0) log.info('partitions.dropped', { names: dropped.map((d) => d.name) })
      await ask('drop past rounds of lines', database.sql`select drop_old_rounds(${keepDays})`)
      await sleep(EVERY_MS, signal)
    } catch (error) {
      if (signal.aborted) return
      log.warn('partitions.not_kept', { error: error as Error })
      await sleep(RETRY_MS, signal)
    }
  }
}
