import { expect, test } from 'bun:test'
import { parseMicros } from '../../lib/time.ts'
import { plant, virtualClock } from './simulated.ts'

const MONDAY = parseMicros('2025-09-15T00:00:00Z')
const SECOND = 1_000_000
const MINUTE = 60 * SECOND
const JITTER = 20_000

test('sensors of one interval are read in one scan, and what is due together goes together', async () => {
  const clock = virtualClock(MONDAY)
  const abort = new AbortController()
  const seconds = new Set<number>()
  let batches = 0
  let readings = 0
  const scans = new Map<string, Set<string>>()
  for await (const batch of plant({ clock, faults: 'none' }).readings(abort.signal)) {
    for (const { reading } of batch) {
      expect(reading.measuredAt % SECOND).toBeLessThan(JITTER)
      const second = Math.floor(reading.measuredAt / SECOND)
      seconds.add(second)
      const scan = `${reading.sensorType} ${second}`
      scans.set(scan, (scans.get(scan) ?? new Set()).add(reading.sensorId))
    }
    batches++
    readings += batch.length
    if (clock.now() > MONDAY + MINUTE) abort.abort()
  }
  expect(batches).toBeLessThanOrEqual(seconds.size)
  expect(readings).toBeGreaterThan(8 * batches)
  for (const [scan, sensors] of scans) expect(sensors.size, scan).toBe(5)
})

test('a load comes evenly, each sensor at a moment of its own', () => {
  const tenths = new Array<number>(10).fill(0)
  for (const { reading } of plant({ rate: 400 }).between(MONDAY, MONDAY + 20 * SECOND)) {
    expect(reading.measuredAt).toBeInteger()
    tenths[Math.floor((reading.measuredAt % SECOND) / 100_000)]!++
  }
  for (const count of tenths) expect(count).toBeWithin(500, 1100) // 800 each, where all are alike
})

test('when the clock goes back, measuring goes on by the new time', async () => {
  const clock = virtualClock(MONDAY)
  const abort = new AbortController()
  let wentBack = false
  let after = 0
  for await (const batch of plant({ clock }).readings(abort.signal)) {
    for (const { reading } of batch) expect(reading.measuredAt).toBeLessThanOrEqual(clock.now())
    if (wentBack) after += batch.length
    if (clock.now() > MONDAY + MINUTE) {
      expect(wentBack).toBe(false)
      wentBack = true
      clock.advance(-60 * MINUTE)
    }
    if (after > 100) abort.abort()
  }
  expect(clock.now()).toBeLessThan(MONDAY - 57 * MINUTE) // it may sleep a minute first
})
