import { expect, test } from 'bun:test'
import { adaptive, DEFAULT_ADAPTIVE_RULE, rarityOf, thresholdAt } from '../../lib/detect/adaptive.ts'
import type { Verdict } from '../../lib/detect/detector.ts'
import { explain } from '../../lib/detect/explain.ts'
import { createRandom } from '../../lib/fleet/random.ts'

const MINUTE = 60e6
const START = 1_763_164_800_000_000

/** Five-minute readings of a quiet sensor; `change` may alter any of them. */
function watch(length: number, change: (value: number, i: number) => number = (v) => v): Verdict[] {
  const random = createRandom('adaptive')
  const state = adaptive.create()
  return Array.from({ length }, (_, i) => {
    const noise = random.next() + random.next() + random.next() - 1.5
    const value = change(50 + 3 * Math.sin((2 * Math.PI * i) / 288) + noise, i)
    return adaptive.step(state, { at: START + i * 5 * MINUTE, value, quality: 1 }, DEFAULT_ADAPTIVE_RULE)
  })
}
const onsets = (verdicts: Verdict[]) => verdicts.flatMap((v, i) => (v.score >= 0.5 ? [i] : []))

test('a value far beyond everything seen raises one alarm that says so', () => {
  const verdicts = watch(2000, (v, i) => (i === 1500 ? v + 40 : v))
  expect(onsets(verdicts.slice(1490, 1600))).toEqual([10])
  const v = verdicts[1500]!
  expect(v.part).toBe('range')
  expect(v.active).toBe(true)
  expect(v.high).toBeLessThan(60)
  expect(v.rarity).toBeLessThan(1e-3)
  expect(explain(v, 90, '°C')).toContain('beyond everything seen')
})

test('a shift within the known range is found by its lasting, once', () => {
  const verdicts = watch(3000, (v, i) => (i >= 2400 && i < 2500 ? v + 2.5 : v))
  const found = onsets(verdicts.slice(2400, 2500))
  expect(found.length).toBeGreaterThanOrEqual(1)
  expect(found.length).toBeLessThanOrEqual(2)
})

test('an alarm ends when thirty readings in a row are unremarkable', () => {
  const verdicts = watch(2000, (v, i) => (i === 1500 ? v + 40 : v))
  const after = verdicts.slice(1500).findIndex((v) => !v.active)
  expect(after).toBeGreaterThanOrEqual(30)
  expect(after).toBeLessThan(200)
})

test('learning is silent, and a quiet sensor stays nearly so', () => {
  expect(onsets(watch(120, (v, i) => v + 50 * i))).toEqual([])
  expect(onsets(watch(6000)).length).toBeLessThanOrEqual(4)
})

test.each([
  ['once', (i: number) => i === 2000],
  ['for good', (i: number) => i >= 2000],
])('a sensor that never moved is told of where it moves %s, and not again on the way back', (_how, moves) => {
  const verdicts = watch(2400, (_, i) => (moves(i) ? 500 : 5))
  expect(onsets(verdicts)).toEqual([2000])
  expect(verdicts[2000]).toMatchObject({ part: 'range', low: 5, high: 5 })
  expect(explain(verdicts[2000]!, 500, '°C')).toContain('495 °C beyond everything seen')
})

test('a value that stays the same where it used to move is told', () => {
  const verdicts = watch(3000, (v, i) => (i >= 2500 && i < 2600 ? 50.5 : v))
  expect(onsets(verdicts.slice(2500, 2600)).length).toBeGreaterThanOrEqual(1)
})

test('the bar does not depend on the rhythm of slow sensors and rises for fast ones', () => {
  const at = (seconds: number) => thresholdAt(DEFAULT_ADAPTIVE_RULE, seconds * 1e6)
  expect(at(3600)).toBe(DEFAULT_ADAPTIVE_RULE.threshold)
  expect(at(60)).toBe(DEFAULT_ADAPTIVE_RULE.threshold)
  expect(at(3)).toBeGreaterThan(at(30))
})

test('what is stated as one in a hundred and in a thousand comes no more than three times as often', () => {
  const random = createRandom('calibration')
  const state = adaptive.create()
  const said = [0, 0]
  const length = 40_000
  for (let i = 0; i < length; i++) {
    // fat tails: the product of two normal-ish numbers
    const g = () => random.next() + random.next() + random.next() + random.next() - 2
    const value = 10 + g() * (1 + 4 * g() * g())
    adaptive.step(state, { at: START + i * 5 * MINUTE, value, quality: 1 }, DEFAULT_ADAPTIVE_RULE)
    if (i < 1000) continue
    if (rarityOf(state) <= 1e-2) said[0]!++
    if (rarityOf(state) <= 1e-3) said[1]!++
  }
  expect(said[0]! / length / 1e-2).toBeLessThan(3)
  expect(said[0]! / length / 1e-2).toBeGreaterThan(0.2)
  expect(said[1]! / length / 1e-3).toBeLessThan(3)
})
