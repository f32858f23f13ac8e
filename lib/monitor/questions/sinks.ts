import { ask, type Sql } from '../../db/connect.ts'
import { DEADLINE_MS } from './consumers.ts'
import { plainAll } from './rows.ts'

/** How far one sink has taken one partition. */
export interface SinkRow {
  sink: string
  topic: string
  partition: number
  next_offset: number
  owner: string
  /** its owner holds a connection to PostgreSQL now */
  connected: boolean
  updated_at: string
  updated_age_s: number
  stored: number
  dead_lettered: number
  repeated: number
  missing: number
  stopped: string | null
  /** when its owner was stopped on purpose; null: it is at work, or died */
  left_at: string | null
}

/**
 * Sinks that were at work within a day, in the cluster that was written last. A dead letter's number was never counted as
 * missing: filled by a corrected message it is nothing that another number lacks.
 */
export async function sinkProgress(sql: Sql): Promise<SinkRow[]> {
  const rows = await ask(
    'read sink_progress',
    sql`
      select sink, topic, partition, next_offset, owner,
        owner in (select name from connected_programs() c(name)) as connected,
        updated_at, extract(epoch from clock_timestamp() - updated_at)::float8 as updated_age_s,
        stored, dead_lettered, repeated, greatest(missing - filled, 0) as missing, stopped, left_at
      from sink_progress p
      where cluster_id = (select cluster_id from sink_progress order by updated_at desc limit 1)
        and exists (select from sink_progress o where o.sink = p.sink and o.updated_at > now() - interval '1 day')
      order by sink, topic, partition
      limit 1000`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}
