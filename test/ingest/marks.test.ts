import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  createMark,
  leaveOpen,
  MAX_RANGES,
  missingCount,
  place,
  spill,
  unspill,
  type Range,
} from '../../lib/ingest/marks.ts'

describe('place()', () => {
  test('tells new, filled, repeated and conflicting numbers apart', () => {
    const mark = createMark()
    expect(place(mark, 1, 11)).toEqual({ kind: 'new', skipped: null })
    expect(place(mark, 4, 44)).toEqual({ kind: 'new', skipped: { from: 2, to: 3 } })
    expect(place(mark, 4, 44)).toEqual({ kind: 'repeat', conflict: false })
    expect(place(mark, 4, 45)).toEqual({ kind: 'repeat', conflict: true })
    expect(place(mark, 3, 33)).toEqual({ kind: 'filled' })
    expect(place(mark, 3, 33)).toEqual({ kind: 'repeat', conflict: false })
    expect(place(mark, 3, 34)).toEqual({ kind: 'repeat', conflict: true })
    expect(missingCount(mark)).toBe(1)
  })

  test('compares digests as 32 bits without a sign', () => {
    const mark = createMark()
    place(mark, 1, 0xffffffff)
    expect(place(mark, 1, -1)).toEqual({ kind: 'repeat', conflict: false })
  })

  test('what is too old to be compared is a repeat, not a conflict', () => {
    const mark = createMark()
    for (let seq = 1; seq <= 40; seq++) place(mark, seq, seq)
    expect(place(mark, 8, 999)).toEqual({ kind: 'repeat', conflict: false })
    expect(place(mark, 9, 999)).toEqual({ kind: 'repeat', conflict: true })
  })
})

describe('leaveOpen()', () => {
  test('counts no gap for the number itself, and keeps it open for a corrected reading', () => {
    const mark = createMark()
    place(mark, 1, 1)
    expect(leaveOpen(mark, 2)).toBeNull()
    expect(place(mark, 3, 3)).toEqual({ kind: 'new', skipped: null })
    expect(place(mark, 2, 2)).toEqual({ kind: 'filled' })
  })

  test('names what was skipped before it', () => {
    const mark = createMark()
    expect(leaveOpen(mark, 3)).toEqual({ from: 1, to: 2 })
    expect(missingCount(mark)).toBe(3)
  })

  test('says nothing of a number that was there already', () => {
    const mark = createMark()
    place(mark, 5, 5)
    expect(leaveOpen(mark, 5)).toBeNull()
    expect(leaveOpen(mark, 2)).toBeNull()
    expect(place(mark, 5, 5)).toEqual({ kind: 'repeat', conflict: false })
  })

  test('a flood of broken messages is one open range, not one for each', () => {
    const mark = createMark()
    for (let seq = 1; seq <= 1000; seq++) leaveOpen(mark, seq)
    expect(mark.missing).toEqual([{ from: 1, to: 1000 }])
  })
})

describe('marks', () => {
  type Step = { do: 'send'; seq: number } | { do: 'break'; seq: number } | { do: 'spill' } | { do: 'unspill' }
  const seq = fc.integer({ min: 1, max: 120 })
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 12, arbitrary: fc.record({ do: fc.constant('send' as const), seq }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('break' as const), seq }) },
    { weight: 2, arbitrary: fc.constant({ do: 'spill' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'unspill' as const }) },
  )

  test('store each number once, whatever comes in whatever order, in memory or in the table', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const mark = createMark()
        let table: Range[] = []
        const bring = () => {
          unspill(mark, table)
          table = []
        }
        const stored = new Set<number>()
        for (const one of steps) {
          if (one.do === 'spill') table.push(...spill(mark))
          if (one.do === 'unspill' && mark.spilled) bring()
          if (one.do === 'break') leaveOpen(mark, one.seq)
          if (one.do !== 'send') continue
          if (mark.spilled && one.seq <= mark.high) bring()
          const { kind } = place(mark, one.seq, one.seq)
          expect(kind === 'repeat').toBe(stored.has(one.seq))
          stored.add(one.seq)
          expect(
            mark.missing.every((r, i) => r.from <= r.to && r.from > (mark.missing[i - 1]?.to ?? 0)),
          ).toBe(true)
        }
        const spilled = table.reduce((sum, r) => sum + r.to - r.from + 1, 0)
        expect(missingCount(mark) + spilled).toBe(mark.high - stored.size)
      }),
      { numRuns: 1000 },
    )
  })

  test('spill() keeps the newest ranges in memory', () => {
    const mark = createMark()
    for (let seq = 2; seq <= 2 * (MAX_RANGES + 3); seq += 2) place(mark, seq, seq)
    const gone = spill(mark)
    expect(gone).toEqual([
      { from: 1, to: 1 },
      { from: 3, to: 3 },
      { from: 5, to: 5 },
    ])
    expect(mark.missing.length).toBe(MAX_RANGES)
    expect(mark.spilled).toBe(true)
    expect(spill(mark)).toEqual([])
  })
})
