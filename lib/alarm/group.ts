import type { Transaction } from '../db/connect.ts'
import { DEVICE_SECTION, DEVICE_SENSORS } from '../device.ts'
import { parseMicros, type Micros } from '../time.ts'
import type { RaisedAlarm } from './alarm.ts'
import { alarmId } from './id.ts'
import { tell } from './tell.ts'
import { startWaiting } from './wait.ts'

/**
 * Flood control: a machine that fails makes all its sensors speak; the operator gets one alarm of the machine. From the
 * `sensors`-th sensor of a machine that raises within `window` seconds on (event time) there is a group alarm; alarms
 * of that machine that follow within the window of the newest member belong to it and call nobody. Those that came
 * before it wait (wait.ts), and call nobody either. Only the first critical alarm of a machine whose group is less than
 * that calls all the same. The group ends with its last member.
 *
 * Sensors of a machine lie in different partitions, so a group is no function of one log: its id comes from the machine
 * and from the alarm that made it. Whoever raises or clears alarms of a machine holds it meanwhile (holdMachines).
 */
export interface GroupRule {
  sensors: number
  /** seconds */
  window: number
  /** seconds that an alarm of a machine with so many sensors waits for the others before it calls; 0: calls at once */
  wait: number
}

/** Why nobody is called for a new alarm: columns and message have it. */
export interface Quiet {
  suppressed: 'group' | 'waiting'
  group?: string
}

export const GROUP_RULE = 'machine.group'

interface Member {
  alert_id: string
  sensor_id: string
  severity: string
  suppressed: string | null
  group_id: string | null
  /** which machine, and event time in microseconds */
  machine: string
  at: Micros
}

/** Where an alarm stands. */
type Placed = Pick<RaisedAlarm, 'location' | 'sensor_type'>

const RANK = ['low', 'medium', 'high', 'critical']

/** Locks for machines: some share one, so that a storm at ten thousand machines fits in the server's table of locks. */
const MACHINE_LOCKS = 1024

const machineOf = (a: RaisedAlarm) => `${a.location.factory_section}\n${a.location.machine_id}`

/**
 * Orders those who raise and clear alarms at the same machines, until the transaction ends: each changes rows that the
 * others' partitions have stored. All at once and in one order for everybody, or two would wait for each other.
 */
export async function holdMachines(
  tx: Transaction,
  alarms: readonly Placed[],
  rule: GroupRule,
): Promise<void> {
  await holdNamed(
    tx,
    alarms.filter((a) => mayGroup(a, rule)).map((a) => a.location.machine_id),
  )
}

/** The same by the names of the machines: before the first row of theirs is changed, or not at all. */
export async function holdNamed(tx: Transaction, machines: readonly string[]): Promise<void> {
  const names = new Set(machines)
  if (names.size === 0) return
  await tx`select pg_advisory_xact_lock(hashtext('machines'), number) from (
    select distinct hashtext(value) & ${MACHINE_LOCKS - 1} as number
    from jsonb_array_elements_text(${JSON.stringify([...names])}::text::jsonb) order by number offset 0) n`
}

/** What is around new alarms whose machines are held; asked for together with what stores them. */
export interface Surroundings {
  /** active alarms of their machines, oldest first, themselves among them */
  members: readonly Member[]
  /** machines that have sensors enough for a group */
  large: ReadonlySet<string>
}

export async function lookAround(
  tx: Transaction,
  raised: readonly RaisedAlarm[],
  rule: GroupRule,
): Promise<Surroundings> {
  const ours = raised.filter((a) => mayGroup(a, rule))
  if (ours.length === 0) return { members: [], large: new Set() }
  const names = [...new Set(ours.map((a) => a.location.machine_id))]
  const [members, large] = await Promise.all([
    membersNear(tx, ours, names, rule),
    rule.wait > 0 ? largeMachines(tx, names, rule) : [],
  ])
  return { members, large: new Set(large.map((row) => row.machine)) }
}

/**
 * Which of these new alarms (stored already, their machines held) call nobody, and why; `store` writes it down. A storm
 * of them asks as few questions as one alarm does: others wait for the machines meanwhile.
 */
export async function formGroups(
  tx: Transaction,
  raised: readonly RaisedAlarm[],
  { members, large }: Surroundings,
  rule: GroupRule,
  alertTopic: string,
): Promise<{ quiet: Map<string, Quiet>; store(): Promise<unknown> }> {
  const ours = raised.filter((a) => mayGroup(a, rule))
  const known = Map.groupBy(members, (m) => m.machine)
  const open = await openGroups(tx, members)
  const found = ours.map((alarm) => {
    const at = parseMicros(alarm.timestamp)
    const near = (known.get(machineOf(alarm)) ?? []).filter((m) => Math.abs(m.at - at) <= rule.window * 1e6)
    return { alarm, near, self: near.find((m) => m.alert_id === alarm.alert_id) }
  })
  for (const { alarm, near, self } of found) {
    let group = near.find((m) => m.group_id !== null && open.has(m.group_id))?.group_id ?? null
    const sensors = [...new Set(near.map((m) => m.sensor_id))]
    if (group === null && sensors.length >= rule.sensors) {
      const made = await raiseGroup(tx, alarm, near, sensors, rule, alertTopic)
      group = made.id
      open.set(group, made.severity)
      for (const member of near) member.group_id ??= group
    }
    if (self) self.group_id ??= group
  }
  const joined = found.flatMap(({ alarm, self }) => {
    const group = self?.group_id ?? null
    if (group === null) return []
    const isFirstCritical = alarm.severity === 'critical' && open.get(group) !== 'critical'
    if (isFirstCritical) open.set(group, 'critical')
    return [{ alert_id: alarm.alert_id, group_id: group, suppressed: isFirstCritical ? null : 'group' }]
  })
  const quiet = new Map<string, Quiet>()
  for (const { alert_id, group_id, suppressed } of joined)
    if (suppressed) quiet.set(alert_id, { suppressed: 'group', group: group_id })
  // Those at machines that have sensors enough for a group wait for it, and with them those that wait already.
  const waiting = found.filter(({ alarm, self }) => !self?.group_id && large.has(machineOf(alarm)))
  for (const { alarm } of waiting) quiet.set(alarm.alert_id, { suppressed: 'waiting' })
  const fresh = waiting.map(({ alarm }) => alarm.alert_id)
  const others = waiting.flatMap(({ alarm, near }) =>
    near.filter((m) => m.suppressed === 'waiting' && m.sensor_id !== alarm.sensor_id).map((m) => m.alert_id),
  )
  return {
    quiet,
    store: () =>
      Promise.all([
        joined.length > 0 && join(tx, joined),
        fresh.length > 0 && startWaiting(tx, fresh, [...new Set(others)], rule),
      ]),
  }
}

async function join(
  tx: Transaction,
  joined: readonly { alert_id: string; group_id: string; suppressed: string | null }[],
): Promise<void> {
  await tx`update alerts set group_id = j.group_id, suppressed = j.suppressed
    from jsonb_to_recordset(${JSON.stringify(joined)}::text::jsonb)
      as j (alert_id uuid, group_id uuid, suppressed text)
    where alerts.alert_id = j.alert_id`
}

function largeMachines(tx: Transaction, names: readonly string[], rule: GroupRule) {
  return tx<{ machine: string }[]>`
    select factory_section || E'\\n' || machine_id as machine from sensors
    where machine_id in (select jsonb_array_elements_text(${JSON.stringify(names)}::text::jsonb))
    group by factory_section, machine_id having count(distinct sensor_id) >= ${rule.sensors}`
}

/** It stands at a machine that has sensors enough. */
export function mayGroup({ location, sensor_type }: Placed, rule: GroupRule): boolean {
  if (location.machine_id === '' || sensor_type === 'machine') return false
  return location.factory_section !== DEVICE_SECTION || rule.sensors <= DEVICE_SENSORS
}

/** Active alarms of these machines within a window of any of the new ones, oldest first. */
function membersNear(tx: Transaction, ours: readonly RaisedAlarm[], names: string[], rule: GroupRule) {
  const times = ours.map((a) => a.timestamp).sort((a, b) => parseMicros(a) - parseMicros(b))
  // offset 0: machine by machine, as young tables have no statistics that would tell the planner how few each has
  return tx<Member[]>`
    select near.* from jsonb_array_elements_text(${JSON.stringify(names)}::text::jsonb) as of (machine_id),
      lateral (select alert_id, sensor_id, severity, suppressed, group_id,
          location->>'factory_section' || E'\\n' || machine_id as machine, (extract(epoch from "timestamp") * 1e6)::float8 as at
        from alerts
        where active and sensor_type <> 'machine' and location->>'machine_id' = machine_id
          and "timestamp" between ${times[0] ?? ''}::timestamptz - make_interval(secs => ${rule.window})
            and ${times.at(-1) ?? ''}::timestamptz + make_interval(secs => ${rule.window})
        offset 0) near
    order by at`
}

/** Groups of these members that are open, and stay so while their machines are held: id → the worst it called for. */
async function openGroups(tx: Transaction, members: readonly Member[]): Promise<Map<string, string>> {
  const ids = [...new Set(members.flatMap((m) => m.group_id ?? []))]
  if (ids.length === 0) return new Map()
  const rows = await tx<{ alert_id: string; severity: string }[]>`
    select alert_id, severity from alerts
    where alert_id in (select value::uuid from jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb)) and active`
  const called = members.filter((m) => m.severity === 'critical' && m.suppressed === null)
  return new Map(
    rows.map(({ alert_id, severity }) => [
      alert_id,
      called.some((m) => m.group_id === alert_id) ? 'critical' : severity,
    ]),
  )
}

async function raiseGroup(
  tx: Transaction,
  alarm: RaisedAlarm,
  near: readonly Member[],
  sensors: readonly string[],
  rule: GroupRule,
  alertTopic: string,
): Promise<{ id: string; severity: string }> {
  const machine = alarm.location.machine_id
  const source = { topic: alarm.topic, partition: alarm.partition, offset: alarm.offset }
  const id = alarmId(GROUP_RULE, machine, source)
  const severity = [alarm.severity, ...near.map((m) => m.severity)].reduce((a, b) =>
    RANK.indexOf(a) >= RANK.indexOf(b) ? a : b,
  )
  const description = `${machine}: ${sensors.length} of its sensors raised alarms within ${rule.window} s: ${sensors.join(', ')}`
  const why = {
    part: 'group',
    rule: { id: GROUP_RULE, version: alarm.rule_version },
    explanation: description,
    sensors,
    members: near.map((m) => m.alert_id),
    source,
  }
  await tx`
    insert into alerts (alert_id, "timestamp", sensor_id, sensor_type, anomaly_type, severity, sensor_unit,
      sensor_alert_level, location, detected_by, description, rule_id, rule_version, why, topic, partition, "offset")
    values (${id}, ${alarm.timestamp}, ${machine}, 'machine', 'machine_alarm', ${severity}, '', 'normal',
      ${JSON.stringify(alarm.location)}::text::jsonb, ${alarm.detected_by}, ${description}, ${GROUP_RULE},
      ${alarm.rule_version}, ${JSON.stringify(why)}::text::jsonb, ${source.topic}, ${source.partition}, ${source.offset})
    on conflict (alert_id) do nothing`
  const members = await tx<{ alert_id: string; waited: boolean }[]>`
    update alerts set group_id = ${id}, calls_at = null,
      suppressed = case when suppressed = 'waiting' then 'group' else suppressed end
    where alert_id in (select value::uuid from jsonb_array_elements_text(${JSON.stringify(near.map((m) => m.alert_id))}::text::jsonb))
      and group_id is null and active
    returning alert_id, suppressed is not distinct from 'group' as waited`
  await tell(tx, [id], {
    transition: 'raised',
    at: alarm.timestamp,
    actor: alarm.detected_by,
    reason: description,
    alertTopic,
  })
  await tell(
    tx,
    members.filter((m) => m.waited).map((m) => m.alert_id),
    { transition: 'grouped', actor: alarm.detected_by, reason: description, alertTopic },
  )
  return { id, severity }
}

/** Groups whose last member has ended end, too; their machines are held. */
export async function endGroups(tx: Transaction, ids: readonly string[], alertTopic: string): Promise<void> {
  for (const id of ids) {
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
