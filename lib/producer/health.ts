import { hostname } from 'node:os'
import type { Sql } from '../db/connect.ts'
import type { Episode } from '../fleet/episodes.ts'
import type { Refusal } from '../spool/spool.ts'
import { formatMicros } from '../time.ts'

/** What a producer tells PostgreSQL about itself: one statement each. */
export type ProducerStatus =
  'starting' | 'active' | 'blocked' | 'stopping' | 'stopped' | 'finished' | 'failed'

export interface ProducerReport {
  producerId: string
  runId: string
  fleet: string
  sensorType: string | null
  status: ProducerStatus
  startedAt: Date
  /** of this run, kept over restarts */
  accepted: number
  sent: number
  dropped: number
  rejected: number
  spooled: number
  spoolBytes: number
  oldestSpooledAt: Date | null
  perSecond: number
  expectedPerSecond: number | null
  errors: number
  lastError: string | null
  lastErrorAt: Date | null
  kafkaReachable: boolean | null
}

export interface SystemEvent {
  event: string
  severity: 'info' | 'warning' | 'error'
  message: string
  details: Record<string, unknown>
}

export async function writeHealth(sql: Sql, r: ProducerReport): Promise<void> {
  await sql`
    insert into producer_health (producer_id, run_id, fleet, sensor_type, status, last_heartbeat, started_at, host, pid,
      total_messages_accepted, total_messages_sent, spooled, spool_bytes, oldest_spooled_at, dropped, rejected,
      messages_per_second, expected_per_second, errors, last_error, last_error_at, kafka_reachable)
    values (${r.producerId}, ${r.runId}, ${r.fleet}, ${r.sensorType}, ${r.status}, now(), ${r.startedAt}, ${hostname()},
      ${process.pid}, ${r.accepted}, ${r.sent}, ${r.spooled}, ${r.spoolBytes}, ${r.oldestSpooledAt}, ${r.dropped},
      ${r.rejected}, ${r.perSecond}, ${r.expectedPerSecond}, ${r.errors}, ${r.lastError?.slice(0, 500) ?? null},
      ${r.lastErrorAt}, ${r.kafkaReachable})
    on conflict (producer_id) do update set
      run_id = excluded.run_id, fleet = excluded.fleet, sensor_type = excluded.sensor_type, status = excluded.status,
      last_heartbeat = excluded.last_heartbeat, started_at = excluded.started_at, host = excluded.host,
      pid = excluded.pid, total_messages_accepted = excluded.total_messages_accepted,
      total_messages_sent = excluded.total_messages_sent, spooled = excluded.spooled,
      spool_bytes = excluded.spool_bytes, oldest_spooled_at = excluded.oldest_spooled_at,
      dropped = excluded.dropped, rejected = excluded.rejected, messages_per_second = excluded.messages_per_second,
      expected_per_second = excluded.expected_per_second, errors = excluded.errors, last_error = excluded.last_error,
      last_error_at = excluded.last_error_at, kafka_reachable = excluded.kafka_reachable`
}

export async function writeEvents(
  sql: Sql,
  producerId: string,
  events: readonly SystemEvent[],
): Promise<void> {
  await sql`
    insert into system_events (source, event, severity, message, details)
    select ${producerId}, event, severity, message, details
    from json_to_recordset(${JSON.stringify(events)}::text::json)
      as e (event text, severity text, message text, details jsonb)`
}

/** Told again after a restart, an episode is still one row. */
export async function writeEpisodes(
  sql: Sql,
  producerId: string,
  episodes: readonly Episode[],
): Promise<void> {
  const rows = episodes.map((e) => ({
    ...e,
    startedAt: formatMicros(e.startedAt),
    endedAt: formatMicros(e.endedAt),
  }))
  await sql`
    insert into fault_episodes (episode_id, producer_id, sensor_id, kind, size_sigma, started_at, ended_at, description)
    select "episodeId", ${producerId}, "sensorId", kind, "sizeSigma", "startedAt", "endedAt", description
    from json_to_recordset(${JSON.stringify(rows)}::text::json)
      as e ("episodeId" text, "sensorId" text, kind text, "sizeSigma" float8, "startedAt" timestamptz,
        "endedAt" timestamptz, description text)
    on conflict (episode_id) do nothing`
}

/** A message that never reached the log. Written again after a lost answer, it is still one row. */
export async function writeDeadLetter(
  sql: Sql,
  who: { producerId: string; runId: string; clusterId: string | null },
  r: Refusal,
): Promise<void> {
  const headers = JSON.stringify({ 'run-id': who.runId, seq: String(r.seq) })
  await sql`
    insert into dead_letters (cluster_id, topic, partition, "offset", reason, message, key, value, value_bytes,
      value_sha256, headers, sensor_id, run_id, seq, detected_by)
    select ${who.clusterId ?? 'unknown'}, ${r.topic}, null, null, ${r.reason}, ${r.message}, ${Buffer.from(r.key)},
      ${Buffer.from(r.value)}, ${r.valueBytes}, ${Buffer.from(r.valueSha256)}, ${headers}::text::jsonb, ${r.key},
      ${who.runId}, ${r.seq}, ${who.producerId}
    where not exists (select 1 from dead_letters
      where topic = ${r.topic} and run_id = ${who.runId} and sensor_id = ${r.key} and seq = ${r.seq} and "offset" is null)`
}
