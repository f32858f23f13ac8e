import { ask, type Sql } from '../../db/connect.ts'
import { DEADLINE_MS } from './consumers.ts'
import { plainAll } from './rows.ts'

/** One episode of one rule on one sensor. `active` and `acknowledged` are independent (ISA-18.2). */
export interface AlertRow {
  alert_id: string
  timestamp: string
  sensor_id: string
  sensor_type: string
  anomaly_type: string
  severity: 'low' | 'medium' | 'high' | 'critical'
  sensor_value: number | null
  sensor_unit: string
  sensor_alert_level: string
  location: { factory_section?: string; machine_id?: string; zone?: string }
  detected_by: string
  description: string
  rule_id: string
  rule_version: number
  late: boolean
  topic: string
  partition: number
  offset: number
  active: boolean
  cleared_at: string | null
  peak_value: number | null
  acknowledged: boolean
  acknowledged_at: string | null
  acknowledged_by: string | null
  acknowledge_comment: string | null
  shelved_until: string | null
  shelved_by: string | null
  shelve_reason: string | null
  /** stays active until it is acknowledged, although the condition is over (returned_at) */
  latching: boolean
  returned_at: string | null
  /** why nobody is called for it */
  suppressed: 'shelved' | 'out_of_service' | 'group' | 'waiting' | null
  /** the alarm of its machine that stands for it */
  group_id: string | null
  created_at: string
  updated_at: string
}

/** Open alarms (however old) and the newest closed ones, newest first: an open alarm never falls out of a window. */
export async function openAndRecentAlerts(sql: Sql, open = 500, recent = 100): Promise<AlertRow[]> {
  const rows = await ask(
    'read alerts',
    sql`
      with chosen as (
        (select alert_id from alerts where active or not acknowledged order by "timestamp" desc limit ${open})
        union
        (select alert_id from alerts order by "timestamp" desc limit ${recent})
      )
      select ${columns(sql)}
      from alerts join chosen using (alert_id)
      order by "timestamp" desc, alert_id`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}

/** These alarms as they are now, newest first. */
export async function alertsById(sql: Sql, ids: readonly string[]): Promise<AlertRow[]> {
  const rows = await ask(
    'read alerts that have changed',
    sql`
      select ${columns(sql)}
      from alerts where alert_id in (select value::uuid from jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb))
      order by "timestamp" desc, alert_id`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}

const columns = (sql: Sql) => sql`
  alert_id, "timestamp", sensor_id, sensor_type, anomaly_type, severity, sensor_value, sensor_unit,
  sensor_alert_level, location, detected_by, description, rule_id, rule_version, late, topic, partition, "offset",
  active, cleared_at, peak_value, acknowledged, acknowledged_at, acknowledged_by, acknowledge_comment,
  shelved_until, shelved_by, shelve_reason, latching, returned_at, suppressed, group_id, created_at, updated_at`

export interface AlertCounts {
  active: number
  unacknowledged: number
  shelved: number
}

/** Exact counts, whatever the lists are cut to. */
export async function alertCounts(sql: Sql): Promise<AlertCounts> {
  const [row] = await ask(
    'count open alerts',
    sql<AlertCounts[]>`
      select count(*) filter (where active)::int as active,
        count(*) filter (where not acknowledged)::int as unacknowledged,
        count(*) filter (where shelved_until > now())::int as shelved
      from alerts where active or not acknowledged`,
    DEADLINE_MS,
  )
  return row ?? { active: 0, unacknowledged: 0, shelved: 0 }
}
