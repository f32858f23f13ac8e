import { ask, type Sql } from '../../db/connect.ts'

export const RESOLUTIONS = ['raw', '1m', '1h', '1d'] as const
export type Resolution = (typeof RESOLUTIONS)[number]

export interface SeriesPoint {
  at: string
  mean: number
  min: number
  max: number
  readings: number
  warnings: number
  criticals: number
}

const DEADLINE_MS = 4000
const STEP_MS: Record<Exclude<Resolution, 'raw'>, number> = {
  '1m': 60_000,
  '1h': 3_600_000,
  '1d': 86_400_000,
}

/**
 * The coarsest roll-up that still gives about `points` points; raw readings only for up to ten minutes that lie within
 * the last day of arrivals. A month of minutes is 43,200 rows, so nobody gets one by asking for few points.
 */
export function resolutionFor(fromMs: number, toMs: number, points: number, now: number): Resolution {
  const span = toMs - fromMs
  if (span <= 600_000 && now - fromMs <= 86_400_000) return 'raw'
  if (span / STEP_MS['1m'] <= Math.max(points, 1500)) return '1m'
  return span / STEP_MS['1h'] <= Math.max(points, 1500) ? '1h' : '1d'
}

/** One sensor between two moments of event time, oldest first; `points` at most, neighbours joined where there are more. */
export async function series(
  sql: Sql,
  input: { sensorId: string; from: Date; to: Date; points: number; resolution: Resolution },
): Promise<SeriesPoint[]> {
  const { sensorId, from, to, points, resolution } = input
  if (resolution === 'raw') return rawSeries(sql, sensorId, from, to, points)
  const base = STEP_MS[resolution]
  // Whole steps: a joined bucket covers the same count of rows everywhere.
  const step = Math.max(1, Math.ceil((to.getTime() - from.getTime()) / base / points)) * base
  const table = { '1m': sql`readings_1m`, '1h': sql`readings_1h`, '1d': sql`readings_1d` }[resolution]
  return ask(
    'read a series',
    sql<SeriesPoint[]>`
      select to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at, mean, min, max, readings, warnings, criticals
      from (
        select date_bin(${`${step} milliseconds`}::interval, bucket, timestamptz 'epoch') as at,
          sum(total) / sum(readings)::float8 as mean, min(lowest) as min, max(highest) as max,
          sum(readings)::bigint as readings, sum(warnings)::bigint as warnings, sum(criticals)::bigint as criticals
        from ${table}
        where sensor_key in (select sensor_key from sensors where sensor_id = ${sensorId})
          and bucket >= ${from} and bucket < ${to}
        group by 1
      ) buckets
      order by 1
      limit ${points + 1}`,
    DEADLINE_MS,
  )
}

/** Live readings arrive seconds after they were measured: arrival bounds the search, event time decides. */
async function rawSeries(
  sql: Sql,
  sensorId: string,
  from: Date,
  to: Date,
  points: number,
): Promise<SeriesPoint[]> {
  return ask(
    'read readings',
    sql<SeriesPoint[]>`
      select to_char(measured_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, value as mean, value as min,
        value as max, 1 as readings, (level = 1)::int as warnings, (level = 2)::int as criticals
      from readings
      where sensor_key in (select sensor_key from sensors where sensor_id = ${sensorId})
        and received_at >= ${from}::timestamptz - interval '1 minute' and received_at < ${to}::timestamptz + interval '10 minutes'
        and measured_at >= ${from} and measured_at < ${to}
      order by measured_at
      limit ${points}`,
    DEADLINE_MS,
  )
}
