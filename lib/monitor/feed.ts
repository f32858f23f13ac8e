import type { Snapshot } from './snapshot.ts'
import type { Change, Feed } from './stream.ts'

/**
 * The live data for scripts: one `snapshot` with everything, then `change` events with the parts that changed. Of the
 * sensors only the changed ones come (an object by sensor id); sparkline points stay out, /api/sensors has them.
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
    const sensors: string[] = []
    for (const [name, value] of parts) {
      const text = JSON.stringify(value)
      sent.set(name, text)
      if (before.get(name) === text) continue
      if (name.startsWith('sensors/')) sensors.push(`${JSON.stringify(name.slice(8))}:${text}`)
      else changed.push(`${JSON.stringify(name)}:${text}`)
    }
    if (sensors.length > 0) changed.push(`"sensors":{${sensors.join(',')}}`)
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
      const sensors: Record<string, unknown> = {}
      for (const [name, value] of partsOf(snapshot)) {
        if (name.startsWith('sensors/')) sensors[name.slice(8)] = value
        else all[name] = value
      }
      return { id, event: 'snapshot', data: JSON.stringify({ ...all, sensors }) }
    },
  }
}

function partsOf(s: Snapshot): [string, unknown][] {
  return [
    ['verdict', s.verdict],
    ['consumers', s.consumers.data?.map(({ beats: _, heartbeat_age_s: __, ...c }) => c) ?? []],
    ['producers', s.producers.data?.map(({ heartbeat_age_s: _, ...p }) => p) ?? []],
    ['partitions', s.partitions.data ?? []],
    ['flow', s.flow.data && { ...s.flow.data, history: undefined }],
    ['alerts', s.alerts.data ?? null],
    ['rebalancing_events', s.rebalances.data?.slice(0, 20) ?? []],
    ['system_events', s.events.data?.slice(0, 20) ?? []],
    ['storage', s.storage.data && { ...s.storage.data, outbox_oldest_age_s: undefined }],
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
