import type { Sql } from '../../lib/db/connect.ts'
import { sleep } from '../../lib/run.ts'

/**
 * Stops a consumer at random moments until PostgreSQL says that its transaction is open, and leaves it stopped then.
 * false: it could not be caught, and it runs. `kill` sends it a signal; `name` is what pg_stat_activity calls it.
 */
export async function freezeInTransaction(
  sql: Sql,
  target: { name: string; kill(signal: 'SIGSTOP' | 'SIGCONT'): void },
  random: () => number,
): Promise<boolean> {
  await sleep(random() * 300)
  for (let attempt = 0; attempt < 300; attempt++) {
    target.kill('SIGSTOP')
    // What was on the wire is answered, and enough waits in the log for a batch that takes a transaction: a few rows are
    // one statement, whose COMMIT no signal can come before.
    await sleep(15 + random() * 100)
    const open = await sql`
      select 1 from pg_stat_activity
      where datname = current_database() and application_name = ${target.name} and (state = 'idle in transaction'
        or query ilike 'copy readings%' and state = 'active' and wait_event = 'ClientRead')`
    if (open.length > 0) return true
    target.kill('SIGCONT')
    await sleep(3 + random() * 20)
  }
  target.kill('SIGCONT')
  return false
}
