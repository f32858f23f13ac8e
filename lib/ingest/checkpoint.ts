import type { OpenAlarm } from '../alarm/alarm.ts'
import type { LimitState } from '../detect/limits.ts'
import type { Reading } from '../reading.ts'
import type { Mark, Range } from './marks.ts'
import { createState, type PartitionState } from './partition.ts'

/** Rises with the meaning of the bytes below. Version 1: zstd over JSON. */
export const CHECKPOINT_VERSION = 1

interface StoredSensor {
  reading: Reading
  described: Reading
  sensorKey: number
  watermark: number | null
  count: number
  level: number
  flags: number
  offset: number
  limits: [string, LimitState][]
  alarms: OpenAlarm[]
  recent: { at: number; value: number }[]
}

interface StoredMark {
  source: string
  runId: string
  high: number
  missing: Range[]
  spilled: boolean
  recent: number[]
}

/** The state of a partition as bytes; `decodeCheckpoint` of them continues exactly where it stood. */
export function encodeCheckpoint(state: PartitionState): Buffer {
  const sensors: StoredSensor[] = [...state.sensors.values()].map((s) => ({
    ...s,
    watermark: Number.isFinite(s.watermark) ? s.watermark : null,
    limits: [...s.limits],
    alarms: [...s.alarms.values()],
  }))
  const marks: StoredMark[] = [...state.marks].flatMap(([source, runs]) =>
    [...runs].map(([runId, mark]) => ({ source, runId, ...mark, recent: [...mark.recent] })),
  )
  return Bun.zstdCompressSync(JSON.stringify({ sensors, marks }), { level: 1 })
}

/** Null for bytes of a version that this program cannot read: the caller says that it learns anew. */
export function decodeCheckpoint(bytes: Uint8Array, version: number): PartitionState | null {
  if (version !== CHECKPOINT_VERSION) return null
  const stored = JSON.parse(Bun.zstdDecompressSync(bytes).toString('utf8')) as {
    sensors: StoredSensor[]
    marks: StoredMark[]
  }
  const state = createState()
  for (const s of stored.sensors) {
    state.sensors.set(s.reading.sensorId, {
      ...s,
      watermark: s.watermark ?? -Infinity,
      limits: new Map(s.limits),
      alarms: new Map(s.alarms.map((a) => [a.ruleId, a])),
    })
  }
  for (const { source, runId, recent, ...mark } of stored.marks) {
    const runs = state.marks.get(source) ?? new Map<string, Mark>()
    runs.set(runId, { ...mark, recent: Uint32Array.from(recent) })
    state.marks.set(source, runs)
  }
  return state
}
