import { ask, type Sql } from '../../db/connect.ts'
import type { RuleBookText } from '../../alarm/rulebook.ts'
import { DEADLINE_MS } from './consumers.ts'
import { plain, plainAll } from './rows.ts'

export interface RuleVersionRow {
  version: number
  author: string
  reason: string
  created_at: string
}
export interface InForceRow {
  topic: string
  partition: number
  version: number
  from_offset: number
  activated_at: string
}
export type RuleText = RuleBookText['rules'][number]

/** The newest book; null: none was ever made. */
export async function newestBook(sql: Sql): Promise<(RuleVersionRow & { book: RuleBookText }) | null> {
  const [row] = await ask(
    'read the newest rule book',
    sql`select version, author, reason, created_at, book from rule_books order by version desc limit 1`,
    DEADLINE_MS,
  )
  return row ? plain(row) : null
}

export async function bookOfVersion(
  sql: Sql,
  version: number,
): Promise<(RuleVersionRow & { book: RuleBookText }) | null> {
  const [row] = await ask(
    'read a rule book',
    sql`select version, author, reason, created_at, book from rule_books where version = ${version}`,
    DEADLINE_MS,
  )
  return row ? plain(row) : null
}

/** Newest first; those before `before`, one more than the limit. */
export async function listVersions(
  sql: Sql,
  limit: number,
  before: number | null,
): Promise<RuleVersionRow[]> {
  const rows = await ask(
    'list the rule books',
    sql`
      select version, author, reason, created_at from rule_books
      where ${before}::int is null or version < ${before}::int
      order by version desc limit ${limit + 1}`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}

/** Which version judges on each partition since when. */
export async function booksInForce(sql: Sql): Promise<InForceRow[]> {
  const rows = await ask(
    'read where the rule books are in force',
    sql`
      select distinct on (topic, partition) topic, partition, book_version as version, from_offset, activated_at
      from rule_activations order by topic, partition, book_version desc limit 1000`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}

/** Versions, of the newest 500, in which this rule changed; newest first. */
export async function ruleHistory(
  sql: Sql,
  ruleId: string,
): Promise<(RuleVersionRow & { rule: RuleText | null })[]> {
  const rows = await ask(
    'read the history of a rule',
    sql`
      with books as (
        select version, author, reason, created_at,
          (select e from jsonb_array_elements(book -> 'rules') e where e ->> 'id' = ${ruleId} limit 1) as rule
        from rule_books order by version desc limit 500
      )
      select version, author, reason, created_at, rule
      from (select *, lag(rule) over (order by version) as before from books) b
      where rule is distinct from before
      order by version desc limit 50`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}
