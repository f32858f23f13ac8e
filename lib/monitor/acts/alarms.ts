import { tell } from '../../alarm/tell.ts'
import { ask, type Sql, type Transaction } from '../../db/connect.ts'

/**
 * What a person does to alarms: acknowledge (seen; does not clear), shelve (quiet until an end time, with a reason) and
 * unshelve. A shelf is the sensor's and the rule's: each raise takes it over (transitions.ts), and it changes and ends for
 * all alarms that lie on it, over or not, or the next raise would find it on one of them. Each act is one transaction: the row, an entry of the journal with who, when and why, and the transition in
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
    const done = await tx<{ alert_id: string; ended: boolean }[]>`
      update alerts set acknowledged = true, acknowledged_at = now(), acknowledged_by = ${act.by},
        acknowledge_comment = ${comment}, updated_at = now()
      where alert_id = any(${uuids(ids)}::uuid[]) and not acknowledged
      returning alert_id, latching and not active and cleared_at = now() as ended`
    await tell(tx, idsOf(done), { transition: 'acknowledged', actor: act.by, reason: comment, ...act })
    // a latched alarm waited for this (trigger latched_alarm_ends)
    const ended = idsOf(done.filter((one) => one.ended))
    const reason = 'the condition was over, and it is acknowledged'
    await tell(tx, ended, { transition: 'cleared', actor: act.by, reason, ...act })
    return idsOf(done)
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
    const done = await tx<Shelved[]>`
      update alerts set shelved_until = ${until}, shelved_by = ${act.by}, shelve_reason = ${reason}, updated_at = now()
      from alerts one
      where one.alert_id = ${id} and (one.active or not one.acknowledged)
        and alerts.sensor_id = one.sensor_id and alerts.rule_id = one.rule_id
        and (alerts.alert_id = one.alert_id or alerts.shelved_until > now())
      returning alerts.alert_id, alerts.active or not alerts.acknowledged as open`
    await tell(tx, idsOf(done.filter((one) => one.open)), {
      transition: 'shelved',
      actor: act.by,
      reason,
      ...act,
    })
    return done.length > 0
  })
}

export async function unshelveAlarm(sql: Sql, id: string, act: Act): Promise<boolean> {
  return transact(sql, 'unshelve an alarm', async (tx) => {
    const done = await tx<Shelved[]>`
      update alerts set shelved_until = null, updated_at = now(),
        suppressed = case when alerts.active then nullif(alerts.suppressed, 'shelved') else alerts.suppressed end
      from alerts one
      where one.alert_id = ${id} and one.shelved_until > now()
        and alerts.sensor_id = one.sensor_id and alerts.rule_id = one.rule_id and alerts.shelved_until > now()
      returning alerts.alert_id, alerts.active or not alerts.acknowledged as open`
    await tell(tx, idsOf(done.filter((one) => one.open)), {
      transition: 'unshelved',
      actor: act.by,
      reason: null,
      ...act,
    })
    return done.length > 0
  })
}

interface Shelved {
  alert_id: string
  /** active, or not acknowledged: of concern to somebody */
  open: boolean
}

/** One act, whole or not at all. */
export function transact<T>(sql: Sql, what: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
  return ask(what, sql.begin(work) as Promise<T>, DEADLINE_MS)
}

function idsOf(rows: readonly { alert_id: string }[]): string[] {
  return rows.map((row) => row.alert_id)
}

/** Array literal of PostgreSQL; the ids were checked to be uuids. */
function uuids(ids: readonly string[]): string {
  return `{${ids.join(',')}}`
}
