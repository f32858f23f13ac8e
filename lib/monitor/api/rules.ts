import { z } from 'zod'
import { proposeBook } from '../../alarm/books.ts'
import { bookFaults, SEVERITIES, withRule, type RuleBookText } from '../../alarm/rulebook.ts'
import type { Sql } from '../../db/connect.ts'
import * as answers from '../answers/rules.ts'
import { cursorParameter, encodeCursor, limitParameter, numberOf, plainText } from '../cursor.ts'
import { endpoint, type AnyEndpoint } from '../endpoint.ts'
import { Problem } from '../problem.ts'
import {
  bookOfVersion,
  booksInForce,
  listVersions,
  newestBook,
  ruleHistory,
  type InForceRow,
  type RuleText,
  type RuleVersionRow,
} from '../questions/rules.ts'
import type { Recall } from '../recall.ts'
import type { Section } from '../section.ts'
import { actorOf } from '../who/identity.ts'
import type { Write } from '../write.ts'
import { actor } from './alarms.ts'

export interface RuleOptions {
  sql: () => Sql
  recall: Recall
  write: Write
  /** what is in force until a consumer has made the first version */
  bookOfFile: RuleBookText
}

export interface RulesNow extends Omit<RuleVersionRow, 'created_at'> {
  created_at: string | null
  book: RuleBookText
  in_force: InForceRow[]
}

/** a form sends text */
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((t) => t === 'true')])
const number = numberOf(z.number(), 'must be a number')
const reason = plainText(500).min(1)
const based_on = numberOf(z.number().int().min(0), 'must be the number of a version')
  .optional()
  .meta({ description: 'the version that was looked at: refused where there is a newer one' })
const ruleId = z.object({ rule_id: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,95}$/) })
/** Two thousand rules, the most that a book has. */
const MOST_BOOK_BYTES = 1024 * 1024

/** What may be changed of one rule in place; everything else is a new book. */
const changes = z.strictObject({
  enabled: flag.optional(),
  limit: number.optional(),
  low: number.optional(),
  high: number.optional(),
  deadband: number.optional(),
  threshold: number.optional(),
  readings: number.optional(),
  severity: z.enum(SEVERITIES).optional(),
})

/** The rules in force, and the act of changing them: a whole new version, checked by the schema of all books. */
export function ruleEndpoints({ sql, recall, write, bookOfFile }: RuleOptions): AnyEndpoint[] {
  const propose = async (book: unknown, author: string, why: string, basedOn: number | undefined) => {
    const faults = bookFaults(book)
    if (faults.length > 0)
      throw new Problem(422, 'Rule book not understood', `It has ${faults.length} fault(s)`, faults)
    const version = await write(() => proposeBook(sql(), book, author, why, basedOn))
    if (version === null)
      throw new Problem(
        409,
        'Changed meanwhile',
        'Somebody else made a newer version: look at it, then try again',
      )
    return { version }
  }
  return [
    endpoint({
      method: 'get',
      path: '/api/rules',
      tag: 'rules',
      summary: 'The rule book in force, who made it and why, and where it judges already',
      answer: answers.rules,
      async handle() {
        const { data, ...state } = await rulesNow(sql, recall, bookOfFile)
        const { book, ...rest } = data ?? NOTHING
        return { ...state, ...rest, rules: book.rules.map(shown) }
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/rules/:rule_id',
      tag: 'rules',
      summary: 'One rule and its past',
      params: ruleId,
      answer: answers.oneRule,
      async handle({ params }) {
        const { data, ...state } = await rulesNow(sql, recall, bookOfFile)
        const found = data?.book.rules.find((r) => r.id === params.rule_id)
        const history = await recall(`rule ${params.rule_id}`, () => ruleHistory(sql(), params.rule_id))
        if (!found && data && (history.data ?? []).length === 0)
          throw new Problem(404, 'Not found', 'No book has a rule of that id')
        return {
          ...state,
          version: data?.version ?? 0,
          rule: found ? shown(found) : null,
          history: (history.data ?? []).map((h) => ({ ...h, rule: h.rule && shown(h.rule) })),
        }
      },
    }),
    endpoint({
      method: 'post',
      role: 'admin',
      path: '/api/rules/:rule_id',
      tag: 'rules',
      summary:
        'Change one rule: another limit, on or off; a new version of the book, in force within seconds',
      params: ruleId,
      body: changes.extend({ reason, by: actor, based_on }),
      answer: answers.proposed,
      async handle({ params, body, c }) {
        const { reason: why, by, based_on: basedOn, ...fields } = body
        if (Object.keys(fields).length === 0)
          throw new Problem(422, 'Body not understood', undefined, [
            {
              field: 'limit',
              message: `or another of ${Object.keys(changes.shape).join(', ')} must be given`,
            },
          ])
        const now = await write(() => newestBook(sql()))
        const book = withRule(now?.book ?? bookOfFile, params.rule_id, fields)
        if (book === null) throw new Problem(404, 'Not found', 'The book in force has no rule of that id')
        return propose(book, actorOf(c, by), why, basedOn ?? now?.version)
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/rule-books',
      tag: 'rules',
      summary: 'Every version of the rule book: who, when, why',
      query: z.object({ limit: limitParameter, cursor: cursorParameter }),
      answer: answers.ruleBooks,
      async handle({ query }) {
        const before = query.cursor === null ? null : Number(query.cursor.id)
        if (before !== null && !(before > 0 && before < 2 ** 31))
          throw new Problem(422, 'Query not understood', undefined, [
            { field: 'cursor', message: 'must be the next_cursor of an earlier answer' },
          ])
        const { data, ...state } = await recall(`rule books ${query.limit} ${before}`, () =>
          listVersions(sql(), query.limit, before === null ? null : Math.trunc(before)),
        )
        const page = (data ?? []).slice(0, query.limit)
        const last = (data?.length ?? 0) > query.limit ? page.at(-1) : undefined
        return {
          ...state,
          rule_books: page,
          next_cursor: last ? encodeCursor({ value: '', id: String(last.version) }) : null,
        }
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/rule-books/:version',
      tag: 'rules',
      summary: 'One version of the rule book, whole',
      params: z.object({
        version: z.coerce
          .number()
          .int()
          .min(1)
          .max(2 ** 31 - 1),
      }),
      answer: answers.oneRuleBook,
      async handle({ params }) {
        const { data, ...state } = await recall(`rule book ${params.version}`, () =>
          bookOfVersion(sql(), params.version),
        )
        if (state.status === 'ok' && data === null)
          throw new Problem(404, 'Not found', 'There is no such version')
        return { ...state, rule_book: data }
      },
    }),
    endpoint({
      method: 'post',
      role: 'admin',
      path: '/api/rule-books',
      tag: 'rules',
      summary: 'Apply a whole new rule book (an object, or its text as JSON); in force within seconds',
      maxBodyBytes: MOST_BOOK_BYTES,
      body: z.strictObject({
        book: z.union([z.string(), z.record(z.string(), z.unknown())]),
        reason,
        by: actor,
        based_on,
      }),
      answer: answers.proposed,
      handle({ body, c }) {
        return propose(parsed(body.book), actorOf(c, body.by), body.reason, body.based_on)
      },
    }),
  ]
}

/** The newest book, or the file's before there is one. */
export async function rulesNow(
  sql: () => Sql,
  recall: Recall,
  bookOfFile: RuleBookText,
): Promise<Section<RulesNow>> {
  return recall('rules', async () => {
    const [newest, inForce] = await Promise.all([newestBook(sql()), booksInForce(sql())])
    const ofFile = { version: 0, author: 'file', reason: 'not yet in the database', created_at: null }
    return { ...(newest ?? { ...ofFile, book: bookOfFile }), in_force: inForce }
  })
}

const NOTHING: RulesNow = {
  version: 0,
  author: '',
  reason: '',
  created_at: null,
  in_force: [],
  book: { rules: [] },
}

function shown(one: RuleText) {
  return { ...one, enabled: one.enabled ?? true }
}

function parsed(book: string | Record<string, unknown>): unknown {
  if (typeof book !== 'string') return book
  try {
    return JSON.parse(book)
  } catch {
    throw new Problem(422, 'Body not understood', undefined, [{ field: 'book', message: 'must be JSON' }])
  }
}
