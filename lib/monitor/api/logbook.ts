import { z } from 'zod'
import type { Sql } from '../../db/connect.ts'
import * as answers from '../answers/logbook.ts'
import { cursorParameter, encodeCursor, limitParameter, nameParameter, type Cursor } from '../cursor.ts'
import { endpoint, type AnyEndpoint } from '../endpoint.ts'
import { Problem } from '../problem.ts'
import {
  deadLettersByReason,
  listDeadLetters,
  listRebalances,
  listSystemEvents,
  oneDeadLetter,
} from '../questions/logbook.ts'
import type { Recall } from '../recall.ts'
import type { Section } from '../section.ts'

/** A cursor over running numbers: everything before this one. */
const before = cursorParameter.refine(
  (c) => c === null || /^\d{1,15}$/.test(c.id),
  'must be the next_cursor of an earlier answer',
)
const numberOf = (c: Cursor | null) => (c === null ? null : Number(c.id))

/** What happened, newest first: rebalances, events of the system, dead letters. */
export function logbookEndpoints({ sql, recall }: { sql: () => Sql; recall: Recall }): AnyEndpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/api/rebalances',
      tag: 'logbook',
      summary: 'Rebalances of the consumer group: who gained and lost what, and how long it took',
      query: z.object({ limit: limitParameter, cursor: before }),
      answer: answers.rebalanceList,
      async handle({ query: q }) {
        const found = await recall(`rebalances ${JSON.stringify(q)}`, () =>
          listRebalances(sql(), numberOf(q.cursor), q.limit),
        )
        const { rows, next_cursor } = cut(found, q.limit, (r) => r.event_id)
        return { ...state(found), rebalancing_events: rows, next_cursor }
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/system-events',
      tag: 'logbook',
      summary: 'Events of the system itself: starts, stops, gaps, faults and recoveries',
      query: z.object({
        severity: z.enum(['info', 'warning', 'error']).optional(),
        source: nameParameter.optional(),
        limit: limitParameter,
        cursor: before,
      }),
      answer: answers.systemEventList,
      async handle({ query: q }) {
        const found = await recall(`events ${JSON.stringify(q)}`, () =>
          listSystemEvents(sql(), {
            before: numberOf(q.cursor),
            limit: q.limit,
            severity: q.severity,
            source: q.source,
          }),
        )
        const { rows, next_cursor } = cut(found, q.limit, (r) => r.event_id)
        return { ...state(found), system_events: rows, next_cursor }
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/dead-letters',
      tag: 'logbook',
      summary: 'Messages that could not become readings, and how many for each reason',
      query: z.object({
        reason: nameParameter.optional(),
        topic: nameParameter.optional(),
        limit: limitParameter,
        cursor: before,
      }),
      answer: answers.deadLetterList,
      async handle({ query: q }) {
        const found = await recall(`dead letters ${JSON.stringify(q)}`, () =>
          listDeadLetters(sql(), {
            before: numberOf(q.cursor),
            limit: q.limit,
            reason: q.reason,
            topic: q.topic,
          }),
        )
        const reasons = await recall('dead letters by reason', () => deadLettersByReason(sql()), 2000)
        const { rows, next_cursor } = cut(found, q.limit, (r) => r.dead_letter_id)
        return { ...state(found), dead_letters: rows, by_reason: reasons.data ?? [], next_cursor }
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/dead-letters/:dead_letter_id',
      tag: 'logbook',
      summary: 'One dead letter with its headers and first bytes',
      params: z.object({
        dead_letter_id: z.coerce
          .number()
          .int()
          .min(1)
          .max(2 ** 50),
      }),
      answer: answers.oneDeadLetter,
      async handle({ params }) {
        const found = await recall(`dead letter ${params.dead_letter_id}`, () =>
          oneDeadLetter(sql(), params.dead_letter_id),
        )
        if (found.status === 'ok' && found.data === null)
          throw new Problem(404, 'Not found', 'There is no dead letter of that number')
        return { ...state(found), dead_letter: found.data }
      },
    }),
  ]
}

const state = (s: Section<unknown>) => ({ status: s.status, as_of: s.as_of, error: s.error })

function cut<T>(found: Section<T[]>, limit: number, id: (row: T) => number) {
  const rows = (found.data ?? []).slice(0, limit)
  const last = rows.at(-1)
  const more = (found.data?.length ?? 0) > limit && last !== undefined
  return { rows, next_cursor: more ? encodeCursor({ value: '', id: String(id(last)) }) : null }
}
