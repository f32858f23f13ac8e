import type { Transaction } from '../db/connect.ts'

/** One transition of alarms, by a person or by the clock; readings have their own way (transitions.ts). */
export interface Told {
  transition: string
  /** who did it */
  actor: string
  /** why, for the journal; null: nobody said */
  reason: string | null
  alertTopic: string
  /** when it happened in the plant, ISO; default now; raised: the message bears the time of the reading that raised it */
  at?: string
}

/** Journal and outbox of one transition of these alarms; the message is the alarm as it is after it (SPEC §5b). */
export async function tell(tx: Transaction, ids: readonly string[], told: Told): Promise<void> {
  if (ids.length === 0) return
  const list = JSON.stringify(ids)
  const { transition, actor, reason, alertTopic } = told
  const at = told.at === 'raised' ? null : (told.at ?? null)
  const journal = tx`
    insert into alert_journal (alert_id, sensor_id, rule_id, transition, at, actor, reason)
    select alert_id, sensor_id, rule_id, ${transition}, coalesce(${at}::timestamptz, now()), ${actor}, ${reason}
    from alerts where alert_id in (select value::uuid from jsonb_array_elements_text(${list}::text::jsonb))
    order by "timestamp"`
  const messages = tx`
    insert into outbox (topic, key, alert_id, payload)
    select ${alertTopic}, sensor_id, alert_id, jsonb_build_object(
      'alert_id', alert_id,
      'timestamp', to_char(coalesce(${at}::timestamptz, ${told.at === 'raised' ? tx`"timestamp"` : tx`now()`}) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      'sensor_id', sensor_id, 'sensor_type', sensor_type, 'anomaly_type', anomaly_type, 'severity', severity,
      'state', ${transition}::text, 'sensor_value', sensor_value, 'sensor_unit', sensor_unit,
      'sensor_alert_level', sensor_alert_level, 'location', location, 'detected_by', detected_by,
      'description', description, 'late', late, 'active', active,
      'rule', jsonb_build_object('id', rule_id, 'version', rule_version),
      'source', jsonb_build_object('topic', topic, 'partition', partition, 'offset', "offset"))
      || jsonb_strip_nulls(jsonb_build_object('suppressed', suppressed,
        'called', case when suppressed is not null and called then true end, 'group', group_id, 'by', ${actor}::text,
        'comment', ${reason}::text, 'shelved_until', shelved_until))
    from alerts where alert_id in (select value::uuid from jsonb_array_elements_text(${list}::text::jsonb))
    order by "timestamp"`
  // sent together: nobody waits for an answer between them
  await Promise.all([journal, messages, tx`select pg_notify('alerts', ''), pg_notify('outbox', '')`])
}
