import { describe, expect, test } from 'bun:test'
import { alarmId } from '../../lib/alarm/id.ts'

const source = { topic: 'sensor-data', partition: 1, offset: 42 }

describe('alarmId()', () => {
  test('is a uuid of version 5, the same on every machine for ever', () => {
    expect(alarmId('temperature.high', 'temp-1', source)).toBe(PINNED)
    expect(PINNED).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  test('differs with the rule, the sensor and each part of where the episode began', () => {
    const ids = [
      alarmId('temperature.high', 'temp-1', source),
      alarmId('temperature.high_high', 'temp-1', source),
      alarmId('temperature.high', 'temp-2', source),
      alarmId('temperature.high', 'temp-1', { ...source, topic: 'sensor.raw' }),
      alarmId('temperature.high', 'temp-1', { ...source, partition: 2 }),
      alarmId('temperature.high', 'temp-1', { ...source, offset: 43 }),
      // parts do not run into each other
      alarmId('temperature.high', 'temp-1', { ...source, partition: 14, offset: 2 }),
    ]
    expect(new Set(ids).size).toBe(ids.length)
  })
})

/** Ids in the journal depend on it: it may never change. */
const PINNED = '075a2e37-841f-5fb8-aedb-6b61794168d8'
