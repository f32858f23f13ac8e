import { expect, test } from 'bun:test'
import { createSensor } from '../../lib/ingest/sensor.ts'
import { createShowing } from '../../lib/ingest/showing.ts'
import { readingOf } from '../alarm/log.ts'

const sensors = Array.from({ length: 5000 }, (_, i) => createSensor(readingOf(i, 'temperature', 0, 20), i))

function showingAt(start: number) {
  const clock = { at: start }
  return { clock, showing: createShowing(() => clock.at) }
}

test('with many sensors they are told in parts, a quarter of a second apart', () => {
  const { clock, showing } = showingAt(10_000)
  showing.add(sensors)
  expect(showing.take(true, false)).toHaveLength(2000)
  expect(showing.isDue()).toBe(false)
  clock.at += 250
  expect(showing.isDue()).toBe(true)
  expect(showing.take(true, false)).toHaveLength(2000)
  clock.at += 250
  expect(showing.isDue()).toBe(false) // a thousand are left: they wait for a batch
  clock.at += 750
  expect(showing.take(false, false)).toHaveLength(1000)
})

test('telling takes a tenth of the time at most, and waits no longer than five seconds', () => {
  const { clock, showing } = showingAt(10_000)
  showing.add(sensors)
  showing.take(true, false)
  clock.at += 100
  showing.told()
  clock.at += 890
  expect(showing.isDue()).toBe(false)
  clock.at += 10
  expect(showing.isDue()).toBe(true)
  showing.take(true, false)
  clock.at += 3000
  showing.told()
  clock.at += 1990
  expect(showing.isDue()).toBe(false)
  clock.at += 10
  expect(showing.take(true, false)).toHaveLength(1000)
})

test('at the end nobody waits for the time', () => {
  const { showing } = showingAt(10_000)
  showing.add(sensors.slice(0, 10))
  expect(showing.take(true, true)).toHaveLength(10)
})
