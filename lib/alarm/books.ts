import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { environment, type Config } from '../config.ts'
import { ask, type Database, type Sql } from '../db/connect.ts'
import { log } from '../log.ts'
import { EXIT, rest, Stop } from '../run.ts'
import { parseBook, type RuleBookText } from './rulebook.ts'
import { createRules, NO_RULES, type Rules } from './rules.ts'

/** Who writes the versions that come from config/rules.yaml and .env. */
export const FILE_AUTHOR = 'file'

const ROOT = join(import.meta.dir, '../..')

export interface BookRow {
  version: number
  book: unknown
  author: string
  reason: string
  created_at: Date
}

/** The book of the file, with the variables that it names put in; checked. */
export function bookOfFile(config: Pick<Config, 'RULES_FILE'>): RuleBookText {
  // as named, or from the project's folder where a program was started elsewhere
  const file = existsSync(config.RULES_FILE) ? config.RULES_FILE : join(ROOT, config.RULES_FILE)
  if (!existsSync(file))
    throw new Stop(
      `Cannot read the rule book: RULES_FILE names no file: got "${config.RULES_FILE}"`,
      EXIT.config,
    )
  let yaml: unknown
  try {
    yaml = Bun.YAML.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    const seen = cause instanceof Error ? cause.message : String(cause)
    throw new Stop(`Cannot read the rule book ${config.RULES_FILE}: ${seen}`, EXIT.config, { cause })
  }
  const book = withVariables(yaml, config)
  parseBook(book, config.RULES_FILE)
  return book as RuleBookText
}

/** `$NAME` becomes what the environment says. */
function withVariables(node: unknown, config: Pick<Config, 'RULES_FILE'>): unknown {
  if (typeof node === 'string' && node.startsWith('$')) {
    const name = node.slice(1)
    if (!Object.hasOwn(environment.shape, name))
      throw new Stop(
        `Cannot use the rule book ${config.RULES_FILE}: no variable is called ${node}`,
        EXIT.config,
      )
    return (config as Record<string, unknown>)[name] ?? null
  }
  if (Array.isArray(node)) return node.map((item) => withVariables(item, config))
  if (typeof node === 'object' && node !== null)
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, withVariables(value, config)]))
  return node
}

/**
 * Makes the file's book a version, where there is none yet or where the file (or a variable in it) differs from the
 * last version that came from it. What a person changed since then is kept in the table, and is superseded.
 */
export async function seedBook(sql: Sql, config: Config): Promise<number | null> {
  const book = bookOfFile(config)
  return ask(
    'seed the rule book',
    sql.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(hashtext('rule books'))`
      const [last] = await tx<{ book: unknown }[]>`
        select book from rule_books where author = ${FILE_AUTHOR} order by version desc limit 1`
      if (last && isDeepStrictEqual(last.book, JSON.parse(JSON.stringify(book)))) return null
      const reason = last ? 'the file or .env changed' : 'the first book'
      const [row] = await tx<{ version: number }[]>`
        insert into rule_books (book, author, reason)
        values (${JSON.stringify(book)}::text::jsonb, ${FILE_AUTHOR}, ${reason}) returning version`
      return row?.version ?? null
    }) as Promise<number | null>,
  )
}

/**
 * A new version by a person. Checked as a whole (Stop, 78, naming every fault); comes into force on every partition within seconds. Returns its version;
 * the version in force where nothing differs. `basedOn` (0: there was none): refused (null) where somebody else was faster.
 */
export async function proposeBook(
  sql: Sql,
  book: unknown,
  author: string,
  reason: string,
  basedOn?: number,
): Promise<number | null> {
  parseBook(book, `by ${author}`)
  return ask(
    'propose a rule book',
    sql.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(hashtext('rule books'))`
      const [last] = await tx<BookRow[]>`select version, book from rule_books order by version desc limit 1`
      if (basedOn !== undefined && (last?.version ?? 0) !== basedOn) return null
      if (last && isDeepStrictEqual(last.book, JSON.parse(JSON.stringify(book)))) return last.version
      const [row] = await tx<{ version: number }[]>`
        insert into rule_books (book, author, reason)
        values (${JSON.stringify(book)}::text::jsonb, ${author}, ${reason}) returning version`
      return row?.version ?? null
    }) as Promise<number | null>,
  )
}

/** Newest first, of those that are newer than `after`. */
export async function listBooks(sql: Sql, limit: number, after = 0): Promise<BookRow[]> {
  return ask(
    'list the rule books',
    sql<BookRow[]>`
      select version, book, author, reason, created_at from rule_books
      where version > ${after} order by version desc limit ${limit}`,
  )
}

/** The versions of the book as a consumer needs them. */
export interface Books {
  /** the newest that this process knows */
  latest(): Rules
  version(version: number): Promise<Rules>
  /** asks for a newer one; waits at most for one question */
  refresh(): Promise<void>
  /** hears of new versions (NOTIFY, and every few seconds) until the signal aborts */
  follow(signal: AbortSignal): Promise<void>
}

const POLL_MS = 5000
/** versions kept ready: those in force and those that a partition read again may meet */
const KEPT = 32

export function createBooks(database: Pick<Database, 'sql'>): Books {
  const known = new Map<number, Rules>([[0, NO_RULES]])
  let latest = NO_RULES

  function keep({ version, book }: Pick<BookRow, 'version' | 'book'>): Rules {
    const rules = known.get(version) ?? createRules(version, parseBook(book, `version ${version}`))
    known.set(version, rules)
    for (const old of known.keys())
      if (known.size > KEPT && old !== 0 && old !== latest.version) known.delete(old)
    return rules
  }

  async function refresh(): Promise<void> {
    const [row] = await listBooks(database.sql, 1, latest.version)
    if (!row || row.version <= latest.version) return // another look may have been faster
    latest = keep(row)
    log.info('rules.known', { version: row.version, author: row.author, reason: row.reason })
  }

  return {
    latest: () => latest,
    async version(version) {
      const ready = known.get(version)
      if (ready) return ready
      const [row] = await ask(
        'read a rule book',
        database.sql<BookRow[]>`select version, book from rule_books where version = ${version}`,
      )
      if (!row) throw new Error(`Cannot read rule book ${version}: it is not in table rule_books`)
      return keep(row)
    },
    refresh,
    async follow(signal) {
      let wake = () => {}
      const listening = await database.sql.listen('rules', () => wake()).catch(() => null)
      while (!signal.aborted) {
        await refresh().catch((error: Error) => log.warn('rules.not_read', { error }))
        await rest(POLL_MS, signal, (end) => (wake = end))
      }
      await listening?.unlisten().catch(() => {})
    },
  }
}
