import { ask, type Sql } from '../../db/connect.ts'
import { DEADLINE_MS } from './consumers.ts'
import { plainAll } from './rows.ts'

/** A producer in its own words; counts are of its run, kept across restarts. */
export interface ProducerRow {
  producer_id: string
  run_id: string
  fleet: string
  sensor_type: string | null
  written_status: string
  last_heartbeat: string
  heartbeat_age_s: number
  /** holds a connection to PostgreSQL now */
  connected: boolean
  started_at: string
  host: string
  pid: number | null
  total_messages_accepted: number
  total_messages_sent: number
  spooled: number
  spool_bytes: number
  oldest_spooled_at: string | null
  dropped: number
  rejected: number
  expected_per_second: number | null
  errors: number
  last_error: string | null
  last_error_at: string | null
  kafka_reachable: boolean | null
}

/** Producers heard of within a day, by name. */
export async function producers(sql: Sql): Promise<ProducerRow[]> {
  const rows = await ask(
    'read producer_health',
    sql`
      select producer_id, run_id, fleet, sensor_type, status as written_status, last_heartbeat,
        extract(epoch from clock_timestamp() - last_heartbeat)::float8 as heartbeat_age_s,
        exists (select from connected_programs() c(name) where c.name = producer_id or starts_with(c.name, producer_id || '-')) as connected,
        started_at, host, pid, total_messages_accepted, total_messages_sent, spooled, spool_bytes,
        oldest_spooled_at, dropped, rejected, expected_per_second, errors, last_error, last_error_at, kafka_reachable
      from producer_health
      where last_heartbeat > now() - interval '1 day'
      order by producer_id
      limit 200`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}
