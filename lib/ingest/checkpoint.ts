import type { OpenAlarm } from '../alarm/alarm.ts'
import { limits, limitState } from '../detect/limits.ts'
import type { Reading } from '../reading.ts'
import type { Mark, Range } from './marks.ts'
import { createState, type PartitionState } from './partition.ts'
import { createSensor, createSlot, type SensorState, type Slot } from './sensor.ts'

/**
 * The state of a partition as bytes: what to continue from, and where each sensor's alarms stand. Version 2 is zstd over
 *   length of the header (4 bytes, little-endian) · header (JSON) · states of the detectors, one after another
 * The header names for each sensor the rule and the length of each of its states. Version 1 was zstd over JSON, with
 * limits alone.
 */
export const CHECKPOINT_VERSION = 2

export interface Checkpoint {
  state: PartitionState
  /** the rule book that was in force; 0: none was */
  rulesVersion: number
}

interface Header {
  rules: number
  /** [rule id, detector, its version]: slots name them by place */
  detectors: [string, string, number][]
  sensors: StoredSensor[]
  marks: StoredMark[]
}

interface StoredSensor {
  reading: Reading
  /** where it differs from the reading */
  described?: Reading
  key: number
  watermark: number | null
  count: number
  level: number
  flags: number
  offset: number
  run: string | null
  /** place among `detectors`, bytes: two numbers a slot */
  slots: number[]
  alarms: OpenAlarm[]
  /** time, value */
  recent: number[]
}

interface StoredMark {
  source: string
  runId: string
  high: number
  missing: Range[]
  spilled: boolean
}

const MARK_BYTES = 4 * 32

export function encodeCheckpoint(state: PartitionState): Buffer {
  const places = new Map<string, number>()
  const detectors: Header['detectors'] = []
  const parts: Uint8Array[] = []
  const placeOf = (slot: Slot) => {
    const key = `${slot.ruleId}\n${slot.detector}\n${slot.detectorVersion}`
    let place = places.get(key)
    if (place === undefined) {
      places.set(key, (place = detectors.length))
      detectors.push([slot.ruleId, slot.detector, slot.detectorVersion])
    }
    return place
  }
  const sensors = [...state.sensors.values()].map((s) => storedSensor(s, placeOf, parts))
  const marks: StoredMark[] = []
  for (const [source, runs] of state.marks)
    for (const [runId, { recent, ...mark }] of runs) {
      marks.push({ source, runId, ...mark })
      parts.push(new Uint8Array(recent.buffer, recent.byteOffset, recent.byteLength))
    }
  const header = Buffer.from(
    JSON.stringify({ rules: state.rules.version, detectors, sensors, marks } satisfies Header),
  )
  const length = Buffer.alloc(4)
  length.writeUInt32LE(header.length)
  return Bun.zstdCompressSync(Buffer.concat([length, header, ...parts]), { level: 1 })
}

function storedSensor(s: SensorState, placeOf: (slot: Slot) => number, parts: Uint8Array[]): StoredSensor {
  const slots: number[] = []
  const alarms: OpenAlarm[] = []
  for (const slot of s.slots.values()) {
    const bytes = slot.bytes ?? (slot.state && slot.rule?.encode(slot.state))
    if (slot.open) alarms.push(slot.open)
    if (!bytes) continue
    slots.push(placeOf(slot), bytes.length)
    parts.push(bytes)
  }
  return {
    reading: s.reading,
    ...(s.described === s.reading ? {} : { described: s.described }),
    key: s.sensorKey,
    watermark: Number.isFinite(s.watermark) ? s.watermark : null,
    count: s.count,
    level: s.level,
    flags: s.flags,
    offset: s.offset,
    run: s.runId,
    slots,
    alarms,
    recent: s.recent.flatMap((r) => [r.at, r.value]),
  }
}

/** Null for bytes of a version that this program cannot read: the caller says that it learns anew. */
export function decodeCheckpoint(bytes: Uint8Array, version: number): Checkpoint | null {
  if (version === 1) return decodeFirst(bytes)
  if (version !== CHECKPOINT_VERSION) return null
  const all = Bun.zstdDecompressSync(bytes)
  const headerEnd = 4 + all.readUInt32LE(0)
  const header = JSON.parse(all.toString('utf8', 4, headerEnd)) as Header
  let at = headerEnd
  const next = (length: number) => all.subarray(at, (at += length))
  const state = createState()
  for (const stored of header.sensors) {
    const sensor = createSensor(stored.reading, stored.key)
    const { slots, alarms, recent } = stored
    sensor.described = stored.described ?? stored.reading
    sensor.watermark = stored.watermark ?? -Infinity
    sensor.count = stored.count
    sensor.level = stored.level
    sensor.flags = stored.flags
    sensor.offset = stored.offset
    sensor.runId = stored.run
    for (let i = 0; i < recent.length; i += 2)
      sensor.recent.push({ at: recent[i] ?? 0, value: recent[i + 1] ?? 0 })
    for (let i = 0; i < slots.length; i += 2) {
      const [ruleId, detector, detectorVersion] = header.detectors[slots[i] ?? 0] ?? ['', '', 0]
      const own = Uint8Array.from(next(slots[i + 1] ?? 0))
      sensor.slots.set(ruleId, createSlot(ruleId, detector, detectorVersion, own))
    }
    for (const open of alarms) openIn(sensor, open)
    state.sensors.set(stored.reading.sensorId, sensor)
  }
  for (const { source, runId, ...mark } of header.marks) {
    const recent = new Uint32Array(Uint8Array.from(next(MARK_BYTES)).buffer)
    putMark(state, source, runId, { ...mark, recent })
  }
  return { state, rulesVersion: header.rules }
}

function openIn(sensor: SensorState, open: OpenAlarm): void {
  const slot = sensor.slots.get(open.ruleId)
  if (slot) slot.open = open
}

function putMark(state: PartitionState, source: string, runId: string, mark: Mark): void {
  const runs = state.marks.get(source) ?? new Map<string, Mark>()
  runs.set(runId, mark)
  state.marks.set(source, runs)
}

interface FirstSensor extends Pick<
  SensorState,
  'reading' | 'described' | 'sensorKey' | 'count' | 'level' | 'flags'
> {
  offset: number
  watermark: number | null
  limits: [string, { active: boolean; streak: number }][]
  alarms: { alertId: string; ruleId: string; raisedAt: number; peak: number }[]
  recent: { at: number; value: number }[]
}

/** Version 1: limits go on where they stood, everything else begins to learn. */
function decodeFirst(bytes: Uint8Array): Checkpoint {
  const stored = JSON.parse(Bun.zstdDecompressSync(bytes).toString('utf8')) as {
    sensors: FirstSensor[]
    marks: (StoredMark & { recent: number[] })[]
  }
  const state = createState()
  for (const { limits: ofLimits, alarms, watermark, ...rest } of stored.sensors) {
    const sensor = Object.assign(createSensor(rest.reading, rest.sensorKey), rest, {
      watermark: watermark ?? -Infinity,
    })
    for (const [ruleId, { active, streak }] of ofLimits) {
      const encoded = limits.encode(limitState(active, streak))
      sensor.slots.set(ruleId, createSlot(ruleId, limits.name, limits.version, encoded))
    }
    for (const alarm of alarms) {
      const side = alarm.ruleId.includes('low') ? 'low' : 'high'
      const critical = /high_high|low_low/.test(alarm.ruleId)
      openIn(sensor, {
        ...alarm,
        ruleVersion: 1,
        kind: 'limit',
        anomalyType: critical ? 'critical_threshold_violation' : 'warning_threshold_violation',
        severity: critical ? 'critical' : 'medium',
        reference: alarm.peak,
        side,
      })
    }
    state.sensors.set(sensor.reading.sensorId, sensor)
  }
  for (const { source, runId, recent, ...mark } of stored.marks)
    putMark(state, source, runId, { ...mark, recent: Uint32Array.from(recent) })
  return { state, rulesVersion: 0 }
}
