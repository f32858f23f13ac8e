import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { adaptive, DEFAULT_ADAPTIVE_RULE } from '../../lib/detect/adaptive.ts'
import { baseline, DEFAULT_BASELINE_RULE } from '../../lib/detect/baseline.ts'
import { IGNORED, type Detector, type Sample, type Verdict } from '../../lib/detect/detector.ts'
import { DEFAULT_ENERGY_RULE, energy } from '../../lib/detect/energy.ts'
import { DEFAULT_QUALITY_RULE, quality } from '../../lib/detect/quality.ts'
import { DEFAULT_SILENCE_RULE, silence } from '../../lib/detect/silence.ts'
import { DEFAULT_VIBRATION_RULE, vibration } from '../../lib/detect/vibration.ts'
import { makeSeries, seriesPlan } from './series.ts'

/** A detector with its rule, its state's type forgotten. */
interface Bound {
  name: string
  version: number
  start(): {
    step(sample: Sample): Verdict
    bytes(): Uint8Array
  }
  resume(bytes: Uint8Array, version: number): ReturnType<Bound['start']> | null
}

function bind<State, Rule>(detector: Detector<State, Rule>, rule: Rule): Bound {
  const running = (state: State) => ({
    step: (sample: Sample) => detector.step(state, sample, rule),
    bytes: () => detector.encode(state),
  })
  return {
    name: detector.name,
    version: detector.version,
    start: () => running(detector.create()),
    resume(bytes, version) {
      const state = detector.decode(bytes, version)
      return state === null ? null : running(state)
    },
  }
}

const scaleFree = [
  bind(adaptive, DEFAULT_ADAPTIVE_RULE),
  bind(baseline, DEFAULT_BASELINE_RULE),
  bind(quality, DEFAULT_QUALITY_RULE),
]
const detectors = [
  ...scaleFree,
  bind(silence, DEFAULT_SILENCE_RULE),
  bind(vibration, DEFAULT_VIBRATION_RULE),
  bind(energy, DEFAULT_ENERGY_RULE),
]

const alarms = (verdicts: Verdict[]) => verdicts.map((v) => `${v.score >= 0.5 ? 1 : 0}${v.active ? 1 : 0}`)
const run = (d: Bound, series: Sample[]) => {
  const running = d.start()
  return series.map((s) => running.step(s))
}

for (const d of detectors)
  describe(d.name, () => {
    test('continues bit for bit from what it encoded, wherever it is cut', () => {
      fc.assert(
        fc.property(seriesPlan, fc.double({ min: 0, max: 1, noNaN: true }), (plan, part) => {
          const series = makeSeries(plan)
          const cut = Math.floor(part * series.length)
          const whole = d.start()
          const verdicts = series.map((s) => whole.step(s))
          const before = d.start()
          series.slice(0, cut).forEach((s) => before.step(s))
          const after = d.resume(before.bytes(), d.version)
          expect(after).not.toBeNull()
          expect(series.slice(cut).map((s) => after!.step(s))).toEqual(verdicts.slice(cut))
          expect(after!.bytes()).toEqual(whole.bytes())
        }),
        { numRuns: 30 },
      )
    })

    test('a copy of its state goes its own way', () => {
      const series = makeSeries({ seed: 5, length: 300, intervalSeconds: 3, decimals: 2, faults: [] })
      const first = d.start()
      series.slice(0, 200).forEach((s) => first.step(s))
      const saved = first.bytes()
      const copy = saved.slice()
      series.slice(200).forEach((s) => first.step(s))
      expect(saved).toEqual(copy)
      expect(d.resume(saved, d.version)!.bytes()).toEqual(copy)
    })

    test('repeats and late readings change nothing and are answered IGNORED', () => {
      fc.assert(
        fc.property(seriesPlan, fc.integer({ min: 1, max: 50 }), (plan, back) => {
          const series = makeSeries(plan)
          const clean = d.start()
          const disturbed = d.start()
          series.forEach((sample, i) => {
            expect(disturbed.step(sample)).toEqual(clean.step(sample))
            const old = series[Math.max(0, i - back)]!
            expect(disturbed.step({ ...old, value: old.value + 100 })).toBe(IGNORED)
          })
          expect(disturbed.bytes()).toEqual(clean.bytes())
        }),
        { numRuns: 15 },
      )
    })

    test('bytes of another version or size are not continued', () => {
      const bytes = d.start().bytes()
      expect(d.resume(bytes, d.version + 1)).toBeNull()
      expect(d.resume(bytes.slice(1), d.version)).toBeNull()
      expect(d.resume(new Uint8Array(0), d.version)).toBeNull()
    })

    test('answers finite scores between 0 and 1, and the same for a sensor that never changes', () => {
      fc.assert(
        fc.property(seriesPlan, (plan) => {
          for (const v of run(d, makeSeries(plan))) {
            expect(v.score).toBeGreaterThanOrEqual(0)
            expect(v.score).toBeLessThanOrEqual(1)
            for (const x of [v.expected, v.low, v.high, v.rarity])
              expect(x === null || Number.isFinite(x)).toBe(true)
          }
        }),
        { numRuns: 15 },
      )
      const constant = Array.from({ length: 2000 }, (_, i) => ({ at: 1e15 + i * 3e6, value: 2, quality: 1 }))
      expect(run(d, constant).filter((v) => v.score >= 0.5)).toEqual([])
    })
  })

for (const d of scaleFree)
  test(`${d.name}: other units and another zero give the same alarms`, () => {
    fc.assert(
      fc.property(
        seriesPlan,
        fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
        fc.double({ min: -1e3, max: 1e3, noNaN: true }),
        (plan, scale, shift) => {
          const series = makeSeries(plan)
          const other = series.map((s) => ({ ...s, value: scale * s.value + shift * scale }))
          expect(alarms(run(d, other))).toEqual(alarms(run(d, series)))
        },
      ),
      { numRuns: 60 },
    )
  })

test('adaptive: another date gives the same alarms', () => {
  const bound = bind(adaptive, DEFAULT_ADAPTIVE_RULE)
  fc.assert(
    fc.property(seriesPlan, fc.integer({ min: -10_000, max: 10_000 }), (plan, days) => {
      const series = makeSeries(plan)
      const other = series.map((s) => ({ ...s, at: s.at + days * 86_400e6 }))
      expect(alarms(run(bound, other))).toEqual(alarms(run(bound, series)))
    }),
    { numRuns: 30 },
  )
})

test('state of one sensor stays within 2 KB', () => {
  for (const d of detectors) expect([d.name, d.start().bytes().length <= 2048]).toEqual([d.name, true])
})
