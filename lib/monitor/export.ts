import type { Context } from 'hono'
import { z } from 'zod'
import type { Sql } from '../db/connect.ts'
import { withDeadline } from '../run.ts'
import { nameParameter, timeParameter } from './cursor.ts'
import { endpoint, type AnyEndpoint } from './endpoint.ts'
import { Problem } from './problem.ts'
import { faultText } from './section.ts'

/**
 * Rows as files, CSV or NDJSON, streamed from a cursor: a year of one sensor costs no memory. A fault in the midst ends
 * the stream with an error, so that a cut file is never taken for a whole one.
 */
const MOST_ROWS = 5_000_000
const PAGE = 2000
const FORMATS = ['csv', 'ndjson'] as const

type Row = Record<string, unknown>

export function exportEndpoints(sql: () => Sql, clock: () => number): AnyEndpoint[] {
  const range = z.object({
    format: z.enum(FORMATS).default('csv'),
    from: timeParameter.optional().meta({ description: 'default one hour before `to`' }),
    to: timeParameter.optional().meta({ description: 'default now' }),
  })
  return [
    endpoint({
      method: 'get',
      path: '/api/export/readings',
      tag: 'export',
      summary: 'Readings of one sensor (or of all) between two arrivals, as a file',
      query: range.extend({ sensor_id: nameParameter.optional() }),
      answer: z.unknown(),
      produces: ['text/csv', 'application/x-ndjson'],
      handle({ query: q, c }) {
        const { from, to } = between(q, clock())
        return download(
          c,
          q.format,
          'readings',
          READING_COLUMNS,
          sql,
          (s) => s`
          select to_char("timestamp" at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "timestamp", sensor_id,
            sensor_type, value, unit, factory_section, machine_id, zone, alert_level, quality, topic, partition, "offset"
          from sensor_readings
          where received_at >= ${from} and received_at < ${to}
            ${q.sensor_id === undefined ? s`` : s`and sensor_id = ${q.sensor_id}`}
          limit ${MOST_ROWS}`,
        )
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/export/alarms',
      tag: 'export',
      summary: 'Alarms raised between two moments, as a file',
      query: range,
      answer: z.unknown(),
      produces: ['text/csv', 'application/x-ndjson'],
      handle({ query: q, c }) {
        const { from, to } = between(q, clock())
        return download(
          c,
          q.format,
          'alarms',
          ALARM_COLUMNS,
          sql,
          (s) => s`
          select alert_id, to_char("timestamp" at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "timestamp", sensor_id,
            sensor_type, anomaly_type, severity, sensor_value, sensor_unit, rule_id, active, acknowledged, acknowledged_by,
            to_char(cleared_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as cleared_at, peak_value, late, description
          from alerts where "timestamp" >= ${from} and "timestamp" < ${to}
          order by "timestamp" limit ${MOST_ROWS}`,
        )
      },
    }),
  ]
}

const READING_COLUMNS =
  'timestamp sensor_id sensor_type value unit factory_section machine_id zone alert_level quality topic partition offset'.split(
    ' ',
  )
const ALARM_COLUMNS =
  'alert_id timestamp sensor_id sensor_type anomaly_type severity sensor_value sensor_unit rule_id active acknowledged acknowledged_by cleared_at peak_value late description'.split(
    ' ',
  )

function between(q: { from?: string; to?: string }, now: number): { from: Date; to: Date } {
  const to = q.to === undefined ? now : Date.parse(q.to)
  const from = q.from === undefined ? to - 3_600_000 : Date.parse(q.from)
  if (!(from < to))
    throw new Problem(422, 'Query not understood', undefined, [
      { field: 'from', message: 'must lie before `to`' },
    ])
  return { from: new Date(from), to: new Date(to) }
}

async function download(
  c: Context,
  format: (typeof FORMATS)[number],
  name: string,
  columns: readonly string[],
  sql: () => Sql,
  query: (sql: Sql) => ReturnType<Sql>,
): Promise<Response> {
  const rows = query(sql()).cursor(PAGE)[Symbol.asyncIterator]() as AsyncIterator<Row[]>
  // The first page before the first byte: a database that is away is a proper answer, not a broken file.
  const first = await withDeadline(rows.next(), 5000, `export ${name}`).catch((error: unknown) => {
    throw new Problem(
      503,
      'Not available',
      `Cannot export ${name}: ${faultText(error)}: try again`,
      undefined,
      { 'retry-after': '5' },
    )
  })
  const encoder = new TextEncoder()
  const write = (page: Row[]) =>
    encoder.encode(
      page
        .map((row) => (format === 'csv' ? csvLine(columns.map((k) => row[k])) : `${JSON.stringify(row)}\n`))
        .join(''),
    )
  let begun = false
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (!begun) {
        begun = true
        if (format === 'csv') controller.enqueue(encoder.encode(csvLine(columns)))
        if (first.done) return controller.close()
        controller.enqueue(write(first.value))
        return
      }
      const page = await rows.next()
      if (page.done) controller.close()
      else controller.enqueue(write(page.value))
    },
    async cancel() {
      await rows.return?.()
    },
  })
  return c.body(body, 200, {
    'content-type': format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson',
    'content-disposition': `attachment; filename="${name}.${format}"`,
    'cache-control': 'no-store',
  })
}

/** RFC 4180; a text that a spreadsheet would run as a formula gets an apostrophe before it. */
export function csvLine(values: readonly unknown[]): string {
  return `${values.map(csvField).join(',')}\r\n`
}

function csvField(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  const text = String(value)
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
