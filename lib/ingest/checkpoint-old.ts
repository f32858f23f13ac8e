import type { OpenAlarm } from '../alarm/alarm.ts'
import { limits, limitState } from '../detect/limits.ts'
import { recent, remember } from '../detect/recent.ts'
import type { Reading } from '../reading.ts'
import type { Checkpoint } from './checkpoint.ts'
import { putMark } from './mark-book.ts'
import type { Range } from './marks.ts'
import { createState } from './partition.ts'
import { createSensor, describedBy, type Rest, type SensorState } from './sensor.ts'

/**
 * Checkpoints of earlier versions of this program: what they have of a sensor's detectors is at rest until it speaks again.
 * Version 2 was zstd over: length of the header (4 bytes, little-endian) · header (JSON) · states of the detectors, one
 * after another. Version 1 was zstd over JSON, with limits alone.
 */
export function decodeSecond(bytes: Uint8Array): Checkpoint {
  const all = Bun.zstdDecompressSync(bytes)
  const headerEnd = 4 + all.readUInt32LE(0)
  const header = JSON.parse(all.toString('utf8', 4, headerEnd)) as SecondHeader
  let at = headerEnd
  const next = (length: number) => Uint8Array.from(all.subarray(at, (at += length)))
  const state = createState()
  for (const stored of header.sensors) {
    const sensor = createSensor(stored.reading, stored.key)
    const { slots, alarms } = stored
    if (stored.described) sensor.described = describedBy(stored.described)
    sensor.watermark = stored.watermark ?? -Infinity
    sensor.count = stored.count
    sensor.level = stored.level
    sensor.flags = stored.flags
    sensor.offset = stored.offset
    sensor.runId = stored.run
    const rests: Rest[] = [lastValues(stored.recent)]
    for (let i = 0; i < slots.length; i += 2) {
      const [ruleId, detector, version] = header.detectors[slots[i] ?? 0] ?? ['', '', 0]
      rests.push({ slot: { ruleId, detector, version, size: 0 }, bytes: next(slots[i + 1] ?? 0) })
    }
    sensor.resting = rests
    if (alarms.length > 0) sensor.open = alarms
    state.sensors.set(stored.reading.sensorId, sensor)
  }
  for (const { source, runId, ...mark } of header.marks)
    putMark(state.marks, source, runId, { ...mark, recent: new Uint32Array(next(MARK_BYTES).buffer) })
  return { state, rulesVersion: header.rules }
}

const MARK_BYTES = 4 * 32

interface SecondHeader {
  rules: number
  /** [rule id, detector, its version]: slots name them by place */
  detectors: [string, string, number][]
  sensors: {
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
  }[]
  marks: StoredMark[]
}

interface StoredMark {
  source: string
  runId: string
  high: number
  missing: Range[]
  spilled: boolean
}

/** time, value: two numbers each, oldest first */
function lastValues(stored: readonly number[]): Rest {
  const last = recent.layout.at(new ArrayBuffer(recent.layout.size), 0)
  for (let i = 0; i < stored.length; i += 2) remember(last, stored[i] ?? 0, stored[i + 1] ?? 0)
  return { slot: { ...recent.slot, size: 0 }, bytes: last.bytes }
}

interface FirstSensor extends Pick<SensorState, 'sensorKey' | 'count' | 'level' | 'flags'> {
  reading: Reading
  described: Reading
  offset: number
  watermark: number | null
  limits: [string, { active: boolean; streak: number }][]
  alarms: { alertId: string; ruleId: string; raisedAt: number; peak: number }[]
  recent: { at: number; value: number }[]
}

/** Limits go on where they stood, everything else begins to learn. */
export function decodeFirst(bytes: Uint8Array): Checkpoint {
  const stored = JSON.parse(Bun.zstdDecompressSync(bytes).toString('utf8')) as {
    sensors: FirstSensor[]
    marks: (StoredMark & { recent: number[] })[]
  }
  const state = createState()
  for (const { limits: ofLimits, alarms, watermark, recent: last, reading, ...rest } of stored.sensors) {
    const { count, level, flags, offset } = rest
    const sensor = createSensor(reading, rest.sensorKey)
    Object.assign(sensor, { count, level, flags, offset, described: describedBy(rest.described) })
    sensor.watermark = watermark ?? -Infinity
    sensor.resting = [
      lastValues(last.flatMap((r) => [r.at, r.value])),
      ...ofLimits.map(([ruleId, { active, streak }]) => ({
        slot: { ruleId, detector: limits.name, version: limits.version, size: 0 },
        bytes: limits.encode(limitState(active, streak)),
      })),
    ]
    if (alarms.length > 0) sensor.open = alarms.map(opened)
    state.sensors.set(sensor.reading.sensorId, sensor)
  }
  for (const { source, runId, recent: contents, ...mark } of stored.marks)
    putMark(state.marks, source, runId, { ...mark, recent: Uint32Array.from(contents) })
  return { state, rulesVersion: 0 }
}

function opened(alarm: FirstSensor['alarms'][number]): OpenAlarm {
  const side = alarm.ruleId.includes('low') ? 'low' : 'high'
  const critical = /high_high|low_low/.test(alarm.ruleId)
  return {
    ...alarm,
    ruleVersion: 1,
    kind: 'limit',
    anomalyType: critical ? 'critical_threshold_violation' : 'warning_threshold_violation',
    severity: critical ? 'critical' : 'medium',
    reference: alarm.peak,
    side,
  }
}
