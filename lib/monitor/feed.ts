import { presentAlert } from './present.ts'
import type { Sensor, Snapshot } from './snapshot.ts'
import type { Change, Feed } from './stream.ts'

/**
 * The live data for scripts: one `snapshot` with everything, then `change` events with the parts that changed. Of
 * sensors and alarms only the changed ones come (an object by id); sparkline points stay out, /api/series has them.
 */
export function createDataFeed(current: () => Snapshot, now: () => number = Date.now): Feed {
  let id = now()
  let lastNumber = Number.NaN
  let sent = new Map<string, string>()
  const kept: Change[] = []
  const next = (): Change | null => {
    const snapshot = current()
    if (snapshot.number === lastNumber) return null
    lastNumber = snapshot.number
    const before = sent
    sent = new Map(partsOf(snapshot))
    const changed = joined([...sent].filter(([name, text]) => before.get(name) !== text))
    if (before.size === 0 || changed === '') return null
    const change: Change = {
      id: ++id,
      event: 'change',
      data: `{"at":${JSON.stringify(snapshot.at)},${changed}}`,
    }
    kept.push(change)
    if (kept.length > 60) kept.shift()
    return change
  }
  return {
    next,
    since(from) {
      if (from === id) return []
      const start = kept.findIndex((c) => c.id === from + 1)
      return start === -1 ? null : kept.slice(start)
    },
    whole() {
      next()
      const snapshot = current()
      const all = joined(partsOf(snapshot), ['sensors', 'alarms'])
      return { id, event: 'snapshot', data: `{"at":${JSON.stringify(snapshot.at)},${all}}` }
    },
  }
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

/** Every part as JSON. A sensor that did not change is the same object, and costs nothing. */
function partsOf(s: Snapshot): [string, string][] {
  const parts: [string, unknown][] = [
    ['verdict', s.verdict],
    ['consumers', s.consumers.data?.map(({ beats: _, heartbeat_age_s: __, ...c }) => c) ?? []],
    ['producers', s.producers.data?.map(({ heartbeat_age_s: _, ...p }) => p) ?? []],
    ['partitions', s.partitions.data ?? []],
    ['flow', s.flow.data && { ...s.flow.data, history: undefined }],
    ['alarm_counts', s.alerts.data?.counts ?? null],
    ...(s.alerts.data?.list ?? []).map((a): [string, unknown] => [
      `alarms/${a.alert_id}`,
      presentAlert(a, Date.parse(s.at)),
    ]),
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
    ...(s.sensors.data ?? []).map((x): [string, string] => [`sensors/${x.sensor_id}`, sensorText(x)]),
  ]
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
