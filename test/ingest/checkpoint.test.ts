import { describe, expect, test } from 'bun:test'
import { CHECKPOINT_VERSION, decodeCheckpoint, encodeCheckpoint } from '../../lib/ingest/checkpoint.ts'
import { createMark, place } from '../../lib/ingest/marks.ts'
import { createState, type PartitionState } from '../../lib/ingest/partition.ts'
import type { Reading } from '../../lib/reading.ts'

function stateOf(sensors: number): PartitionState {
  const state = createState()
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
    state.sensors.set(reading.sensorId, {
      reading,
      described: reading,
      sensorKey: i,
      watermark: i === 0 ? -Infinity : reading.measuredAt,
      count: 4,
      level: 1,
      flags: 2,
      offset: 77,
      limits: new Map([['temperature.high', { active: true, streak: 1 }]]),
      alarms: new Map([
        ['temperature.high', { alertId: 'id', ruleId: 'temperature.high', raisedAt: 1, peak: 41.5 }],
      ]),
      recent: [{ at: 1, value: 0.1 }],
    })
  }
  return state
}

describe('decodeCheckpoint()', () => {
  test('continues exactly where the state stood', () => {
    const state = stateOf(3)
    expect(decodeCheckpoint(encodeCheckpoint(state), CHECKPOINT_VERSION)).toEqual(state)
    expect(decodeCheckpoint(encodeCheckpoint(createState()), CHECKPOINT_VERSION)).toEqual(createState())
  })

  test('shares nothing with the state that it was made of', () => {
    const state = stateOf(1)
    const bytes = encodeCheckpoint(state)
    place(state.marks.get('sensor-0')!.get('run-1')!, 10, 1)
    expect(decodeCheckpoint(bytes, CHECKPOINT_VERSION)?.marks.get('sensor-0')?.get('run-1')?.high).toBe(9)
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
    expect([...(restored?.marks.get('a')?.keys() ?? [])]).toEqual(['9', '1', 'run'])
  })

  test('is null for another version', () => {
    expect(decodeCheckpoint(encodeCheckpoint(createState()), CHECKPOINT_VERSION + 1)).toBeNull()
  })

  test('of a thousand sensors takes less than 100 bytes each', () => {
    expect(encodeCheckpoint(stateOf(1000)).length).toBeLessThan(100_000)
  })
})
