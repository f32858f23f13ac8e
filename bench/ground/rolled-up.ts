import type { Sql } from '../../lib/db/connect.ts'
import { sleep } from '../../lib/run.ts'

/** What arrived in the last second may belong to a transaction that is still open: roll-ups leave it for later. */
const HORIZON_MS = 1100

/**
 * Rolls up what is stored and not rolled up yet, once nothing is stored any more: consumers look every ten seconds, and a
 * drain ends in between. Resolves to the seconds that took.
 */
export async function rollUpRest(sql: Sql): Promise<number> {
  await sleep(HORIZON_MS)
  const began = performance.now()
  for (let behind = true; behind;) {
    const [step] = await sql<{ behind: boolean }[]>`select behind from roll_up_readings('300 seconds')`
    behind = step?.behind ?? false
  }
  return (performance.now() - began) / 1000
}
