import type { Sql, Transaction } from '../db/connect.ts'
import { clearedMessage, raisedMessage, type ClearedAlarm, type RaisedAlarm } from './alarm.ts'
import { deviceAlerts } from './device-alert.ts'
import {
  endGroups,
  formGroups,
  holdMachines,
  lookAround,
  mayGroup,
  type GroupRule,
  type Quiet,
  type Surroundings,
} from './group.ts'
import { enqueue, notifyAlerts, writeJournal } from './journal.ts'
import { tell } from './tell.ts'
import { afterWaiting, tellCalled } from './wait.ts'

/**
 * Raised and cleared alarms in the caller's transaction: the row, an entry of the journal, the message in the outbox.
 * A raise inherits what a person decided for its sensor and rule: shelved until then, out of service. What is
 * suppressed is stored, journalled and published like any other, and says so: only nobody is called for it.
 *
 * Other partitions wait for these machines until the transaction ends, so whatever needs no answer of another statement
 * is sent together with it, in the order in which it has to happen: that of the calls, as each of these functions sends
 * what it has to send before it waits.
 */
export async function tellAlarms(
  tx: Transaction,
  raised: readonly RaisedAlarm[],
  cleared: readonly ClearedAlarm[],
  alertTopic: string,
  groups: GroupRule,
): Promise<void> {
  const [, stored] = await Promise.all([
    holdMachines(tx, [...raised, ...cleared.map((c) => c.raised)], groups),
    raised.length > 0 && raise(tx, raised, groups),
  ])
  const told = stored && (await tellRaised(tx, raised, stored, alertTopic, groups))
  const [, over] = await Promise.all([told && told(), cleared.length > 0 ? markOver(tx, cleared) : []])
  if (over.length > 0) await tellOver(tx, cleared, over, alertTopic)
  const replaced = await endOlderLatched(tx, raised, alertTopic)
  const left = over.flatMap((row) => row.group_id ?? [])
  await endGroups(tx, [...new Set([...left, ...replaced])], alertTopic)
}

interface Stored extends Surroundings {
  /** of those that were not there before: why nobody is called */
  suppressed: ReadonlyMap<string, string | null>
}

async function raise(tx: Transaction, raised: readonly RaisedAlarm[], groups: GroupRule): Promise<Stored> {
  const [rows, around] = await Promise.all([storeAlerts(tx, raised), lookAround(tx, raised, groups)])
  return { ...around, suppressed: new Map(rows.map((row) => [row.alert_id, row.suppressed])) }
}

async function storeAlerts(tx: Transaction, raised: readonly RaisedAlarm[]) {
  return await tx<
    { alert_id: string; suppressed: string | null }[]
  >`${insertedAlerts(tx, raised, tx`(values (1)) as moved`)}`
}

/** Finds out whom nobody is called for; what it returns writes that, journal and messages. */
async function tellRaised(
  tx: Transaction,
  raised: readonly RaisedAlarm[],
  { suppressed, ...around }: Stored,
  alertTopic: string,
  groups: GroupRule,
): Promise<() => Promise<unknown>> {
  const fresh = raised.filter((a) => suppressed.has(a.alert_id))
  const heard = fresh.filter((a) => suppressed.get(a.alert_id) === null)
  const { quiet, store } = await formGroups(tx, heard, around, groups, alertTopic)
  const messages = fresh.map((a) => {
    const why = suppressed.get(a.alert_id)
    return messageOf(a, alertTopic, quiet.get(a.alert_id) ?? (why ? { suppressed: why } : {}))
  })
  return () =>
    Promise.all([
      store(),
      writeJournal(tx, fresh.map(journalOf)),
      enqueue(tx, [...messages, ...deviceAlerts(fresh)]),
      notifyAlerts(
        tx,
        fresh.map((a) => a.alert_id),
      ),
    ])
}

/** Raised, and of no concern to other alarms: no group can form with it, no latched one gives way to it. */
export function isAlone(alarm: RaisedAlarm, groups: GroupRule): boolean {
  return !alarm.latching && !mayGroup(alarm, groups)
}

/**
 * The same for alarms that are alone, as parts of the statement that moves the partition (its `moved`): one answer to
 * wait for instead of six, which is most of what a busy machine makes them wait.
 */
export function raisedWith(sql: Sql | Transaction, raised: readonly RaisedAlarm[], alertTopic: string) {
  const messages = [...raised.map((a) => messageOf(a, alertTopic)), ...deviceAlerts(raised)].map(
    (message, n) => ({ ...message, n }),
  )
  return sql`
    , fresh as (${insertedAlerts(sql, raised, sql`moved`)}),
    journalled as (
      insert into alert_journal (alert_id, sensor_id, rule_id, transition, at, actor, reason)
      select alert_id, sensor_id, rule_id, transition, at, actor, reason
      from jsonb_to_recordset(${JSON.stringify(raised.map(journalOf))}::text::jsonb) as e (alert_id uuid, sensor_id text,
        rule_id text, transition text, at timestamptz, actor text, reason text) join fresh using (alert_id)
    ),
    queued as (
      insert into outbox (topic, key, alert_id, payload)
      select topic, key, alert_id, case when topic = ${alertTopic} then payload
        || jsonb_strip_nulls(jsonb_build_object('suppressed', suppressed)) else payload end
      from jsonb_to_recordset(${JSON.stringify(messages)}::text::jsonb)
        as e (topic text, key text, alert_id uuid, payload jsonb, n integer) join fresh using (alert_id)
      order by n
    ),
    told as (
      select pg_notify('outbox', ''), pg_notify('alerts', string_agg(alert_id::text, ','))
      from fresh having count(*) > 0
    )`
}

/** `quiet`: why nobody is called, where nobody is. */
function messageOf(a: RaisedAlarm, topic: string, quiet: Quiet | { suppressed?: string } = {}) {
  return { topic, key: a.sensor_id, alert_id: a.alert_id, payload: { ...raisedMessage(a), ...quiet } }
}

function journalOf(a: RaisedAlarm) {
  const { alert_id, sensor_id, rule_id } = a
  return {
    alert_id,
    sensor_id,
    rule_id,
    transition: 'raised',
    at: a.timestamp,
    actor: a.detected_by,
    reason: a.description,
  }
}

/** `moved`: one row, or none where nothing may be stored */
function insertedAlerts(sql: Sql | Transaction, raised: readonly RaisedAlarm[], moved: PendingQuery) {
  return sql`
    insert into alerts (alert_id, "timestamp", sensor_id, sensor_type, anomaly_type, severity, sensor_value, sensor_unit,
      sensor_alert_level, location, detected_by, description, rule_id, rule_version, why, late, topic, partition,
      "offset", peak_value, latching, shelved_until, shelved_by, shelve_reason, suppressed)
    select n.alert_id, n."timestamp", n.sensor_id, n.sensor_type, n.anomaly_type, n.severity, n.sensor_value,
      n.sensor_unit, n.sensor_alert_level, n.location, n.detected_by, n.description, n.rule_id, n.rule_version, n.why,
      n.late, n.topic, n.partition, n."offset", n.sensor_value, n.latching, s.shelved_until, s.shelved_by,
      s.shelve_reason, case when o.sensor_id is not null then 'out_of_service' when s.shelved_until is not null then 'shelved' end
    from jsonb_populate_recordset(null::alerts, ${JSON.stringify(raised)}::text::jsonb) n cross join ${moved}
    left join lateral (select shelved_until, shelved_by, shelve_reason from alerts a
      where a.sensor_id = n.sensor_id and a.rule_id = n.rule_id and a.shelved_until > now()
      order by a."timestamp" desc limit 1) s on true
    left join out_of_service o on o.sensor_id = n.sensor_id and (o.until is null or o.until > now())
    on conflict (alert_id) do nothing
    returning alert_id, suppressed`
}

type PendingQuery = ReturnType<Sql>

/**
 * One open alarm per sensor and rule: a latched one that nobody acknowledged gives way to the newer, which may have been
 * raised in the batch that ended its condition. Returns the groups they belonged to.
 */
async function endOlderLatched(
  tx: Transaction,
  raised: readonly RaisedAlarm[],
  alertTopic: string,
): Promise<string[]> {
  const newer = raised.filter((a) => a.latching)
  const [first] = newer
  if (!first) return []
  const keys = newer.map(({ sensor_id, rule_id, timestamp }) => ({ sensor_id, rule_id, timestamp }))
  const ended = await tx<{ alert_id: string; group_id: string | null }[]>`
    update alerts set active = false, cleared_at = now(), updated_at = now()
    from jsonb_to_recordset(${JSON.stringify(keys)}::text::jsonb)
      as n (sensor_id text, rule_id text, "timestamp" timestamptz)
    where alerts.sensor_id = n.sensor_id and alerts.rule_id = n.rule_id and alerts."timestamp" < n."timestamp"
      and alerts.active and alerts.returned_at is not null
    returning alerts.alert_id, alerts.group_id`
  const reason = 'a newer alarm of its rule has taken its place'
  await tell(
    tx,
    ended.map((one) => one.alert_id),
    { transition: 'cleared', actor: first.detected_by, reason, alertTopic },
  )
  return ended.flatMap((one) => one.group_id ?? [])
}

interface Over {
  alert_id: string
  active: boolean
  /** it waited until now, and is called for */
  is_called: boolean
  suppressed: string | null
  called: boolean
  group_id: string | null
}

/** Who still waited is over sooner than somebody was called: that is made up for. */
async function markOver(tx: Transaction, cleared: readonly ClearedAlarm[]) {
  return await tx<Over[]>`
    update alerts set active = latching and not acknowledged, returned_at = c.cleared_at,
      cleared_at = case when latching and not acknowledged then null else c.cleared_at end,
      cleared_offset = c.cleared_offset, peak_value = c.peak_value, updated_at = now(),
      calls_at = case when suppressed = 'waiting' then null else calls_at end,
      suppressed = case when suppressed = 'waiting' then ${afterWaiting(tx)} else suppressed end
    from (select * from jsonb_to_recordset(${JSON.stringify(cleared)}::text::jsonb)
      as c (alert_id uuid, cleared_at timestamptz, cleared_offset bigint, peak_value float8)
      limit ${cleared.length}) c -- so few: the planner would take it for a hundred, and read all that are active
    where alerts.alert_id = c.alert_id and alerts.active and alerts.returned_at is null
    returning new.alert_id, new.active, new.suppressed, new.called, new.group_id,
      old.suppressed is not distinct from 'waiting' and new.suppressed is null as is_called`
}

async function tellOver(
  tx: Transaction,
  cleared: readonly ClearedAlarm[],
  over: readonly Over[],
  alertTopic: string,
): Promise<void> {
  const toCall = over.filter((row) => row.is_called).map((row) => row.alert_id)
  const actor = cleared[0]?.detected_by ?? ''
  const became = new Map(over.map((row) => [row.alert_id, row]))
  const done = cleared.filter((c) => became.has(c.alert_id))
  const transition = (id: string) => (became.get(id)?.active ? 'returned' : 'cleared')
  const journal = done.map((c) => ({
    alert_id: c.alert_id,
    sensor_id: c.raised.sensor_id,
    rule_id: c.raised.rule_id,
    transition: transition(c.alert_id),
    at: c.cleared_at,
    actor: c.detected_by,
    reason: c.description,
  }))
  const messages = done.map((c) => {
    const { suppressed, called, group_id: group } = became.get(c.alert_id) ?? {}
    const quiet = suppressed ? { suppressed, ...(called ? { called } : {}), ...(group ? { group } : {}) } : {}
    return {
      topic: alertTopic,
      key: c.raised.sensor_id,
      alert_id: c.alert_id,
      payload: { ...clearedMessage(c), state: transition(c.alert_id), ...quiet },
    }
  })
  await Promise.all([
    tellCalled(tx, toCall, { actor, reason: 'it is over already', alertTopic }),
    writeJournal(tx, journal),
    enqueue(tx, messages),
    notifyAlerts(
      tx,
      done.map((c) => c.alert_id),
    ),
  ])
}
