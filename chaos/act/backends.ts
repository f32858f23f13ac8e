import { parseConfig } from '../../lib/config.ts'
import { ask, createDatabase } from '../../lib/db/connect.ts'
import { log } from '../../lib/log.ts'
import { EXIT, run, sleep } from '../../lib/run.ts'

/** `bun chaos/act/backends.ts SECONDS`: every two seconds ends all connections of our programs to our database. */
await run('backends', async (signal) => {
  log.configure({ level: 'ERROR', service: 'chaos' })
  const database = createDatabase(parseConfig().DATABASE_URL, { name: 'chaos', max: 1 })
  const until = Date.now() + Number(process.argv[2] ?? 20) * 1000
  let ended = 0
  try {
    while (Date.now() < until && !signal.aborted) {
      const rows = await ask(
        'end the connections',
        database.sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and application_name <> 'observer'`,
      )
      ended += rows.length
      await sleep(2000, signal)
    }
  } finally {
    await database.close()
  }
  return ended > 0 ? EXIT.ok : EXIT.fault
})
