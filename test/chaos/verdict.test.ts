import { describe, expect, test } from 'bun:test'
import { rowsOf, spread } from '../../chaos/paper/table.ts'
import { faultBars, timeline } from '../../chaos/paper/timeline.ts'
import type { Sample } from '../../chaos/watch/sample.ts'
import { longestStall, sumUp, verdictLine, type Facts } from '../../chaos/watch/verdict.ts'
import { happening, sample } from './watched.ts'

const samples = Array.from({ length: 121 }, (_, i) => sample(i * 250))
const happenings = [
  happening(0, 'begin'),
  happening(1000, 'calm'),
  happening(5000, 'strike', 'kill -9 of kafka2'),
  happening(9000, 'effect', 'isr-without kafka2'),
  happening(20_000, 'heal'),
  happening(23_000, 'healed'),
  happening(25_000, 'recovered'),
]
const facts: Facts = {
  fault: 'broker-failure',
  variant: '',
  target: 'local',
  commit: 'abc',
  seed: 1,
  rate: 100,
  bound: 30,
  recovery: 2,
  faults: [],
  limits: [],
  verify: { accepted: 3000, stored: 3000, lost: 0, duplicated: 0, phantom: 0 },
}

describe('a verdict', () => {
  test('passes, with the figures of the run', () => {
    const record = sumUp('runs/one', facts, samples, happenings)
    expect(record).toMatchObject({
      id: 'one',
      passed: true,
      strikes: 1,
      seconds: 29,
      accepted: 2900,
      stored: 8700,
      healing: 3,
    })
    expect(record.effects).toEqual([{ what: 'isr-without kafka2', after: 4 }])
    expect(verdictLine(record)).toStartWith('PASS broker-failure: 2900 accepted')
  })

  const failing: [string, Partial<Facts>][] = [
    ['an effect was not seen', { faults: ['not seen within 10 s: refused kafka2'] }],
    ['it was not green within the bound', { recovery: null }],
    ['a reading is lost', { verify: { accepted: 1, stored: 0, lost: 1, duplicated: 0, phantom: 0 } }],
    ['a reading is doubled', { verify: { accepted: 1, stored: 1, lost: 0, duplicated: 1, phantom: 0 } }],
    ['a reading was made up', { verify: { accepted: 1, stored: 1, lost: 0, duplicated: 0, phantom: 1 } }],
    ['the ledger could not be read', { verify: null }],
    ['a figure is over its limit', { limits: [{ figure: 'memory', most: 79 }] }],
    ['a figure that nobody knows has a limit', { limits: [{ figure: 'happiness', most: 79 }] }],
  ]
  test.each(failing)('fails when %s', (_, change) => {
    const record = sumUp('runs/one', { ...facts, ...change }, samples, happenings)
    expect(record.passed).toBe(false)
    expect(verdictLine(record)).toStartWith('FAIL broker-failure')
  })

  test('counts a stall until the judge is asked: where only the load flows, nothing is stored after it', () => {
    const last = samples.at(-1)
    const idle = Array.from(
      { length: 80 },
      (_, i) => ({ ...structuredClone(last), t: 30_250 + i * 250 }) as Sample,
    )
    const judged = [...happenings, happening(30_000, 'judge')]
    expect(sumUp('runs/one', facts, [...samples, ...idle], judged)).toMatchObject({
      ackStall: 0.3,
      storeStall: 0.3,
    })
    expect(sumUp('runs/one', facts, [...samples, ...idle], happenings).storeStall).toBeGreaterThan(19)
  })
})

test('the longest stall is the longest time without growth, also at the end', () => {
  const counts = [0, 1, 2, 2, 2, 3, 3, 3, 3]
  const at = counts.map((_, i) => sample(i * 1000))
  expect(longestStall(at, (one) => counts[one.t / 1000] ?? 0)).toBe(3)
  expect(longestStall([], () => 0)).toBe(0)
})

test('spread names values that were measured', () => {
  expect(spread([5, 1, 3])).toEqual({ p50: 3, p99: 5, max: 5 })
  expect(spread([]).max).toBeNaN()
})

test('a row sums up the runs of a fault', () => {
  const passed = sumUp('runs/one', facts, samples, happenings)
  const failed = { ...passed, passed: false, recovery: null, ackStall: 9 }
  const [row] = rowsOf([passed, failed])
  expect(row).toMatchObject({ fault: 'broker-failure', runs: 2, passed: 1, readings: 5800, lost: 0 })
  expect(row?.ackStall.max).toBe(9)
  expect(row?.recovery).toEqual({ p50: 2, p99: 2, max: 2 })
})

test('the picture has a bar for each strike, a line for each count and a band for each partition', () => {
  const two = [...happenings, happening(6000, 'strike', 'a <b> & c', 'other')]
  expect(faultBars(two, 30_000)).toEqual([
    { from: 5000, to: 23_000, what: 'kill -9 of kafka2' },
    { from: 6000, to: 30_000, what: 'a <b> & c' },
  ])
  const svg = timeline('broker-failure', samples, two)
  expect(svg.match(/class="fault"/g)).toHaveLength(2)
  expect(svg.match(/<polyline/g)).toHaveLength(4)
  expect(svg).toContain('a &lt;b&gt; &amp; c')
  for (const owner of ['consumer-1', 'consumer-2', 'consumer-3']) expect(svg).toContain(owner)
  expect(svg).not.toContain('NaN')
})
