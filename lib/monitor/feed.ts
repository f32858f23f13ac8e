import { stateOf } from '../alarm/lifecycle.ts'
import { keepChanges } from './kept.ts'
import { presentAlert } from './present.ts'
import type { AlertRow } from './questions/alerts.ts'
import type { Sensor, Snapshot } from './snapshot.ts'
import type { Change, Feed } from './stream.ts'

/**
 * The live data for scripts: one `snapshot` with everything, then `change` events with the parts that changed. Of
 * sensors and alarms only the changed ones come (an object by id); sparkline points stay out, /api/series has them.
 */
export function createDataFeed(current: () => Snapshot, now: () => number = Date.now): Feed {
  let id = now()
  let lastNumber = Number.NaN
  let everything: Change | null = null
  let sent = new Map<string, string>()
  let sentSensors = new Map<string, string>()
  let sensors: Snapshot['sensors']['data'] = null
  const kept = keepChanges()
  const next = (): Change | null => {
    const snapshot = current()
    if (snapshot.number === lastNumber) return null
    lastNumber = snapshot.number
    everything = null
    const before = sent
    sent = new Map(partsOf(snapshot))
    const parts = changedIn(before, sent)
    if (snapshot.sensors.data !== sensors) {
      const sensorsBefore = sentSensors
      sensors = snapshot.sensors.data
      sentSensors = new Map(sensorsOf(snapshot))
      parts.push(...changedIn(sensorsBefore, sentSensors))
    }
    const changed = joined(parts)
    if (before.size === 0 || changed === '') return null
    const change: Change = {
      id: ++id,
      event: 'change',
      data: `{"at":${JSON.stringify(snapshot.at)},${changed}}`,
    }
    kept.add(change)
    return change
  }
  return {
    next,
    since: (from) => kept.since(from, id),
    whole() {
      next()
      const snapshot = current()
      if (everything) return everything
      const all = joined([...partsOf(snapshot), ...sensorsOf(snapshot)], ['sensors', 'alarms'])
      everything = { id, event: 'snapshot', data: `{"at":${JSON.stringify(snapshot.at)},${all}}` }
      return everything
    },
  }
}

function changedIn(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): [string, string][] {
  return [...now].filter(([name, text]) => before.get(name) !== text)
}

/** Members of one object; sensors and alarms in objects of their own, `always` there even where they are empty. */
function joined(parts: readonly (readonly [string, string])[], always: readonly string[] = []): string {
  const out: string[] = []
  const groups = new Map<string, string[]>(always.map((group) => [group, []]))
  for (const [name, text] of parts) {
    const [group, id] = splitName(name)
    if (id === undefined) out.push(`${JSON.stringify(name)}:${text}`)
    else membersOf(groups, group).push(`${JSON.stringify(id)}:${text}`)
  }
  for (const [group, members] of groups) out.push(`"${group}":{${members.join(',')}}`)
  return out.join(',')
}

function membersOf(groups: Map<string, string[]>, group: string): string[] {
  const known = groups.get(group) ?? []
  groups.set(group, known)
  return known
}

/** `sensors/ID` → group and id; other names have no id. */
function splitName(name: string): [string, string?] {
  const slash = name.indexOf('/')
  return slash === -1 ? [name] : [name.slice(0, slash), name.slice(slash + 1)]
}

/** Every part but the sensors, as JSON. */
function partsOf(s: Snapshot): [string, string][] {
  const parts: [string, unknown][] = [
    ['verdict', s.verdict],
    ['consumers', s.consumers.data?.map(({ beats: _, heartbeat_age_s: __, ...c }) => c) ?? []],
    ['producers', s.producers.data?.map(({ heartbeat_age_s: _, ...p }) => p) ?? []],
    ['partitions', s.partitions.data ?? []],
    ['flow', s.flow.data && { ...s.flow.data, history: undefined }],
    ['alarm_counts', s.alerts.data?.counts ?? null],
    ['rebalancing_events', s.rebalances.data?.slice(0, 20) ?? []],
    ['system_events', s.events.data?.slice(0, 20) ?? []],
    [
      'storage',
      s.storage.data && { ...s.storage.data, outbox_oldest_age_s: undefined, rolled_up_to: undefined },
    ],
    ['kafka', s.kafka.data],
    [
      'sections',
      Object.fromEntries(
        (
          [
            'consumers',
            'producers',
            'partitions',
            'alerts',
            'rebalances',
            'sensors',
            'storage',
            'kafka',
          ] as const
        ).map((name) => [name, { status: s[name].status, error: s[name].error }]),
      ),
    ],
  ]
  return [
    ...parts.map(([name, value]): [string, string] => [name, JSON.stringify(value) ?? 'null']),
    ...alarmsOf(s),
  ]
}

/** An alarm that did not change is the same row, and its state may still end with time. */
function alarmsOf(s: Snapshot): [string, string][] {
  const now = Date.parse(s.at)
  return (s.alerts.data?.list ?? []).map((row) => {
    const state = stateOf(row, now)
    let known = alarmTexts.get(row)
    if (known?.state !== state) {
      known = { state, text: JSON.stringify(presentAlert(row, now)) }
      alarmTexts.set(row, known)
    }
    return [`alarms/${row.alert_id}`, known.text]
  })
}

const alarmTexts = new WeakMap<AlertRow, { state: string; text: string }>()

/** A sensor that did not change is the same object, and costs nothing. */
function sensorsOf(s: Snapshot): [string, string][] {
  return (s.sensors.data ?? []).map((x) => [`sensors/${x.sensor_id}`, sensorText(x)])
}

const sensorTexts = new WeakMap<Sensor, string>()
function sensorText(x: Sensor): string {
  const known = sensorTexts.get(x)
  if (known !== undefined) return known
  const { trend: _, interval_s: __, ...shown } = x
  const text = JSON.stringify(shown)
  sensorTexts.set(x, text)
  return text
}
