import type { Transaction } from '../db/connect.ts'
import type { RaisedAlarm } from './alarm.ts'
import { alarmId } from './id.ts'
import { tell } from './tell.ts'

/**
 * Flood control: a machine that fails makes all its sensors speak; the operator gets one alarm of the machine. From the
 * `sensors`-th sensor of a machine that raises within `window` seconds on (event time) there is a group alarm; alarms
 * of that machine that follow within the window of the newest member belong to it and call nobody. Critical alarms
 * always call. The group ends with its last member.
 *
 * Sensors of a machine lie in different partitions, so a group is no function of one log: its id comes from the machine
 * and from the alarm that made it, and an advisory lock a machine orders the consumers.
 */
export interface GroupRule {
  sensors: number
  /** seconds */
  window: number
}

export const GROUP_RULE = 'machine.group'

interface Member {
  alert_id: string
  sensor_id: string
  severity: string
  group_id: string | null
}

const RANK = ['low', 'medium', 'high', 'critical']

/** Which of these new alarms belong to a group and call nobody: alarm id → group id. */
export async function formGroups(
  tx: Transaction,
  raised: readonly RaisedAlarm[],
  rule: GroupRule,
  alertTopic: string,
): Promise<Map<string, string>> {
  const suppressed = new Map<string, string>()
  const machines = Map.groupBy(
    raised.filter((a) => a.location.machine_id !== '' && a.sensor_type !== 'machine'),
    (a) => a.location.machine_id,
  )
  for (const machine of [...machines.keys()].sort()) {
    await tx`select pg_advisory_xact_lock(hashtext(${`machine ${machine}`}))`
    for (const alarm of machines.get(machine) ?? []) {
      const group = await groupOf(tx, alarm, rule, alertTopic)
      if (!group) continue
      const quiet = alarm.severity !== 'critical'
      await tx`update alerts set group_id = ${group}, suppressed = ${quiet ? 'group' : null}
        where alert_id = ${alarm.alert_id}`
      if (quiet) suppressed.set(alarm.alert_id, group)
    }
  }
  return suppressed
}

async function groupOf(
  tx: Transaction,
  alarm: RaisedAlarm,
  rule: GroupRule,
  alertTopic: string,
): Promise<string | null> {
  const near = await tx<Member[]>`
    select alert_id, sensor_id, severity, group_id from alerts
    where active and sensor_type <> 'machine' and location->>'machine_id' = ${alarm.location.machine_id}
      and location->>'factory_section' = ${alarm.location.factory_section}
      and "timestamp" between ${alarm.timestamp}::timestamptz - make_interval(secs => ${rule.window})
        and ${alarm.timestamp}::timestamptz + make_interval(secs => ${rule.window})
    order by "timestamp"`
  const open = near.find((m) => m.group_id !== null)?.group_id
  if (open) {
    const held = await tx`select 1 from alerts where alert_id = ${open} and active for update`
    if (held.length > 0) return open
  }
  const sensors = [...new Set([...near.map((m) => m.sensor_id), alarm.sensor_id])]
  if (sensors.length < rule.sensors) return null
  return raiseGroup(tx, alarm, near, sensors, rule, alertTopic)
}

async function raiseGroup(
  tx: Transaction,
  alarm: RaisedAlarm,
  members: readonly Member[],
  sensors: readonly string[],
  rule: GroupRule,
  alertTopic: string,
): Promise<string> {
  const machine = alarm.location.machine_id
  const source = { topic: alarm.topic, partition: alarm.partition, offset: alarm.offset }
  const id = alarmId(GROUP_RULE, machine, source)
  const severity = [alarm.severity, ...members.map((m) => m.severity)].reduce((a, b) =>
    RANK.indexOf(a) >= RANK.indexOf(b) ? a : b,
  )
  const description = `${machine}: ${sensors.length} of its sensors raised alarms within ${rule.window} s: ${sensors.join(', ')}`
  const why = {
    part: 'group',
    rule: { id: GROUP_RULE, version: alarm.rule_version },
    explanation: description,
    sensors,
    members: [...members.map((m) => m.alert_id), alarm.alert_id],
    source,
  }
  await tx`
    insert into alerts (alert_id, "timestamp", sensor_id, sensor_type, anomaly_type, severity, sensor_unit,
      sensor_alert_level, location, detected_by, description, rule_id, rule_version, why, topic, partition, "offset")
    values (${id}, ${alarm.timestamp}, ${machine}, 'machine', 'machine_alarm', ${severity}, '', 'normal',
      ${JSON.stringify(alarm.location)}::text::jsonb, ${alarm.detected_by}, ${description}, ${GROUP_RULE},
      ${alarm.rule_version}, ${JSON.stringify(why)}::text::jsonb, ${source.topic}, ${source.partition}, ${source.offset})
    on conflict (alert_id) do nothing`
  await tx`update alerts set group_id = ${id}
    where alert_id in (select value::uuid from jsonb_array_elements_text(${JSON.stringify(members.map((m) => m.alert_id))}::text::jsonb))
      and group_id is null`
  await tell(tx, [id], {
    transition: 'raised',
    at: alarm.timestamp,
    actor: alarm.detected_by,
    reason: description,
    alertTopic,
  })
  return id
}

/** Groups whose last member has ended end, too. */
export async function endGroups(tx: Transaction, ids: readonly string[], alertTopic: string): Promise<void> {
  for (const id of [...ids].sort()) {
    await tx`select 1 from alerts where alert_id = ${id} for update`
    const ended = await tx<{ detected_by: string; at: Date }[]>`
      update alerts set active = false, cleared_at = now(), updated_at = now()
      where alert_id = ${id} and active and not exists (select 1 from alerts m where m.group_id = ${id} and m.active)
      returning detected_by, cleared_at as at`
    const [row] = ended
    if (row)
      await tell(tx, [id], {
        transition: 'cleared',
        at: row.at.toISOString(),
        actor: row.detected_by,
        reason: 'the last of its alarms has ended',
        alertTopic,
      })
  }
}
