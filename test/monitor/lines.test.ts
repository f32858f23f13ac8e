import { describe, expect, test } from 'bun:test'
import { lineOf, viewLines } from '../../lib/monitor/lines.ts'
import type { LifeRow, LineRow } from '../../lib/monitor/questions/lines.ts'

const START = Date.UTC(2026, 0, 5, 8)
const at = (s: number) => new Date(START + s * 1000).toISOString()
const TARGETS = { cycleMs: 3500, goodFrom: 10 }
const POINTS = (list: number[]) => Array.from({ length: 101 }, (_, p) => list.filter((x) => x === p).length)

const row = (over: Partial<LineRow> = {}): LineRow => ({
  factory_id: 'F1',
  sensor_id: 'S1-1',
  soda_name: 'Coca-Cola',
  round: 1,
  tier: '1.1',
  total: 10,
  count: 5,
  readings: 5,
  first_at: at(0),
  last_at: at(20),
  value: 42,
  points: POINTS([42, 5, 80, 100, 0]),
  ...over,
})
const life = (over: Partial<LifeRow> = {}): LifeRow => ({
  sensor_id: 'S1-1',
  tier: '1.1',
  counted: 15,
  status: 'active',
  since: at(-2),
  last_at: at(22),
  up_ms: 24_000,
  outages: 0,
  ...over,
})
const line = (r: LineRow, l: LifeRow | null, now: number) => lineOf(r, l, START + now * 1000, TARGETS)

describe('lineOf()', () => {
  test.each([
    [1, 'items still come', row(), life(), 22, 'running'],
    [2, 'the last item is 14 s old', row(), life({ last_at: at(33) }), 34, 'running'],
    [3, 'the last item is 16 s old, its sensor lives', row(), life({ last_at: at(36) }), 36, 'standing'],
    [4, 'neither items nor signs of life', row(), life(), 40, 'silent'],
    [5, 'a sender without signs of life', row(), null, 40, 'standing'],
    [6, 'the target is met', row({ count: 10 }), life(), 400, 'complete'],
  ] as const)('%i: %s', (_, _why, r, l, now, state) => {
    expect(line(r, l, now).state).toBe(state)
  })

  test('pace is items a minute, the end follows from it', () => {
    const seen = line(row(), life(), 22)
    expect(seen.pace_per_minute).toBe(12) // one in five seconds
    expect(seen.target_per_minute).toBeCloseTo(17.14, 2)
    expect(seen.projected_end).toBe(at(20 + 5 * 5))
  })

  test('a line that stands ends later the longer it stands', () => {
    expect(line(row(), life({ last_at: at(60) }), 60).projected_end).toBe(at(60 + 25))
    expect(line(row(), life({ last_at: at(90) }), 90).projected_end).toBe(at(90 + 25))
  })

  test('availability × performance × quality', () => {
    const seen = line(row(), life({ up_ms: 18_000 }), 22)
    expect(seen.availability).toBe(0.75) // 18 of 24 s
    expect(seen.performance).toBe(1) // four items of 3.5 s in the 20 − 6 s that it ran
    expect(seen.quality).toBe(0.6) // two of five below 10 points
    expect(seen.oee).toBeCloseTo(0.45, 10)
  })

  test('faster than planned is said as it is, and does not make up for the rest', () => {
    const seen = line(row({ last_at: at(8) }), life({ last_at: at(8), since: at(0), up_ms: 8000 }), 8)
    expect(seen.performance).toBe(1.75)
    expect(seen.oee).toBe(0.6)
  })

  test('what is not measured is null, never 0', () => {
    expect(line(row({ readings: 1, count: 1, last_at: at(0) }), life(), 2)).toMatchObject({
      performance: null,
      pace_per_minute: null,
      projected_end: null,
      oee: null,
    })
    expect(line(row(), null, 22)).toMatchObject({ availability: null, oee: null, performance: 0.7 })
  })

  test('a number whose reading has not come is missing', () => {
    expect(line(row({ readings: 4 }), life(), 22).missing).toBe(1)
  })
})

describe('viewLines()', () => {
  const view = (lives: LifeRow[], now: number) =>
    viewLines({ status: 'ok', as_of: at(now), error: null, data: { lines: [], lives } }, TARGETS).data
      ?.sensors

  test('a sensor that said finished is not missed; one that did not is silent, and its uptime falls', () => {
    expect(view([life({ status: 'finished' })], 1000)?.[0]).toMatchObject({
      status: 'finished',
      uptime: 1,
      outages: 0,
    })
    expect(view([life()], 29)?.[0]).toMatchObject({ status: 'alive', uptime: 1 })
    expect(view([life()], 46)?.[0]).toMatchObject({ status: 'silent', uptime: 0.5, outages: 1 })
  })

  test('before the first answer there is nothing', () => {
    expect(viewLines({ status: 'ok', as_of: null, error: null, data: null }, TARGETS).data).toBeNull()
  })
})
