import { createWatch, observeIncident, type Incident } from '../../lib/monitor/incident/incident.ts'
import type { Section } from '../../lib/monitor/section.ts'
import type { Consumer, Partition, Snapshot } from '../../lib/monitor/snapshot.ts'

const START = Date.parse('2026-01-01T12:00:00.000Z')
export const iso = (s: number) => new Date(START + s * 1000).toISOString()
export const ok = <T>(data: T): Section<T> => ({ status: 'ok', as_of: null, error: null, data })

export function consumer(id: string, over: Partial<Consumer> = {}): Consumer {
  return {
    consumer_id: id,
    instance_id: `${id}-a`,
    status: 'active',
    assigned_partitions: [],
    last_heartbeat: iso(0),
    heartbeat_age_s: 0.4,
    connected: true,
    started_at: iso(-100),
    host: 'h',
    pid: 1,
    total_messages_processed: 0,
    processing_ms_mean: null,
    processing_ms_p99: null,
    end_to_end_ms_p50: null,
    end_to_end_ms_p99: null,
    errors: 0,
    last_error: null,
    last_error_at: null,
    paused_reason: null,
    messages_per_second: null,
    lag: null,
    beats: [],
    ...over,
  }
}

export const partition = (over: Partial<Partition> = {}) =>
  ({
    topic: 't',
    partition: 0,
    consumer_id: 'c1',
    verdict: 'OK',
    lag: 0,
    lag_seconds: 0,
    stopped: null,
    stored: 0,
    repeated: 0,
    missing: 0,
    filled: 0,
    dead_lettered: 0,
    ...over,
  }) as Partition

export function snapshot(second: number, over: Partial<Snapshot> = {}): Snapshot {
  return {
    at: iso(second),
    number: second,
    verdict: { word: 'OK', reason: '', reasons: [] },
    consumers: ok([consumer('c1'), consumer('c2')]),
    producers: ok([]),
    partitions: ok([partition()]),
    sinks: ok([]),
    flow: ok({ lag: 0, lag_seconds: 0, end_to_end_ms_p99: 50 }),
    alerts: ok({ list: [], counts: { active: 0, unacknowledged: 0, shelved: 0 } }),
    rebalances: ok([]),
    sensors: ok([]),
    events: ok([]),
    storage: ok(null),
    kafka: ok({ cluster_id: 'x', controller: 1, brokers: [], topics: [], group: null }),
    brokers: [],
    ...over,
  } as Snapshot
}

/** Plays snapshots one after another, to a monitor that has seen all well or to a new one; the last state of each incident. */
export function play(snapshots: Snapshot[], isNew = false): Incident[] {
  const watch = createWatch()
  watch.beginning.isOver = !isNew
  const seen = new Map<string, Incident>()
  let before: Snapshot | null = null
  let id = 0
  for (const s of snapshots) {
    const changed = observeIncident(watch, before, s, () => `incident-${++id}`)
    if (changed) seen.set(changed.incident_id, changed)
    before = s
  }
  return [...seen.values()]
}

export const calm = (from: number, count = 8) => Array.from({ length: count }, (_, i) => snapshot(from + i))
export const without = (second: number, over: Partial<Consumer>, rest: Partial<Snapshot> = {}) =>
  snapshot(second, { consumers: ok([consumer('c1'), consumer('c2', over)]), ...rest })
