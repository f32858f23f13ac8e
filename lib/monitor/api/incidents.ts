import { z } from 'zod'
import type { Sql } from '../../db/connect.ts'
import * as answers from '../answers/incidents.ts'
import { cursorParameter, encodeCursor, limitParameter, timeParameter } from '../cursor.ts'
import { endpoint, type AnyEndpoint } from '../endpoint.ts'
import type { Incident } from '../incident/incident.ts'
import { Problem } from '../problem.ts'
import { flowHistory } from '../questions/flow.ts'
import { listIncidents, oneIncident } from '../questions/incidents.ts'
import type { Recall } from '../recall.ts'
import type { Section } from '../section.ts'

export interface IncidentOptions {
  sql: () => Sql
  recall: Recall
  clock: () => number
  /** the newest of this process, which the database may not have yet */
  recent: () => Incident[]
}

export function incidentEndpoints(options: IncidentOptions): AnyEndpoint[] {
  const { sql, recall, clock } = options
  return [
    endpoint({
      method: 'get',
      path: '/api/incidents',
      tag: 'incidents',
      summary: 'Every failure and rebalance as one story: what died, who took over, what it cost',
      query: z.object({
        limit: limitParameter,
        cursor: cursorParameter.refine(
          (c) => c === null || !Number.isNaN(Date.parse(c.value)),
          'must be the next_cursor of an earlier answer',
        ),
      }),
      answer: answers.incidentList,
      async handle({ query: q }) {
        const before = q.cursor?.value ?? null
        const found = await incidentsNow(options, before, q.limit)
        const page = (found.data ?? []).slice(0, q.limit)
        const last = (found.data?.length ?? 0) > q.limit ? page.at(-1) : undefined
        return {
          ...state(found),
          incidents: page,
          next_cursor: last ? encodeCursor({ value: last.opened_at, id: last.incident_id }) : null,
        }
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/incidents/:incident_id',
      tag: 'incidents',
      summary: 'One incident, step by step',
      params: z.object({ incident_id: z.uuid() }),
      answer: answers.oneIncident,
      async handle({ params }) {
        const found = await incidentNow(options, params.incident_id)
        if (found.status === 'ok' && found.data === null)
          throw new Problem(404, 'Not found', 'There is no incident of that id')
        return { ...state(found), incident: found.data }
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/flow',
      tag: 'incidents',
      summary: 'What flowed, how much waited and how long it took, over time',
      query: z.object({
        from: timeParameter.optional().meta({ description: 'default one hour before `to`' }),
        to: timeParameter.optional().meta({ description: 'default now' }),
        points: z.coerce.number().int().min(2).max(5000).default(600),
      }),
      answer: answers.flow,
      async handle({ query: q }) {
        const to = q.to === undefined ? clock() : Date.parse(q.to)
        const from = q.from === undefined ? to - 3_600_000 : Date.parse(q.from)
        if (!(from < to))
          throw new Problem(422, 'Query not understood', undefined, [
            { field: 'from', message: 'must lie before `to`' },
          ])
        const found = await recall(`flow ${q.from} ${q.to} ${q.points}`, () =>
          flowHistory(sql(), new Date(from), new Date(to), q.points),
        )
        return {
          ...state(found),
          from: new Date(from).toISOString(),
          to: new Date(to).toISOString(),
          points: found.data ?? [],
        }
      },
    }),
  ]
}

const state = (s: Section<unknown>) => ({ status: s.status, as_of: s.as_of, error: s.error })

/** What the database has, with what this process knows better. One more than the limit, where there is one. */
export async function incidentsNow(
  { sql, recall, recent }: IncidentOptions,
  before: string | null,
  limit: number,
): Promise<Section<Incident[]>> {
  const found = await recall(`incidents ${before} ${limit}`, () => listIncidents(sql(), before, limit))
  const own = before === null ? recent() : []
  const stored = (found.data ?? []).filter((i) => !own.some((o) => o.incident_id === i.incident_id))
  const all = [...own, ...stored].sort((a, b) => b.opened_at.localeCompare(a.opened_at)).slice(0, limit + 1)
  return { ...found, data: found.data === null && own.length === 0 ? null : all }
}

export async function incidentNow(
  { sql, recall, recent, clock }: IncidentOptions,
  id: string,
): Promise<Section<Incident>> {
  const own = recent().find((i) => i.incident_id === id)
  if (own) return { status: 'ok', as_of: new Date(clock()).toISOString(), error: null, data: own }
  const found = await recall(`incident ${id}`, () => oneIncident(sql(), id))
  return { ...found, data: found.data ?? null }
}
