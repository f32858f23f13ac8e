import { describe, expect, test } from 'bun:test'
import { CHECKPOINT_VERSION, decodeCheckpoint, encodeCheckpoint } from '../../lib/ingest/checkpoint.ts'
import { createMark, place } from '../../lib/ingest/marks.ts'
import { createState, type PartitionState } from '../../lib/ingest/partition.ts'
import { createSensor, judgedBy } from '../../lib/ingest/sensor.ts'
import type { Reading } from '../../lib/reading.ts'
import { defaultBook, rulesOf } from '../alarm/log.ts'

const rules = rulesOf(3, defaultBook)

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
      recent: [{ at: 1, value: 0.1 }],
    })
    const judged = judgedBy(sensor, rules, 'sensor-data', () => {})
    judged.rules.bound.forEach((bound, k) =>
      bound.step(judged.slots[k]!.state!, { at: 1e15, value: 36, quality: 1 }),
    )
    sensor.slots.get('temperature.high')!.open = {
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
    state.sensors.set(reading.sensorId, sensor)
  }
  return state
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
      judgedBy(sensor, rules, 'sensor-data', (id) => expect(id).toBe('nobody learns anew'))
    for (const sensor of restored.state.sensors.values())
      for (const slot of sensor.slots.values()) expect(slot.state).not.toBeNull()
    expect(encodeCheckpoint(restored.state)).toEqual(bytes)
    expect(restored.state).toEqual(state)
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
    const slot = sensor.slots.get('temperature.high')!
    expect(slot.open).toMatchObject({ alertId: 'id', peak: 41.5, anomalyType: 'warning_threshold_violation' })
    judgedBy(sensor, rules, 'sensor-data', () => {})
    expect([...(slot.state as { numbers: Float64Array }).numbers]).toEqual([1, 1, 0])
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
