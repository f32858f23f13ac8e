import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { stepLife, stepLine, type LifeState, type LineState } from '../../lib/ingest/line-fold.ts'
import type { Heartbeat, LineReading } from '../../lib/line.ts'

const reading = (over: Partial<LineReading> = {}): LineReading => ({
  factoryId: 'F1',
  sensorId: 'S1-1',
  tier: '1.1',
  sodaName: 'Coca-Cola',
  reading: 42,
  count: 1,
  total: 5,
  at: 1e15,
  ...over,
})
const beat = (s: number, status = 'active'): Heartbeat => ({
  sensorId: 'S1-1',
  tier: '1.1',
  at: 1e15 + s * 1e6,
  status,
})
const lineOf = (list: LineReading[], from: LineState | null = null) =>
  list.reduce<LineState | null>((state, r) => stepLine(state, r, 'run', false), from)
const lifeOf = (list: Heartbeat[], from: LifeState | null = null) =>
  list.reduce<LifeState | null>((state, b) => stepLife(state, b, 'run'), from)

describe('stepLine()', () => {
  test('counts, and remembers how many readings there were at each whole point', () => {
    const state = lineOf([
      reading({ reading: 0 }),
      reading({ count: 2, reading: 99.9 }),
      reading({ count: 3, reading: 100 }),
    ])
    expect(state).toMatchObject({ round: 1, count: 3, readings: 3, value: 100 })
    expect([state?.points[0], state?.points[99], state?.points[100], state?.points[42]]).toEqual([1, 1, 1, 0])
  })

  test.each([
    [1, 'the next count goes on', { count: 4 }, 1, 4],
    [2, 'a skipped count goes on', { count: 5 }, 1, 5],
    [3, 'the same count again is no new round', { count: 3 }, 1, 3],
    [4, 'a lower count is a new round', { count: 1 }, 2, 1],
    [5, 'another total is a new round', { count: 4, total: 9 }, 2, 4],
  ] as const)('%i: %s', (_, _what, next, round, count) => {
    const state = lineOf([reading({ count: 3 }), reading(next)])
    expect(state).toMatchObject({ round, count })
  })

  test('a line of one item runs again each time that it comes', () => {
    const one = reading({ count: 1, total: 1 })
    expect(lineOf([one, one, one])).toMatchObject({ round: 3, count: 1, readings: 1 })
  })

  test('a late reading that fills a skipped number is no new round', () => {
    const before = lineOf([reading({ count: 1 }), reading({ count: 3, at: 1e15 + 9e6, reading: 7 })])
    const state = stepLine(before, reading({ count: 2, at: 1e15 + 5e6, reading: 50 }), 'run', true)
    expect(state).toMatchObject({ round: 1, count: 3, readings: 3, lastAt: 1e15 + 9e6, value: 7 })
  })

  test('any cut of the log gives the same row', () => {
    const readings = fc.array(
      fc
        .record({
          count: fc.integer({ min: 1, max: 5 }),
          reading: fc.integer({ min: 0, max: 100 }),
          at: fc.integer({ min: 0, max: 1e9 }),
        })
        .map((r) => reading({ ...r, at: 1e15 + r.at })),
    )
    fc.assert(
      fc.property(readings, fc.nat(), (list, cut) => {
        const at = list.length === 0 ? 0 : cut % list.length
        // what PostgreSQL gives back is the row as JSON would have it
        const stored = JSON.parse(JSON.stringify(lineOf(list.slice(0, at)))) as LineState | null
        expect(lineOf(list.slice(at), stored)).toEqual(lineOf(list))
      }),
    )
  })
})

describe('stepLife()', () => {
  test('a pause of five seconds is life, a longer one is an outage', () => {
    expect(lifeOf([beat(0), beat(2), beat(7)])).toMatchObject({ upMicros: 7e6, outages: 0, counted: 3 })
    expect(lifeOf([beat(0), beat(2), beat(7.1)])).toMatchObject({ upMicros: 2e6, outages: 1, counted: 3 })
  })

  test('one that comes late is counted, and moves nothing', () => {
    expect(lifeOf([beat(0), beat(2), beat(1)])).toMatchObject({
      lastAt: 1e15 + 2e6,
      upMicros: 2e6,
      counted: 3,
    })
  })

  test('after `finished` the next one begins to be watched anew, the count of the run goes on', () => {
    const state = lifeOf([beat(0), beat(2), beat(3, 'finished'), beat(600), beat(601)])
    expect(state).toMatchObject({
      since: 1e15 + 600e6,
      upMicros: 1e6,
      outages: 0,
      counted: 5,
      status: 'active',
    })
  })

  test('any cut of the log gives the same row', () => {
    const beats = fc.array(
      fc
        .tuple(fc.integer({ min: 0, max: 60_000 }), fc.constantFrom('active', 'finished'))
        .map(([ms, status]) => beat(ms / 1000, status)),
    )
    fc.assert(
      fc.property(beats, fc.nat(), (list, cut) => {
        const at = list.length === 0 ? 0 : cut % list.length
        expect(lifeOf(list.slice(at), lifeOf(list.slice(0, at)))).toEqual(lifeOf(list))
      }),
    )
  })
})
