import { ask, type Sql } from '../../db/connect.ts'
import type { Cursor } from '../cursor.ts'
import type { AlertRow } from './alerts.ts'
import { DEADLINE_MS } from './consumers.ts'
import { plain, plainAll } from './rows.ts'

export const ALARM_STATES = [
  'open',
  'active',
  'unacknowledged',
  'acknowledged',
  'shelved',
  'cleared',
  'all',
] as const
export const ALARM_SORTS = ['timestamp', 'created_at', 'updated_at'] as const

export interface AlarmFilter {
  state: (typeof ALARM_STATES)[number]
  severity?: string
  sensor_id?: string
  sensor_type?: string
  machine_id?: string
  zone?: string
  rule_id?: string
  since?: string
  until?: string
  sort: (typeof ALARM_SORTS)[number]
  order: 'asc' | 'desc'
  limit: number
  cursor: Cursor | null
}

const columns = (sql: Sql) => sql`
  alert_id, "timestamp", sensor_id, sensor_type, anomaly_type, severity, sensor_value, sensor_unit, sensor_alert_level,
  location, detected_by, description, rule_id, rule_version, late, topic, partition, "offset", active, cleared_at,
  peak_value, acknowledged, acknowledged_at, acknowledged_by, acknowledge_comment, shelved_until, shelved_by,
  shelve_reason, latching, returned_at, suppressed, group_id, created_at, updated_at`

/** One page of alarms; one row more than the limit is asked for, so that the caller knows whether there is a next page. */
export async function listAlarms(sql: Sql, f: AlarmFilter): Promise<(AlertRow & { cursor_value: string })[]> {
  const states = {
    open: sql`(active or not acknowledged)`,
    active: sql`active`,
    unacknowledged: sql`not acknowledged`,
    acknowledged: sql`active and acknowledged`,
    shelved: sql`shelved_until > now() and (active or not acknowledged)`,
    cleared: sql`not active`,
    all: sql`true`,
  }
  const sort = { timestamp: sql`"timestamp"`, created_at: sql`created_at`, updated_at: sql`updated_at` }[
    f.sort
  ]
  const after =
    f.cursor &&
    {
      asc: sql`(${sort}, alert_id) > (${f.cursor.value}::timestamptz, ${f.cursor.id}::uuid)`,
      desc: sql`(${sort}, alert_id) < (${f.cursor.value}::timestamptz, ${f.cursor.id}::uuid)`,
    }[f.order]
  const order = { asc: sql`${sort}, alert_id`, desc: sql`${sort} desc, alert_id desc` }[f.order]
  const rows = await ask(
    'list alarms',
    sql`
      select ${columns(sql)}, ${sort}::text as cursor_value
      from alerts
      where ${states[f.state]}
        ${f.severity === undefined ? sql`` : sql`and severity = ${f.severity}`}
        ${f.sensor_id === undefined ? sql`` : sql`and sensor_id = ${f.sensor_id}`}
        ${f.sensor_type === undefined ? sql`` : sql`and sensor_type = ${f.sensor_type}`}
        ${f.machine_id === undefined ? sql`` : sql`and location ->> 'machine_id' = ${f.machine_id}`}
        ${f.zone === undefined ? sql`` : sql`and location ->> 'zone' = ${f.zone}`}
        ${f.rule_id === undefined ? sql`` : sql`and rule_id = ${f.rule_id}`}
        ${f.since === undefined ? sql`` : sql`and "timestamp" >= ${f.since}::timestamptz`}
        ${f.until === undefined ? sql`` : sql`and "timestamp" < ${f.until}::timestamptz`}
        ${after === null ? sql`` : sql`and ${after}`}
      order by ${order}
      limit ${f.limit + 1}`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}

/** One alarm with its explanation; null where there is none of that id. */
export async function oneAlarm(
  sql: Sql,
  alertId: string,
): Promise<(AlertRow & { why: Record<string, unknown> }) | null> {
  const [row] = await ask(
    'read an alarm',
    sql`select ${columns(sql)}, why from alerts where alert_id = ${alertId}`,
    DEADLINE_MS,
  )
  return row ? plain(row) : null
}
