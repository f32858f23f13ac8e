import { ask, type Sql, type Transaction } from '../../db/connect.ts'

/**
 * What a person does to alarms: acknowledge (seen; does not clear), shelve (quiet until an end time, with a reason) and
 * unshelve. Each act is one transaction: the row, an entry of the journal with who, when and why, and the transition in
 * the outbox. Doing it twice changes nothing the second time.
 */
export interface Act {
  by: string
  alertTopic: string
}

const DEADLINE_MS = 4000

/** Ids of the alarms that this call acknowledged; those that were already, or don't exist, are not among them. */
export async function acknowledgeAlarms(
  sql: Sql,
  ids: readonly string[],
  comment: string | null,
  act: Act,
): Promise<string[]> {
  return transact(sql, 'acknowledge alarms', async (tx) => {
    const done = await tx<{ alert_id: string }[]>`
      update alerts set acknowledged = true, acknowledged_at = now(), acknowledged_by = ${act.by},
        acknowledge_comment = ${comment}, updated_at = now()
      where alert_id = any(${uuids(ids)}::uuid[]) and not acknowledged
      returning alert_id`
    await tell(tx, done, 'acknowledged', comment, act)
    return done.map((row) => row.alert_id)
  })
}

/** Quiet until then; an alarm that is neither active nor unacknowledged can't be shelved. */
export async function shelveAlarm(
  sql: Sql,
  id: string,
  until: Date,
  reason: string,
  act: Act,
): Promise<boolean> {
  return transact(sql, 'shelve an alarm', async (tx) => {
    const done = await tx<{ alert_id: string }[]>`
      update alerts set shelved_until = ${until}, shelved_by = ${act.by}, shelve_reason = ${reason}, updated_at = now()
      where alert_id = ${id} and (active or not acknowledged)
      returning alert_id`
    await tell(tx, done, 'shelved', reason, act)
    return done.length > 0
  })
}

export async function unshelveAlarm(sql: Sql, id: string, act: Act): Promise<boolean> {
  return transact(sql, 'unshelve an alarm', async (tx) => {
    const done = await tx<{ alert_id: string }[]>`
      update alerts set shelved_until = null, suppressed = nullif(suppressed, 'shelved'), updated_at = now()
      where alert_id = ${id} and shelved_until > now()
      returning alert_id`
    await tell(tx, done, 'unshelved', null, act)
    return done.length > 0
  })
}

function transact<T>(sql: Sql, what: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
  return ask(what, sql.begin(work) as Promise<T>, DEADLINE_MS)
}

/** Journal and outbox of one transition of these alarms; the message is the alarm as it is after it (SPEC §5b). */
async function tell(
  tx: Transaction,
  alarms: readonly { alert_id: string }[],
  transition: string,
  reason: string | null,
  act: Act,
): Promise<void> {
  if (alarms.length === 0) return
  const ids = uuids(alarms.map((a) => a.alert_id))
  await tx`
    insert into alert_journal (alert_id, sensor_id, rule_id, transition, at, actor, reason)
    select alert_id, sensor_id, rule_id, ${transition}, now(), ${act.by}, ${reason}
    from alerts where alert_id = any(${ids}::uuid[])`
  await tx`
    insert into outbox (topic, key, alert_id, payload)
    select ${act.alertTopic}, sensor_id, alert_id, jsonb_strip_nulls(jsonb_build_object(
      'alert_id', alert_id,
      'timestamp', to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      'sensor_id', sensor_id, 'sensor_type', sensor_type, 'anomaly_type', anomaly_type, 'severity', severity,
      'state', ${transition}::text, 'sensor_value', sensor_value, 'sensor_unit', sensor_unit,
      'sensor_alert_level', sensor_alert_level, 'location', location, 'detected_by', detected_by,
      'description', description, 'late', late,
      'rule', jsonb_build_object('id', rule_id, 'version', rule_version),
      'source', jsonb_build_object('topic', topic, 'partition', partition, 'offset', "offset"),
      'by', ${act.by}::text, 'comment', ${reason}::text, 'shelved_until', shelved_until))
    from alerts where alert_id = any(${ids}::uuid[])
    order by "timestamp"`
  await tx`select pg_notify('alerts', ''), pg_notify('outbox', '')`
}

/** Array literal of PostgreSQL; the ids were checked to be uuids. */
function uuids(ids: readonly string[]): string {
  return `{${ids.join(',')}}`
}
