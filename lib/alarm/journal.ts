import type { Transaction } from '../db/connect.ts'

/** A message for topic alerts, left for the relay in the transaction that made it. */
export interface OutboxEntry {
  topic: string
  key: string
  alert_id: string
  payload: Record<string, unknown>
}

/** What happened to an alarm, who did it and why: only ever added to. */
export interface JournalEntry {
  alert_id: string
  sensor_id: string
  rule_id: string
  transition: string
  at: string
  actor: string
  reason: string
}

export async function writeJournal(tx: Transaction, entries: readonly JournalEntry[]): Promise<void> {
  if (entries.length === 0) return
  await tx`
    insert into alert_journal (alert_id, sensor_id, rule_id, transition, at, actor, reason)
    select alert_id, sensor_id, rule_id, transition, at, actor, reason
    from jsonb_to_recordset(${JSON.stringify(entries)}::text::jsonb) as e (alert_id uuid, sensor_id text, rule_id text,
      transition text, at timestamptz, actor text, reason text)`
}

export async function enqueue(tx: Transaction, entries: readonly OutboxEntry[]): Promise<void> {
  if (entries.length === 0) return
  await tx`
    with queued as (
      insert into outbox (topic, key, alert_id, payload)
      select topic, key, alert_id, payload
      from jsonb_to_recordset(${JSON.stringify(entries)}::text::jsonb)
        as e (topic text, key text, alert_id uuid, payload jsonb)
    )
    select pg_notify('outbox', '')`
}

/** The server refuses a longer notification than 8,000 bytes; an id and its comma are 37. */
const NAMED_AT_MOST = 200

/** Tells whoever listens which alarms have changed; an empty text: too many to name, look at all. */
export async function notifyAlerts(tx: Transaction, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await tx`select pg_notify('alerts', ${ids.length > NAMED_AT_MOST ? '' : ids.join()})`
}
