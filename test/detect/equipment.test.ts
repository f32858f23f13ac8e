import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { contributionsOf, DEFAULT_EQUIPMENT_RULE, equipment } from '../../lib/detect/equipment.ts'
import { IGNORED, type Verdict } from '../../lib/detect/detector.ts'
import { explain } from '../../lib/detect/explain.ts'
import { createNoise } from '../../lib/fleet/random.ts'

const CHANNELS = 4
const LENGTH = 1000
const detector = equipment(CHANNELS)
const rule = DEFAULT_EQUIPMENT_RULE

/** A healthy machine; channel 3 wanders slowly. */
function machine(seed: string, change: (x: number, channel: number, i: number) => number = (x) => x) {
  const noise = createNoise(seed)
  return Array.from({ length: LENGTH }, (_, i) => ({
    at: 1.7e15 + i * 1e6,
    quality: 1,
    values: Array.from({ length: CHANNELS }, (_, c) =>
      change(10 * (c + 1) + noise.gauss(c, i) + (c === 3 ? i / 100 : 0), c, i),
    ),
  }))
}
type Moment = ReturnType<typeof machine>[number]
const run = (moments: Moment[], state = detector.create()) =>
  moments.map((m) => detector.step(state, m, rule))
const active = (verdicts: Verdict[]) => verdicts.map((v) => (v.active ? 1 : 0)).join('')

test('a healthy machine is quiet, a wandering channel included', () => {
  for (const seed of ['a', 'b', 'c', 'd']) expect(active(run(machine(seed)))).not.toContain('1')
})

test('a channel that leaves its baseline alarms within seconds and stays alarmed while it lasts', () => {
  const verdicts = run(machine('a', (x, c, i) => (c === 1 && i >= 600 && i < 900 ? x - 5 : x)))
  const first = verdicts.findIndex((v) => v.active)
  expect(first).toBeGreaterThanOrEqual(600)
  expect(first).toBeLessThan(620)
  expect(active(verdicts.slice(620, 900))).not.toContain('0')
  expect(active(verdicts.slice(950))).not.toContain('1')
  const v = verdicts[700]!
  expect(v.reasons[0]).toMatchObject({ part: 'level', channel: 1 })
  expect(explain(v, 0, '', ['speed', 'flow', 'current', 'heat'])).toStartWith('flow: 15')
})

test('a channel that grows restless without moving away alarms', () => {
  const noise = createNoise('more')
  const verdicts = run(machine('a', (x, c, i) => (c === 2 && i >= 600 ? x + 4 * noise.gauss(9, i) : x)))
  const first = verdicts.findIndex((v) => v.active)
  expect(first).toBeGreaterThanOrEqual(600)
  expect(first).toBeLessThan(700)
})

test('a channel that never moved alarms when it does', () => {
  const verdicts = run(machine('a', (x, c, i) => (c === 0 ? (i < 700 ? 3 : 3.001) : x)))
  expect(verdicts.findIndex((v) => v.active)).toBe(700)
})

test('re-baseline: a fresh state learns the machine as it is now', () => {
  const worn = machine('a', (x, c) => (c === 1 ? x - 5 : x))
  expect(active(run(worn))).not.toContain('1')
})

test('channels may come one by one: a missing value changes nothing', () => {
  const state = detector.create()
  const verdicts: Verdict[] = []
  machine('a', (x, c, i) => (c === 1 && i >= 600 ? x - 5 : x)).forEach((m) => {
    for (let c = 0; c < CHANNELS; c++) {
      const values = m.values.map((x, k) => (k === c ? x : NaN))
      verdicts.push(detector.step(state, { ...m, at: m.at + c, values }, rule))
    }
  })
  const first = verdicts.findIndex((v) => v.active)
  expect(first).toBeGreaterThanOrEqual(600 * CHANNELS)
  expect(first).toBeLessThan(620 * CHANNELS)
})

test('a channel that is added later is commissioned by itself, the others go on', () => {
  const moments = machine('a', (x, c, i) => (c === 1 && i >= 900 ? x - 5 : x))
  const three = equipment(CHANNELS - 1)
  const before = three.create()
  for (const m of moments.slice(0, 450)) three.step(before, { ...m, values: m.values.slice(0, -1) }, rule)
  const state = detector.decode(three.encode(before), three.version)!
  const verdicts = run(moments.slice(450), state)
  expect(contributionsOf(state, rule).map((c) => c.commissioned)).toEqual([1, 1, 1, 1])
  expect(contributionsOf(state, rule)[1]!.share).toBeGreaterThan(0.9)
  expect(active(verdicts.slice(0, 450))).not.toContain('1')
  expect(verdicts.findIndex((v) => v.active)).toBeGreaterThanOrEqual(450)
})

test('continues bit for bit from what it encoded; repeats are IGNORED; other versions are not continued', () => {
  const moments = machine('a', (x, c, i) => (c === 1 && i >= 600 ? x - 5 : x))
  fc.assert(
    fc.property(fc.integer({ min: 1, max: LENGTH - 1 }), (cut) => {
      const whole = detector.create()
      const verdicts = run(moments, whole)
      const before = detector.create()
      run(moments.slice(0, cut), before)
      expect(detector.step(before, moments[cut - 1]!, rule)).toBe(IGNORED)
      const after = detector.decode(detector.encode(before), detector.version)!
      expect(run(moments.slice(cut), after)).toEqual(verdicts.slice(cut))
      expect(detector.encode(after)).toEqual(detector.encode(whole))
    }),
    { numRuns: 25 },
  )
  const bytes = detector.encode(detector.create())
  expect(detector.decode(bytes, detector.version + 1)).toBeNull()
  expect(equipment(CHANNELS - 1).decode(bytes, detector.version)).toBeNull()
})

test('other units and another zero of any channel give the same alarms', () => {
  const moments = machine('a', (x, c, i) => (c === 1 && i >= 600 && i < 800 ? x - 2 : x))
  const plain = active(run(moments))
  expect(plain).toContain('1')
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          scale: fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
          shift: fc.integer({ min: -1000, max: 1000 }),
        }),
        {
          minLength: CHANNELS,
          maxLength: CHANNELS,
        },
      ),
      (units) => {
        const other = moments.map((m) => ({
          ...m,
          values: m.values.map((x, c) => units[c]!.scale * (x + units[c]!.shift)),
        }))
        expect(active(run(other))).toBe(plain)
      },
    ),
    { numRuns: 40 },
  )
})
