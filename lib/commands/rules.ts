import { bookOfFile, listBooks, proposeBook, type BookRow } from '../alarm/books.ts'
import { parseBook, withRule, type RuleBookText } from '../alarm/rulebook.ts'
import { parseConfig } from '../config.ts'
import { closeSql, connect, type Sql } from '../db/connect.ts'
import { EXIT, Stop } from '../run.ts'
import { actorFlag, command } from './command.ts'

const HELP = `bun run rules: the rule book in force, and changes to it without a restart.

  list                      versions, newest first: who, when, why
  show [VERSION]            a book (default the newest) as YAML
  apply FILE                a whole new book (YAML or JSON; $NAME is a variable of .env)
  check FILE                only whether it has faults
  limit ID VALUE            another limit for one rule, such as: limit temperature.high 38
  enable ID · disable ID    one rule

  --reason TEXT             why, for the list
  --by NAME                 who (default your login)
  --json

Every consumer takes a new version on within seconds, at a recorded offset of each partition.
exit 0 · 1 somebody else changed it meanwhile · 2 usage · 69 PostgreSQL is not there · 78 the book has faults`

await command({
  help: HELP,
  words: 3,
  options: { reason: { type: 'string' }, by: { type: 'string' }, json: { type: 'boolean' } },
  async main(values, words) {
    const [act = 'list', first, second] = words
    const config = parseConfig()
    if (act === 'check') {
      const book = parseBook(
        bookOfFile({ ...config, RULES_FILE: needed('check', 'FILE', first) }),
        first ?? '',
      )
      console.log(`${book.rules.length} rules, no faults`)
      return EXIT.ok
    }
    const sql = connect(config.DATABASE_URL, { name: 'rules', role: 'monitor', max: 1 })
    const who = { by: actorFlag(values.by), reason: String(values.reason ?? '') }
    try {
      switch (act) {
        case 'list':
          return print(await listBooks(sql, 50), values.json === true)
        case 'show':
          return show(await read(sql, first), values.json === true)
        case 'apply': {
          const book = bookOfFile({ ...config, RULES_FILE: needed('apply', 'FILE', first) })
          return said(await proposeBook(sql, book, who.by, who.reason))
        }
        case 'limit': {
          const id = needed('limit', 'ID', first)
          const limit = numberIn(needed('limit', 'VALUE', second))
          return await change(sql, id, { limit }, { ...who, reason: who.reason || `${id}: limit ${limit}` })
        }
        case 'enable':
        case 'disable': {
          const id = needed(act, 'ID', first)
          return await change(
            sql,
            id,
            { enabled: act === 'enable' },
            { ...who, reason: who.reason || `${act} ${id}` },
          )
        }
        default:
          throw new Stop(`Cannot do "${act}" with rules: see --help`, EXIT.usage)
      }
    } catch (cause) {
      if (cause instanceof Stop) throw cause
      const seen = cause instanceof Error ? cause.message : String(cause)
      throw new Stop(
        `Cannot reach the rule books: ${seen}: start PostgreSQL (bun run infra)`,
        EXIT.unavailable,
        {
          cause,
        },
      )
    } finally {
      await closeSql(sql)
    }
  },
})

function needed(act: string, what: string, word: string | undefined): string {
  if (word !== undefined) return word
  throw new Stop(`Cannot ${act}: ${what} is missing: see --help`, EXIT.usage)
}

/** An empty word is no number: Number('') would be 0. */
function numberIn(word: string): number {
  const number = word.trim() === '' ? NaN : Number(word)
  if (Number.isFinite(number)) return number
  throw new Stop(`Cannot limit: VALUE must be a number: got "${word}"`, EXIT.usage)
}

async function read(sql: Sql, version: string | undefined): Promise<BookRow> {
  const books = await listBooks(sql, version === undefined ? 1 : 1000)
  const row = version === undefined ? books[0] : books.find((b) => b.version === Number(version))
  if (row) return row
  throw new Stop(
    `Cannot show rule book ${version ?? ''}: there is none: a consumer makes the first`,
    EXIT.fault,
  )
}

async function change(
  sql: Sql,
  id: string,
  fields: Record<string, unknown>,
  who: { by: string; reason: string },
): Promise<number> {
  const row = await read(sql, undefined)
  const changed = withRule(row.book as RuleBookText, id, fields)
  if (changed === null)
    throw new Stop(
      `Cannot change rule ${id}: the book has none of this id: see bun run rules show`,
      EXIT.usage,
    )
  return said(await proposeBook(sql, changed, who.by, who.reason, row.version))
}

function said(version: number | null): number {
  if (version === null) {
    process.stderr.write('somebody else changed the rules meanwhile: look at them, then try again\n')
    return EXIT.fault
  }
  console.log(`rule book ${version} is the newest`)
  return EXIT.ok
}

function show(row: BookRow, json: boolean): number {
  console.log(json ? JSON.stringify(row.book, null, 2) : Bun.YAML.stringify(row.book, null, 2))
  return EXIT.ok
}

function print(books: readonly BookRow[], json: boolean): number {
  if (json) console.log(JSON.stringify(books.map(({ book: _, ...row }) => row)))
  else
    for (const { version, author, created_at, reason } of books)
      console.log(
        `${String(version).padStart(4)}  ${created_at.toISOString()}  ${author.padEnd(16)} ${reason}`,
      )
  return EXIT.ok
}
