import { parseConfig } from '../config.ts'
import { closeSql, connect, learnRoles, type Sql } from '../db/connect.ts'
import { EXIT, sleep, Stop } from '../run.ts'

/** What is shown once: its identity among the others, its line, and the same as data. */
export interface Item {
  id: string
  line: string
  data: unknown
}

/** Remembered identities: more than any one look returns, so nothing is told twice and memory stays bounded. */
const REMEMBERED = 5000
/** Half a minute without PostgreSQL, then the tail ends with 69. */
const PATIENCE_MS = 30_000

/**
 * Looks once a second and prints what it has not printed yet, oldest first, until the signal or `count` lines. A reader
 * that has gone (`| head`) ends it quietly.
 */
export async function tail(options: {
  name: string
  look: (sql: Sql) => Promise<Item[]>
  json: boolean
  count: number | undefined
  signal: AbortSignal
}): Promise<number> {
  const { look, json, signal } = options
  const url = parseConfig().DATABASE_URL
  await learnRoles(url)
  const sql = connect(url, { name: options.name, role: 'monitor', max: 1 })
  const seen = new Set<string>()
  let left = options.count ?? Number.POSITIVE_INFINITY
  let answeredAt = Date.now()
  process.stdout.on('error', () => process.exit(EXIT.ok))
  try {
    while (!signal.aborted && left > 0) {
      const items = await look(sql).catch((error: unknown) => {
        if (Date.now() - answeredAt > PATIENCE_MS || seen.size === 0) throw away(error)
        process.stderr.write('PostgreSQL does not answer, still trying\n')
        return null
      })
      if (items) answeredAt = Date.now()
      for (const item of items ?? []) {
        if (seen.has(item.id) || left <= 0) continue
        seen.add(item.id)
        left--
        process.stdout.write(`${json ? JSON.stringify(item.data) : item.line}\n`)
      }
      for (const id of seen) {
        if (seen.size <= REMEMBERED) break
        seen.delete(id)
      }
      if (left > 0) await sleep(1000, signal)
    }
    return EXIT.ok
  } finally {
    await closeSql(sql)
  }
}

function away(error: unknown): Stop {
  const text = error instanceof Error ? error.message : String(error)
  return new Stop(
    `Cannot read the database: ${text}: start it (bun run infra), or set DATABASE_URL`,
    EXIT.unavailable,
    { cause: error },
  )
}
