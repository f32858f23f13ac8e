import { ask, type Sql } from '../../db/connect.ts'
import { DEADLINE_MS } from './consumers.ts'
import type { RebalanceRow } from './rebalances.ts'
import { plain, plainAll } from './rows.ts'
import type { SystemEventRow } from './events.ts'

/** Rebalances before an event number, newest first. */
export async function listRebalances(
  sql: Sql,
  before: number | null,
  limit: number,
): Promise<RebalanceRow[]> {
  const rows = await ask(
    'list rebalances',
    sql`
      select event_id, at, group_id, consumer_id, event_type, generation, assigned, gained, lost, duration_ms, details
      from rebalancing_events
      ${before === null ? sql`` : sql`where event_id < ${before}`}
      order by event_id desc limit ${limit + 1}`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}

export interface EventFilter {
  before: number | null
  limit: number
  severity?: string
  source?: string
}

export async function listSystemEvents(sql: Sql, f: EventFilter): Promise<SystemEventRow[]> {
  const rows = await ask(
    'list system events',
    sql`
      select event_id, at, source, event, severity, message, details
      from system_events
      where true
        ${f.before === null ? sql`` : sql`and event_id < ${f.before}`}
        ${f.severity === undefined ? sql`` : sql`and severity = ${f.severity}`}
        ${f.source === undefined ? sql`` : sql`and source = ${f.source}`}
      order by event_id desc limit ${f.limit + 1}`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}

export interface DeadLetterRow {
  dead_letter_id: number
  topic: string
  partition: number | null
  offset: number | null
  reason: string
  message: string
  value_bytes: number
  sensor_id: string | null
  run_id: string | null
  seq: number | null
  detected_by: string
  recorded_at: string
  redriven_at: string | null
}

export async function listDeadLetters(
  sql: Sql,
  f: { before: number | null; limit: number; reason?: string; topic?: string },
): Promise<DeadLetterRow[]> {
  const rows = await ask(
    'list dead letters',
    sql`
      select dead_letter_id, topic, partition, "offset", reason, message, value_bytes, sensor_id, run_id, seq, detected_by,
        recorded_at, redriven_at
      from dead_letters
      where true
        ${f.before === null ? sql`` : sql`and dead_letter_id < ${f.before}`}
        ${f.reason === undefined ? sql`` : sql`and reason = ${f.reason}`}
        ${f.topic === undefined ? sql`` : sql`and topic = ${f.topic}`}
      order by dead_letter_id desc limit ${f.limit + 1}`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}

export async function deadLettersByReason(
  sql: Sql,
): Promise<{ reason: string; count: number; redriven: number }[]> {
  return ask(
    'count dead letters',
    sql<{ reason: string; count: number; redriven: number }[]>`
      select reason, count(*) as count, count(redriven_at) as redriven from dead_letters group by 1 order by 2 desc, 1`,
    DEADLINE_MS,
  )
}

export interface DeadLetter extends DeadLetterRow {
  headers: unknown
  key_text: string | null
  value_text: string | null
  value_base64: string | null
  value_sha256: string | null
}

/** One message with its first bytes, as text where it is text. */
export async function oneDeadLetter(sql: Sql, id: number): Promise<DeadLetter | null> {
  const [row] = await ask(
    'read a dead letter',
    sql<
      (DeadLetterRow & {
        headers: unknown
        key: Uint8Array | null
        value: Uint8Array | null
        value_sha256: Uint8Array | null
      })[]
    >`
      select dead_letter_id, topic, partition, "offset", reason, message, value_bytes, sensor_id, run_id, seq, detected_by,
        recorded_at, redriven_at, headers, key, substr(value, 1, 4096) as value, value_sha256
      from dead_letters where dead_letter_id = ${id}`,
    DEADLINE_MS,
  )
  if (!row) return null
  const { key, value, value_sha256, ...rest } = row
  return {
    ...plain<DeadLetterRow & { headers: unknown }>(rest),
    key_text: textOf(key),
    value_text: textOf(value),
    value_base64: value === null ? null : Buffer.from(value).toString('base64'),
    value_sha256: value_sha256 === null ? null : Buffer.from(value_sha256).toString('hex'),
  }
}

/** null where the bytes are not UTF-8; a character cut in half at the end is forgiven. */
function textOf(bytes: Uint8Array | null): string | null {
  if (bytes === null) return null
  for (let cut = 0; cut < 4; cut++) {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, bytes.length - cut))
    } catch {
      // perhaps a shorter cut is whole
    }
  }
  return null
}
