import { expect, test } from 'bun:test'
import { baseline, DEFAULT_BASELINE_RULE } from '../../lib/detect/baseline.ts'
import type { Verdict } from '../../lib/detect/detector.ts'
import { createNoise } from '../../lib/fleet/random.ts'

const noise = createNoise('baseline')

/** A steady sensor of deviation 1, a reading every three seconds. */
function watch(length: number, change: (value: number, i: number) => number, seconds = 3): Verdict[] {
  const state = baseline.create()
  return Array.from({ length }, (_, i) => {
    const value = change(20 + noise.gauss(0, i), i)
    return baseline.step(state, { at: 1.7e15 + i * seconds * 1e6, value, quality: 1 }, DEFAULT_BASELINE_RULE)
  })
}
const from = 1200
const found = (verdicts: Verdict[], length: number) =>
  verdicts.slice(from, from + length).findIndex((v) => v.score >= 0.5)

// name, what happens, found within so many readings
const cases: [string, (v: number, i: number) => number, number][] = [
  ['a spike of nine deviations at once', (v, i) => (i === from ? v + 9 : v), 1],
  ['a shift of three deviations within 15 readings', (v, i) => (i >= from ? v + 3 : v), 15],
  ['a shift down of two deviations within 45 readings', (v, i) => (i >= from ? v - 2 : v), 45],
  ['a drift to six deviations in 100 readings', (v, i) => (i >= from ? v + (6 * (i - from)) / 100 : v), 90],
  ['noise four times as loud within 25 readings', (v, i) => (i >= from ? v + 4 * noise.gauss(1, i) : v), 25],
]
for (const [name, change, within] of cases)
  test(`finds ${name}`, () => {
    const at = found(watch(2000, change), 200)
    expect(at).toBeGreaterThanOrEqual(0)
    expect(at).toBeLessThan(within)
  })

test('plain noise raises nothing in 200,000 readings', () => {
  expect(watch(200_000, (v) => v).filter((v) => v.score >= 0.5)).toEqual([])
})

test('one alarm for one shift, cleared after it, and what lasts becomes the new normal', () => {
  const verdicts = watch(6000, (v, i) => (i >= from ? v + 6 : v))
  expect(verdicts.filter((v) => v.score >= 0.5)).toHaveLength(1)
  expect(verdicts[from + 100]!.active).toBe(true)
  expect(verdicts[5999]!.active).toBe(false)
})

test('what has lasted is normal at its mean: no second alarm because one reading was taken for the level', () => {
  // two hundred sensors, each with a shift for good
  const again = Array.from({ length: 200 }, (_, sensor) => {
    const own = createNoise(`accepted ${sensor}`)
    return watch(2600, (_v, i) => 20 + own.gauss(0, i) + (i >= from ? 6 : 0))
      .slice(from + 200)
      .filter((v) => v.score >= 0.5)
  })
  expect(again.filter((alarms) => alarms.length > 0).length).toBeLessThan(3)
})

test('a wild sensor is left to the adaptive detector', () => {
  const wild = watch(5000, (v, i) => (i % 40 === 0 ? v + 30 : v))
  expect(wild.slice(3000).filter((v) => v.score >= 0.5)).toEqual([])
})

test('a fat tail raises little, and a shift in it is found all the same', () => {
  // Student's t with five degrees of freedom, deviation 1.3: one reading in 600 lies five deviations out
  const fat = (i: number) => {
    let power = 0
    for (let k = 1; k <= 5; k++) power += noise.gauss(k, i) ** 2
    return noise.gauss(7, i) / Math.sqrt(power / 5)
  }
  const length = 60_000
  const begins = length - 200
  const verdicts = watch(length, (_v, i) => 20 + fat(i) + (i >= begins ? 4 : 0))
  expect(verdicts.slice(0, begins).filter((v) => v.score >= 0.5).length).toBeLessThan(12)
  expect(verdicts.slice(begins).findIndex((v) => v.score >= 0.5)).toBeGreaterThanOrEqual(0)
})

test('a slow sensor is left to the adaptive detector', () => {
  expect(watch(3000, (v, i) => (i > from ? v + 20 : v), 300).filter((v) => v.active)).toEqual([])
})
