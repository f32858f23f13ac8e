import { ask, type Sql } from '../../db/connect.ts'
import type { Flow } from '../snapshot.ts'
import { DEADLINE_MS } from './consumers.ts'

export interface FlowHistoryPoint {
  at: string
  produced_per_second: number | null
  stored_per_second: number | null
  lag: number | null
  lag_seconds: number | null
  end_to_end_ms_p50: number | null
  end_to_end_ms_p99: number | null
}

/** Points are kept for a year: a million rows at most. */
const KEEP = '366 days'

export async function keepFlowPoint(sql: Sql, at: string, f: Flow): Promise<void> {
  await ask(
    'write a point of the flow',
    sql`
      with old as (delete from flow_points where at < now() - ${KEEP}::interval)
      insert into flow_points values (${at}, ${f.produced_per_second}, ${f.stored_per_second}, ${f.lag}, ${f.lag_seconds},
        ${f.end_to_end_ms_p50}, ${f.end_to_end_ms_p99})
      on conflict do nothing`,
    DEADLINE_MS,
  )
}

/** The flow between two moments, joined to about `points` points: rates are means, lag and latency the worst. */
export async function flowHistory(
  sql: Sql,
  from: Date,
  to: Date,
  points: number,
): Promise<FlowHistoryPoint[]> {
  const step = Math.max(30_000, Math.ceil((to.getTime() - from.getTime()) / points))
  return ask(
    'read the history of the flow',
    sql<FlowHistoryPoint[]>`
      select to_char(bucket at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at, produced_per_second, stored_per_second,
        lag, lag_seconds, end_to_end_ms_p50, end_to_end_ms_p99
      from (
        select date_bin(${`${step} milliseconds`}::interval, at, timestamptz 'epoch') as bucket,
          avg(produced_per_second) as produced_per_second, avg(stored_per_second) as stored_per_second,
          max(lag) as lag, max(lag_seconds) as lag_seconds, avg(end_to_end_ms_p50) as end_to_end_ms_p50,
          max(end_to_end_ms_p99) as end_to_end_ms_p99
        from flow_points where at >= ${from} and at < ${to} group by 1
      ) buckets
      order by 1`,
    DEADLINE_MS,
  )
}
