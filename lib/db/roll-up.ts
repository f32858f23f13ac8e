import { ask, type Sql } from './connect.ts'

/** of arrivals: in one step when it lies behind, and how much must have gathered to be worth a look */
const STRETCH = '5 minutes'
const AT_LEAST = '10 seconds'

/** One step of the roll-ups; true: there is more to do at once. Any number of programs may ask: the database lets one work at a time. */
export async function rollUp(sql: Sql, deadlineMs?: number): Promise<boolean> {
  const [row] = await ask(
    'roll up readings',
    sql<
      { behind: boolean }[]
    >`select behind from roll_up_readings(${STRETCH}::interval, ${AT_LEAST}::interval)`,
    deadlineMs,
  )
  return row?.behind ?? false
}
