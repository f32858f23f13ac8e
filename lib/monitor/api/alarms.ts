import type { Context } from 'hono'
import { z } from 'zod'
import type { Sql } from '../../db/connect.ts'
import { acknowledgeAlarms, shelveAlarm, unshelveAlarm } from '../acts/alarms.ts'
import * as answers from '../answers/alarms.ts'
import {
  cursorParameter,
  encodeCursor,
  limitParameter,
  nameParameter,
  numberOf,
  orderParameter,
  plainText,
  timeParameter,
} from '../cursor.ts'
import { endpoint, type AnyEndpoint } from '../endpoint.ts'
import { presentAlert } from '../present.ts'
import { Problem } from '../problem.ts'
import { alarmKpis } from '../questions/alarm-kpis.ts'
import { ALARM_SORTS, ALARM_STATES, listAlarms, oneAlarm } from '../questions/alarm-list.ts'
import { readingsAround } from '../questions/around.ts'
import { journalOf, recentJournal } from '../questions/journal.ts'
import type { Recall } from '../recall.ts'
import { actorOf } from '../who/identity.ts'
import type { Write } from '../write.ts'

export interface AlarmOptions {
  sql: () => Sql
  recall: Recall
  write: Write
  clock: () => number
  alertTopic: string
}

const id = z.object({ alert_id: z.uuid() })
export const actor = plainText(64).min(1).default('operator').meta({ description: 'who does it' })
/** Seven days: an alarm that must be quiet for longer is a wrong alarm. */
const MOST_MINUTES = 7 * 24 * 60
const minutes = numberOf(
  z.number().int().min(1).max(MOST_MINUTES),
  `must be whole minutes, from 1 to ${MOST_MINUTES}`,
)

export const alarmFilter = z.object({
  state: z.enum(ALARM_STATES).default('open'),
  severity: z.enum(['low', 'medium', 'high', 'critical']).optional(),
  sensor_id: nameParameter.optional(),
  sensor_type: nameParameter.optional(),
  machine_id: nameParameter.optional(),
  zone: nameParameter.optional(),
  rule_id: nameParameter.optional(),
  since: timeParameter.optional(),
  until: timeParameter.optional(),
  sort: z.enum(ALARM_SORTS).default('timestamp'),
  order: orderParameter,
  limit: limitParameter,
  cursor: cursorParameter.refine(
    (c) => c === null || (z.uuid().safeParse(c.id).success && !Number.isNaN(Date.parse(c.value))),
    'must be the next_cursor of an earlier answer',
  ),
})

/** A range that ends before it begins is a slip of the caller, not an empty answer. */
export function refuseBackwards({ since, until }: { since?: string; until?: string }): void {
  if (since === undefined || until === undefined || Date.parse(since) < Date.parse(until)) return
  throw new Problem(422, 'Query not understood', undefined, [
    { field: 'since', message: 'must lie before `until`' },
  ])
}

/** One alarm for the API and for its page. Throws Problem 404 where there is none of that id. */
export async function alarmNow(
  { sql, recall, clock }: Pick<AlarmOptions, 'sql' | 'recall' | 'clock'>,
  alertId: string,
) {
  const found = await recall(`alarm ${alertId}`, async () => {
    const alarm = await oneAlarm(sql(), alertId)
    if (!alarm) return { alarm, journal: [], around: null }
    const [journal, around] = await Promise.all([
      journalOf(sql(), alertId),
      readingsAround(sql(), alarm, clock()),
    ])
    return { alarm, journal, around }
  })
  if (found.status === 'ok' && !found.data?.alarm)
    throw new Problem(404, 'Not found', 'There is no alarm of that id')
  return found
}

export function alarmEndpoints(options: AlarmOptions): AnyEndpoint[] {
  const { sql, recall, clock } = options
  const act = (c: Context, by: string) => ({ by: actorOf(c, by), alertTopic: options.alertTopic })
  const { write } = options
  const mustExist = async (alertId: string) => {
    const found = await write(() => oneAlarm(sql(), alertId))
    if (!found) throw new Problem(404, 'Not found', 'There is no alarm of that id')
    return found
  }
  return [
    endpoint({
      method: 'get',
      path: '/api/alarms',
      tag: 'alarms',
      summary: 'Alarms, filtered and paged; by default the open ones, however old',
      query: alarmFilter,
      answer: answers.alarmList,
      async handle({ query }) {
        refuseBackwards(query)
        const found = await recall(`alarms ${JSON.stringify(query)}`, () => listAlarms(sql(), query))
        const page = (found.data ?? []).slice(0, query.limit)
        const last = (found.data?.length ?? 0) > query.limit ? page.at(-1) : undefined
        return {
          status: found.status,
          as_of: found.as_of,
          error: found.error,
          alarms: page.map(({ cursor_value: _, ...row }) => presentAlert(row, clock())),
          next_cursor: last ? encodeCursor({ value: last.cursor_value, id: last.alert_id }) : null,
        }
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/alarms/:alert_id',
      tag: 'alarms',
      summary:
        'One alarm, why it was raised, what was measured around it, and everything that happened to it',
      params: id,
      answer: answers.oneAlarm,
      async handle({ params }) {
        const { status, as_of, error, data } = await alarmNow(options, params.alert_id)
        const { alarm = null, journal = [], around = null } = data ?? {}
        return {
          status,
          as_of,
          error,
          alarm: alarm && { ...presentAlert(alarm, clock()), why: alarm.why },
          around,
          journal,
        }
      },
    }),
    endpoint({
      method: 'post',
      role: 'operator',
      path: '/api/alarms/acknowledge',
      tag: 'alarms',
      summary: 'Acknowledge alarms that were seen, by their ids',
      body: z.strictObject({
        alert_ids: z.array(z.uuid()).min(1).max(500),
        by: actor,
        comment: plainText(500).optional(),
      }),
      answer: answers.acknowledged,
      async handle({ body, c }) {
        const done = await write(() =>
          acknowledgeAlarms(sql(), body.alert_ids, body.comment ?? null, act(c, body.by)),
        )
        return { acknowledged: done, unchanged: body.alert_ids.filter((one) => !done.includes(one)) }
      },
    }),
    endpoint({
      method: 'post',
      role: 'operator',
      path: '/api/alarms/:alert_id/acknowledge',
      tag: 'alarms',
      summary: 'Acknowledge one alarm: seen, not cleared',
      params: id,
      body: z.strictObject({ by: actor, comment: plainText(500).optional() }),
      answer: answers.changed,
      async handle({ params, body, c }) {
        await mustExist(params.alert_id)
        const done = await write(() =>
          acknowledgeAlarms(sql(), [params.alert_id], body.comment ?? null, act(c, body.by)),
        )
        return { alert_id: params.alert_id, changed: done.length > 0 }
      },
    }),
    endpoint({
      method: 'post',
      role: 'operator',
      path: '/api/alarms/:alert_id/shelve',
      tag: 'alarms',
      summary: 'Keep one alarm quiet until an end time, for a reason',
      params: id,
      body: z.strictObject({
        minutes,
        reason: plainText(500).min(1),
        by: actor,
      }),
      answer: answers.changed,
      async handle({ params, body, c }) {
        await mustExist(params.alert_id)
        const until = new Date(clock() + body.minutes * 60_000)
        const done = await write(() =>
          shelveAlarm(sql(), params.alert_id, until, body.reason, act(c, body.by)),
        )
        if (!done)
          throw new Problem(409, 'Not open', 'Only an alarm that is active or unacknowledged can be shelved')
        return { alert_id: params.alert_id, changed: true }
      },
    }),
    endpoint({
      method: 'post',
      role: 'operator',
      path: '/api/alarms/:alert_id/unshelve',
      tag: 'alarms',
      summary: 'Take one alarm off the shelf before its time',
      params: id,
      body: z.strictObject({ by: actor }),
      answer: answers.changed,
      async handle({ params, body, c }) {
        await mustExist(params.alert_id)
        return {
          alert_id: params.alert_id,
          changed: await write(() => unshelveAlarm(sql(), params.alert_id, act(c, body.by))),
        }
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/alarm-journal',
      tag: 'alarms',
      summary: 'The newest transitions of all alarms: who, when, why',
      query: z.object({ limit: limitParameter }),
      answer: answers.journal,
      async handle({ query }) {
        const found = await recall(`journal ${query.limit}`, () => recentJournal(sql(), query.limit))
        return { status: found.status, as_of: found.as_of, error: found.error, entries: found.data ?? [] }
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/alarm-kpis',
      tag: 'alarms',
      summary: 'How well the alarm system serves a person (ISA-18.2, EEMUA 191)',
      answer: answers.alarmKpis,
      async handle() {
        const found = await recall('alarm kpis', () => alarmKpis(sql()), 30_000)
        return { status: found.status, as_of: found.as_of, error: found.error, kpis: found.data }
      },
    }),
  ]
}
