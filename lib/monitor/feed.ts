import { presentAlert } from './present.ts'
import type { Snapshot } from './snapshot.ts'
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
    const parts = partsOf(snapshot)
    const before = sent
    sent = new Map()
    const changed: string[] = []
    const members: Record<string, string[]> = { sensors: [], alarms: [] }
    for (const [name, value] of parts) {
      const text = JSON.stringify(value)
      sent.set(name, text)
      if (before.get(name) === text) continue
      const [group = '', id] = splitName(name)
      if (id !== undefined) members[group]?.push(`${JSON.stringify(id)}:${text}`)
      else changed.push(`${JSON.stringify(name)}:${text}`)
    }
    for (const [group, list] of Object.entries(members)) {
      if (list.length > 0) changed.push(`"${group}":{${list.join(',')}}`)
    }
    if (before.size === 0 || changed.length === 0) return null
    const change: Change = {
      id: ++id,
      event: 'change',
      data: `{"at":${JSON.stringify(snapshot.at)},${changed.join(',')}}`,
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
      const all: Record<string, unknown> = { at: snapshot.at }
      const members: Record<string, Record<string, unknown>> = { sensors: {}, alarms: {} }
      for (const [name, value] of partsOf(snapshot)) {
        const [group = '', id] = splitName(name)
        if (id === undefined) all[name] = value
        else if (members[group]) members[group][id] = value
      }
      return { id, event: 'snapshot', data: JSON.stringify({ ...all, ...members }) }
    },
  }
}

/** `sensors/ID` → group and id; other names have no id. */
function splitName(name: string): [string, string?] {
  const slash = name.indexOf('/')
  return slash === -1 ? [name] : [name.slice(0, slash), name.slice(slash + 1)]
}

function partsOf(s: Snapshot): [string, unknown][] {
  return [
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
    ...(s.sensors.data ?? []).map(({ trend: _, interval_s: __, ...x }): [string, unknown] => [
      `sensors/${x.sensor_id}`,
      x,
    ]),
  ]
}
