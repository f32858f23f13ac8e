import { expect, test } from 'bun:test'
import type { SensorRow } from '../../lib/monitor/questions/sensors.ts'
import { createSensorTracker } from '../../lib/monitor/sensors.ts'

const START = Date.UTC(2026, 0, 1)
const at = (second: number) => START + second * 1000
const row = (id: string, second: number): SensorRow => ({
  sensor_id: id,
  sensor_type: 'temperature',
  unit: '°C',
  factory_section: 'production',
  machine_id: 'machine-001',
  zone: 'zone-a',
  claimed_warning: null,
  claimed_critical: null,
  measured_at: new Date(at(second)).toISOString(),
  value: second,
  level: 0,
  quality: 1,
  flags: 0,
  topic: 'sensor-data',
  partition: 0,
  offset: second,
  readings: second,
  updated_at: new Date(at(second)).toISOString(),
})

/** Two sensors that speak every second, looked at together for ten seconds. */
function spoken() {
  const tracker = createSensorTracker(() => null)
  for (let s = 1; s <= 10; s++) tracker.observe([row('a', s), row('b', s)], at(s), true)
  const silent = (second: number) =>
    tracker
      .view(at(second), new Map())
      .filter((s) => s.silent)
      .map((s) => s.sensor_id)
  return { tracker, silent }
}

test('who says nothing for three of its own intervals, and three seconds at least, is silent', () => {
  const { tracker, silent } = spoken()
  for (let s = 11; s <= 13; s++) tracker.observe([row('a', s)], at(s), true)
  expect(silent(13)).toEqual([])
  tracker.observe([row('a', 14)], at(14), true)
  expect(silent(14)).toEqual(['b'])
  tracker.observe([row('a', 15), row('b', 15)], at(15), true)
  expect(silent(15)).toEqual([])
})

test('nobody is silent for want of a look: a part of very many each time, or none while the tables are away', () => {
  const { tracker, silent } = spoken()
  tracker.observe([row('a', 20)], at(20), false) // b spoke as well, and is looked at next
  expect(silent(21)).toEqual([])
  tracker.observe([row('b', 20)], at(20), true)
  expect(silent(21)).toEqual([])
  expect(silent(60)).toEqual([])
})
