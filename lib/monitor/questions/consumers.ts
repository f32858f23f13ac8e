import { ask, type Sql } from '../../db/connect.ts'
import { plainAll, type TopicPartition } from './rows.ts'

/** A consumer in its own words; `heartbeat_age_s` is by the database's clock, at the moment of asking. */
export interface ConsumerRow {
  consumer_id: string
  instance_id: string
  written_status: string
  assigned_partitions: TopicPartition[]
  last_heartbeat: string
  heartbeat_age_s: number
  /** holds a connection to PostgreSQL now */
  connected: boolean
  started_at: string
  host: string
  pid: number | null
  total_messages_processed: number
  processing_ms_mean: number | null
  processing_ms_p99: number | null
  end_to_end_ms_p50: number | null
  end_to_end_ms_p99: number | null
  errors: number
  last_error: string | null
  last_error_at: string | null
  paused_reason: string | null
}

/** Consumers heard of within a day, by name. */
export async function consumers(sql: Sql): Promise<ConsumerRow[]> {
  const rows = await ask(
    'read consumer_health',
    sql`
      select consumer_id, instance_id, status as written_status, assigned_partitions, last_heartbeat,
        extract(epoch from clock_timestamp() - last_heartbeat)::float8 as heartbeat_age_s,
        exists (select from connected_programs() c(name) where c.name = consumer_id or starts_with(c.name, consumer_id || '-')) as connected,
        started_at, host, pid, total_messages_processed,
        processing_ms_mean, processing_ms_p99, end_to_end_ms_p50, end_to_end_ms_p99,
        errors, last_error, last_error_at, paused_reason
      from consumer_health
      where last_heartbeat > now() - interval '1 day'
      order by consumer_id
      limit 200`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}

/** 2 s: a panel that can't be had by then shows its last good data with its age. */
export const DEADLINE_MS = 2000
