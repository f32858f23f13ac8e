import { expect, test } from 'bun:test'
import type { Sensor, Snapshot } from '../../lib/monitor/snapshot.ts'
import { valueSeries } from '../../lib/monitor/values.ts'

test('a topic’s sensors together, in base units; the silent ones and other quantities aside', () => {
  const seen = new Map<string, number>()
  const write = valueSeries((name) => (labels, value) => {
    if (typeof value === 'number') seen.set(`${name} ${labels.topic} ${labels.aggregate}`, value)
  })
  const sensor = (sensor_type: string, value: number, silent = false) =>
    ({ sensor_type, value, silent, topic: 'sensor-data' }) as Sensor
  const data = [
    sensor('temperature', 20),
    sensor('temperature', 40),
    sensor('temperature', 900, true),
    sensor('humidity', 55),
    sensor('noise', 3),
  ]
  write({ sensors: { data } } as unknown as Snapshot)
  expect(Object.fromEntries(seen)).toEqual({
    'factory_temperature_celsius sensor-data min': 20,
    'factory_temperature_celsius sensor-data mean': 30,
    'factory_temperature_celsius sensor-data max': 40,
    'factory_humidity_ratio sensor-data min': 0.55,
    'factory_humidity_ratio sensor-data mean': 0.55,
    'factory_humidity_ratio sensor-data max': 0.55,
  })
})
