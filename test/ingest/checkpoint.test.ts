import { describe, expect, test } from 'bun:test'
import { CHECKPOINT_VERSION, decodeCheckpoint, encodeCheckpoint } from '../../lib/ingest/checkpoint.ts'
import { createMark, place } from '../../lib/ingest/marks.ts'
import { createState, type PartitionState } from '../../lib/ingest/partition.ts'
import { createSensor, judgedBy, type SensorState } from '../../lib/ingest/sensor.ts'
import { adaptive, type AdaptiveState } from '../../lib/detect/adaptive.ts'
import { recentOf, remember } from '../../lib/detect/recent.ts'
import type { OpenAlarm } from '../../lib/alarm/alarm.ts'
import type { Reading } from '../../lib/reading.ts'
import { defaultBook, rulesOf } from '../alarm/log.ts'

const rules = rulesOf(3, defaultBook)
const OPEN: OpenAlarm = {
  alertId: 'id',
  ruleId: 'temperature.high',
  ruleVersion: 3,
  kind: 'limit',
  anomalyType: 'warning_threshold_violation',
  severity: 'medium',
  raisedAt: 1,
  peak: 41.5,
  reference: 41.5,
  side: 'high',
}

/** What a sensor's detectors know, by rule; and its last values. */
function knownOf(sensor: SensorState) {
  const { bound, desk } = judgedBy(sensor, rules, 'sensor-data', (id) =>
    expect(id).toBe('nobody learns anew'),
  )
  desk.lay(sensor.packed!)
  const states = bound.map(({ rule, part }, i) => [
    rule.id,
    Buffer.from(part.encode(desk.states[i]!)).toString('hex'),
  ])
  return { states, recent: recentOf(desk.recent) }
}

function stateOf(sensors: number): PartitionState {
  const state = createState()
  state.rules = rules
  for (let i = 0; i < sensors; i++) {
    const reading: Reading = {
      sensorId: `sensor-${i}`,
      sensorType: 'temperature',
      unit: '°C',
      location: { factorySection: 'production', machineId: 'machine-001', zone: 'zone-a' },
      measuredAt: 1_758_058_901_011_144 + i,
      value: 20 + i / 3,
      quality: 1,
      claimedLevel: null,
      warningThreshold: 35,
      criticalThreshold: null,
      metadata: null,
    }
    const mark = createMark()
    for (const seq of [1, 2, 5, 9]) place(mark, seq, 0xffffffff - seq)
    state.marks.set(
      reading.sensorId,
      new Map([
        ['run-1', mark],
        ['run-2', createMark()],
      ]),
    )
    const sensor = Object.assign(createSensor(reading, i), {
      watermark: i === 0 ? -Infinity : reading.measuredAt,
      count: 4,
      level: 1,
      flags: 2,
      offset: 77,
      runId: 'run-1',
    })
    const { bound, desk } = judgedBy(sensor, rules, 'sensor-data', () => {})
    desk.lay(sensor.packed!)
    for (let n = 0; n < 20; n++)
      bound.forEach((rule, k) =>
        rule.step(desk.states[k]!, { at: 1e15 + n * 3e6, value: 36 + (n % 5) / 9, quality: 1 }),
      )
    remember(desk.recent, 1, 0.1)
    sensor.packed = desk.pack(sensor.packed)
    sensor.open = [OPEN]
    state.sensors.set(reading.sensorId, sensor)
  }
  return state
}

/** The adaptive detector's state as its version 1 encoded it. */
function withEmptyBins({ bytes, taught, masks, bins }: AdaptiveState): Uint8Array {
  const all = new Float32Array(32 * masks.length)
  let place = 0
  for (const [k, mask] of masks.entries())
    for (let bin = 0; bin < 32; bin++) if (mask & (1 << bin)) all[32 * k + bin] = bins[place++]!
  const beginning = bytes.slice(0, masks.byteOffset - bytes.byteOffset)
  return Buffer.concat([beginning, new Uint8Array(all.buffer), taught])
}

describe('decodeCheckpoint()', () => {
  test('continues exactly where the state stood, whether or not its detectors were woken in between', () => {
    const state = stateOf(3)
    const bytes = encodeCheckpoint(state)
    const restored = decodeCheckpoint(bytes, CHECKPOINT_VERSION)!
    expect(restored.rulesVersion).toBe(3)
    restored.state.rules = rules
    expect(encodeCheckpoint(restored.state)).toEqual(bytes)
    for (const sensor of restored.state.sensors.values())
      expect(knownOf(sensor)).toEqual(knownOf(state.sensors.get(sensor.reading.sensorId)!))
    expect(encodeCheckpoint(restored.state)).toEqual(bytes)
    expect(restored.state.marks).toEqual(state.marks)
    for (const [id, sensor] of restored.state.sensors)
      expect({ ...sensor, packed: null }).toEqual({ ...state.sensors.get(id)!, packed: null })
  })

  test('of version 2: all goes on where it stood, also what the adaptive detector had kept with its empty bins', () => {
    const state = stateOf(2)
    const header = {
      rules: 3,
      detectors: [] as [string, string, number][],
      sensors: [] as object[],
      marks: [{ source: 'sensor-0', runId: 'run-1', high: 9, missing: [{ from: 3, to: 4 }], spilled: false }],
    }
    const parts: Uint8Array[] = []
    for (const { reading, packed, ...sensor } of state.sensors.values()) {
      const { bound, desk } = judgedBy(state.sensors.get(reading.sensorId)!, rules, 'sensor-data', () => {})
      desk.lay(packed!)
      const slots = bound.flatMap(({ part }, i) => {
        const isAdaptive = part.detector === adaptive.name
        const bytes = isAdaptive
          ? withEmptyBins(desk.states[i] as AdaptiveState)
          : part.encode(desk.states[i]!)
        parts.push(bytes)
        return [
          header.detectors.push([part.ruleId, part.detector, isAdaptive ? 1 : part.version]) - 1,
          bytes.length,
        ]
      })
      const recent = recentOf(desk.recent).flatMap((r) => [r.at, r.value])
      const { sensorKey: key, count, level, flags, offset, runId: run, open: alarms } = sensor
      const watermark = Number.isFinite(sensor.watermark) ? sensor.watermark : null
      header.sensors.push({
        reading,
        key,
        watermark,
        count,
        level,
        flags,
        offset,
        run,
        slots,
        alarms,
        recent,
      })
    }
    parts.push(new Uint8Array(new Uint32Array(32).fill(7).buffer))
    const text = Buffer.from(JSON.stringify(header))
    const length = Buffer.alloc(4)
    length.writeUInt32LE(text.length)
    const second = Bun.zstdCompressSync(Buffer.concat([length, text, ...parts]))

    const restored = decodeCheckpoint(second, 2)!
    expect(restored.rulesVersion).toBe(3)
    const again = decodeCheckpoint(encodeCheckpoint(restored.state), CHECKPOINT_VERSION)!
    for (const { state: one } of [restored, again]) {
      for (const [id, sensor] of state.sensors) {
        expect(knownOf(one.sensors.get(id)!)).toEqual(knownOf(sensor))
        expect(one.sensors.get(id)).toMatchObject({ open: [OPEN], watermark: sensor.watermark, offset: 77 })
      }
      expect(one.marks.get('sensor-0')!.get('run-1')).toMatchObject({
        high: 9,
        missing: [{ from: 3, to: 4 }],
      })
      expect(one.marks.get('sensor-0')!.get('run-1')!.recent[3]).toBe(7)
    }
  })

  test('of version 1: limits and their alarms go on, everything else begins to learn', () => {
    const { reading } = stateOf(1).sensors.get('sensor-0')!
    const first = {
      sensors: [
        {
          reading,
          described: reading,
          sensorKey: 5,
          watermark: null,
          count: 4,
          level: 1,
          flags: 0,
          offset: 77,
          limits: [['temperature.high', { active: true, streak: 1 }]],
          alarms: [{ alertId: 'id', ruleId: 'temperature.high', raisedAt: 1, peak: 41.5 }],
          recent: [{ at: 1, value: 0.1 }],
        },
      ],
      marks: [{ source: 'sensor-0', runId: 'run-1', ...createMark(), recent: Array(32).fill(7) }],
    }
    const { state, rulesVersion } = decodeCheckpoint(Bun.zstdCompressSync(JSON.stringify(first)), 1)!
    expect(rulesVersion).toBe(0)
    const sensor = state.sensors.get('sensor-0')!
    expect(sensor).toMatchObject({ sensorKey: 5, count: 4, watermark: -Infinity })
    expect(sensor.open).toMatchObject([
      { alertId: 'id', peak: 41.5, anomalyType: 'warning_threshold_violation' },
    ])
    const { bound, desk } = judgedBy(sensor, rules, 'sensor-data', () => {})
    desk.lay(sensor.packed!)
    const high = bound.findIndex(({ rule }) => rule.id === 'temperature.high')
    expect([...(desk.states[high] as { numbers: Float64Array }).numbers]).toEqual([1, 1, 0])
    expect(recentOf(desk.recent)).toEqual([{ at: 1, value: 0.1 }])
    expect(state.marks.get('sensor-0')!.get('run-1')!.recent[3]).toBe(7)
  })

  test('shares nothing with the state that it was made of', () => {
    const state = stateOf(1)
    const bytes = encodeCheckpoint(state)
    place(state.marks.get('sensor-0')!.get('run-1')!, 10, 1)
    expect(decodeCheckpoint(bytes, CHECKPOINT_VERSION)?.state.marks.get('sensor-0')?.get('run-1')?.high).toBe(
      9,
    )
  })

  test('keeps a run whose name is a number in its place: the oldest goes first', () => {
    const state = createState()
    state.marks.set(
      'a',
      new Map([
        ['9', createMark()],
        ['1', createMark()],
        ['run', createMark()],
      ]),
    )
    const restored = decodeCheckpoint(encodeCheckpoint(state), CHECKPOINT_VERSION)
    expect([...(restored?.state.marks.get('a')?.keys() ?? [])]).toEqual(['9', '1', 'run'])
  })

  test('is null for another version', () => {
    expect(decodeCheckpoint(encodeCheckpoint(createState()), CHECKPOINT_VERSION + 1)).toBeNull()
  })

  test('of a thousand sensors takes less than 500 bytes each while they know little', () => {
    expect(encodeCheckpoint(stateOf(1000)).length).toBeLessThan(500_000)
  })
})
