import { log } from '../log.ts'
import { ask, sqlState, type Sql } from './connect.ts'

/** seconds of arrivals in one step when it lies behind: the most, and what a server that is slow comes down to */
const MOST = 300
const LEAST = 1
/** how much must have gathered to be worth a look */
const AT_LEAST = '10 seconds'
/** SQLSTATE of a statement that took longer than it may */
const TOO_LONG = '57014'

let stretch = MOST

/**
 * One step of the roll-ups; true: there is more to do at once. Any number of programs may ask: the database lets one work
 * at a time. A step that takes too long (minutes of a fast backlog) is undone, and those after it are half as large until
 * the roll-ups have caught up.
 */
export async function rollUp(sql: Sql, deadlineMs?: number): Promise<boolean> {
  try {
    const [row] = await ask(
      'roll up readings',
      sql<
        { behind: boolean }[]
      >`select behind from roll_up_readings(make_interval(secs => ${stretch}), ${AT_LEAST}::interval)`,
      deadlineMs,
    )
    if (!row?.behind) stretch = MOST
    return row?.behind ?? false
  } catch (error) {
    if (sqlState(error) !== TOO_LONG || stretch === LEAST) throw error
    stretch = Math.max(LEAST, stretch / 2)
    log.warn('rollups.step_too_long', { next_seconds: stretch })
    return true
  }
}
