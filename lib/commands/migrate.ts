import { parseConfig } from '../config.ts'
import { closeSql, connect } from '../db/connect.ts'
import { migrate } from '../db/migrate.ts'
import { log } from '../log.ts'
import { EXIT, run, sleep, Stop } from '../run.ts'

const HELP = `bun run migrate: brings the database to the newest schema (sql/*.sql). Safe to run at any time, by many at once.
exit 0 done · 69 PostgreSQL is not there · 78 the database is newer than this program`

/** PostgreSQL may still be starting: one minute, then it counts as down. */
const ATTEMPTS = 60

if (process.argv.includes('--help')) {
  console.log(HELP)
  process.exit(EXIT.ok)
}

await run('migrate', async (signal) => {
  const config = parseConfig()
  log.configure({ level: config.LOG_LEVEL, service: 'migrate', file: config.LOG_FILE ?? null })
  const sql = connect(config.DATABASE_URL, { name: 'migrate', max: 1, statementTimeoutMs: 60_000 })
  try {
    for (let attempt = 1; ; attempt++) {
      const seen = await sql`select 1`.then(
        () => null,
        (error: Error) => error,
      )
      if (!seen) break
      if (attempt === ATTEMPTS || signal.aborted) {
        throw new Stop(
          `Cannot migrate: PostgreSQL does not answer: ${seen.message}: start it (bun run infra), or set DATABASE_URL`,
          EXIT.unavailable,
        )
      }
      await sleep(1000, signal)
    }
    const applied = await migrate(sql)
    console.log(applied.length > 0 ? `applied ${applied.join(', ')}` : 'the schema is up to date')
  } finally {
    await closeSql(sql)
  }
})
