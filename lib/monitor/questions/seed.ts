import { ask, type Sql } from '../../db/connect.ts'
import type { FlowPoint } from '../snapshot.ts'

export interface SeedPoint {
  sensor_id: string
  at_ms: number
  mean: number
}

/** 20,000 sensors of 15 minutes each are 300,000 rows; a plant of that size begins with empty lines instead. */
const MOST_ROWS = 50_000

/** The last quarter of an hour of every sensor, a minute a point, so that lines do not begin anew with the monitor. */
export async function recentMinutes(sql: Sql): Promise<SeedPoint[]> {
  return ask(
    'read the last minutes',
    sql<SeedPoint[]>`
      select s.sensor_id, (extract(epoch from m.bucket) * 1000)::float8 as at_ms, sum(m.total) / sum(m.readings)::float8 as mean
      from readings_1m m join sensors s using (sensor_key)
      where m.bucket > now() - interval '16 minutes' and m.bucket <= now()
      group by 1, 2 order by 2 limit ${MOST_ROWS}`,
    4000,
  )
}

/** The last ten minutes of the flow. */
export async function recentFlow(sql: Sql): Promise<FlowPoint[]> {
  return ask(
    'read the last minutes of the flow',
    sql<FlowPoint[]>`
      select to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, produced_per_second, stored_per_second,
        lag, end_to_end_ms_p99
      from flow_points where at > now() - interval '10 minutes' order by at`,
    4000,
  )
}
