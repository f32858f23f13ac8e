import { ask, type Sql } from '../../db/connect.ts'
import { DEADLINE_MS } from './consumers.ts'
import { plainAll } from './rows.ts'

/** One transition of one alarm, with enough of the alarm to read it alone. */
export interface JournalRow {
  entry: number
  alert_id: string
  sensor_id: string
  rule_id: string
  transition: string
  at: string
  recorded_at: string
  actor: string
  reason: string | null
  details: unknown
  severity: string | null
  anomaly_type: string | null
  description: string | null
}

/** The newest entries, newest first. */
export async function recentJournal(sql: Sql, limit = 100): Promise<JournalRow[]> {
  const rows = await ask(
    'read the alarm journal',
    sql`
      select j.entry, j.alert_id, j.sensor_id, j.rule_id, j.transition, j.at, j.recorded_at, j.actor, j.reason, j.details,
        a.severity, a.anomaly_type, a.description
      from alert_journal j left join alerts a using (alert_id)
      order by j.entry desc
      limit ${limit}`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}

/** Everything that ever happened to one alarm, oldest first. */
export async function journalOf(sql: Sql, alertId: string): Promise<JournalRow[]> {
  const rows = await ask(
    'read the journal of an alarm',
    sql`
      select j.entry, j.alert_id, j.sensor_id, j.rule_id, j.transition, j.at, j.recorded_at, j.actor, j.reason, j.details,
        a.severity, a.anomaly_type, a.description
      from alert_journal j left join alerts a using (alert_id)
      where j.alert_id = ${alertId}
      order by j.entry
      limit 1000`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}
