import { z } from 'zod'
import type { Sql } from '../../db/connect.ts'
import * as answers from '../answers/lines.ts'
import { nameParameter } from '../cursor.ts'
import { endpoint, type AnyEndpoint } from '../endpoint.ts'
import { DEFINITIONS, findLine, lineOf, type LineTargets } from '../lines.ts'
import { Problem } from '../problem.ts'
import { roundsOf } from '../questions/lines.ts'
import type { Recall } from '../recall.ts'
import { worst } from '../section.ts'
import type { Snapshot } from '../snapshot.ts'

export interface LineOptions {
  current: () => Snapshot
  sql: () => Sql
  recall: Recall
  targets: LineTargets
}

export const lineName = z.object({
  factory_id: nameParameter,
  sensor_id: nameParameter,
  soda_name: nameParameter,
})

export function lineEndpoints(options: LineOptions): AnyEndpoint[] {
  const { current } = options
  return [
    endpoint({
      method: 'get',
      path: '/api/production-lines',
      tag: 'lines',
      summary: 'Production lines: count of total, pace, projected end, OEE; and whether their sensors live',
      query: z.object({ factory_id: nameParameter.optional() }),
      answer: answers.productionLines,
      handle({ query: { factory_id } }) {
        const { status, as_of, error, data } = current().lines
        const lines = (data?.lines ?? []).filter(
          (l) => factory_id === undefined || l.factory_id === factory_id,
        )
        const own = new Set(lines.map((l) => l.sensor_id))
        const sensors = (data?.sensors ?? []).filter((s) => factory_id === undefined || own.has(s.sensor_id))
        return { status, as_of, error, lines, sensors, definitions: DEFINITIONS, at: current().at }
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/production-lines/:factory_id/:sensor_id/:soda_name',
      tag: 'lines',
      summary: 'One production line, and every time that it ran',
      params: lineName,
      answer: answers.oneLine,
      async handle({ params }) {
        const { section, line, sensor, rounds } = await lineNow(options, params)
        if (section.status === 'ok' && line === null)
          throw new Problem(404, 'Not found', 'There is no line of that name')
        return { ...section, line, sensor, rounds, definitions: DEFINITIONS }
      },
    }),
  ]
}

export type LineName = z.infer<typeof lineName>

/** The line as the snapshot has it, with the rounds before. */
export async function lineNow({ current, sql, recall, targets }: LineOptions, name: LineName) {
  const { factory_id, sensor_id, soda_name } = name
  const { lines } = current()
  const found = await recall(`line ${factory_id} ${sensor_id} ${soda_name}`, () =>
    roundsOf(sql(), factory_id, sensor_id, soda_name),
  )
  const { line, sensor } = findLine(lines.data, name)
  const now = Date.parse(found.as_of ?? current().at)
  return {
    section: worst(lines, found),
    line,
    sensor,
    // Signs of life are known of the present alone: earlier rounds have no availability.
    rounds: (found.data ?? []).map((row) =>
      row.round === line?.round ? line : lineOf(row, null, now, targets),
    ),
  }
}
