import { describe, expect, test } from 'bun:test'
import { bellRarity } from '../../lib/detect/bell.ts'
import type { Verdict } from '../../lib/detect/detector.ts'
import { DEFAULT_ENERGY_RULE, energy, energyTotals } from '../../lib/detect/energy.ts'
import { account, explain, oneIn } from '../../lib/detect/explain.ts'
import { DEFAULT_QUALITY_RULE, quality } from '../../lib/detect/quality.ts'
import { DEFAULT_SILENCE_RULE, silence, silenceOf, silentFrom } from '../../lib/detect/silence.ts'
import { DEFAULT_VIBRATION_RULE, trendOf, vibration, zoneOf } from '../../lib/detect/vibration.ts'
import { createNoise } from '../../lib/fleet/random.ts'

const noise = createNoise('families')
const START = 1_763_337_600_000_000 // a Monday, 00:00 UTC
const HOUR = 3600e6

describe('quality', () => {
  const watch = (values: number[]) => {
    const state = quality.create()
    return values.map((value, i) =>
      quality.step(state, { at: START + i * 3e6, value, quality: 1 }, DEFAULT_QUALITY_RULE),
    )
  }
  const rough = (i: number) => Math.round(100 * (20 + noise.gauss(0, i))) / 100

  test('a value that sticks is frozen after some ten readings and moving with the first that differs', () => {
    const values = Array.from({ length: 700 }, (_, i) => (i >= 500 && i < 540 ? 20.5 : rough(i)))
    const verdicts = watch(values)
    const first = verdicts.findIndex((v) => v.score >= 0.5)
    expect(first).toBeGreaterThan(505)
    expect(first).toBeLessThan(520)
    expect(verdicts[539]!.active).toBe(true)
    expect(verdicts[540]!.active).toBe(false)
    expect(explain(verdicts[first]!, 20.5, '°C')).toMatch(/^The same value \d+ times in a row, 1 in /)
  })

  test('a switch or a counter that repeats its value is not frozen', () => {
    const values = Array.from({ length: 5000 }, (_, i) => Math.floor(i / 25) % 3)
    expect(watch(values).filter((v) => v.active)).toEqual([])
  })

  test('a jump is flagged and raises nothing', () => {
    const verdicts = watch(Array.from({ length: 400 }, (_, i) => rough(i) + (i === 300 ? 80 : 0)))
    expect(verdicts[300]!.part).toBe('jump')
    expect(verdicts.filter((v) => v.score >= 0.5)).toEqual([])
  })
})

describe('silence', () => {
  const after = (gaps: number[]) => {
    const state = silence.create()
    let at = START
    for (const gap of [0, ...gaps])
      silence.step(state, { at: (at += gap * 1e6), value: 1, quality: 1 }, DEFAULT_SILENCE_RULE)
    return { state, at }
  }
  test('a sensor of three seconds is silent after twelve', () => {
    const { state, at } = after(Array(50).fill(3))
    expect(silenceOf(state, at + 11.9e6, DEFAULT_SILENCE_RULE, false).active).toBe(false)
    const verdict = silenceOf(state, at + 12.1e6, DEFAULT_SILENCE_RULE, false)
    expect(verdict).toMatchObject({ active: true, part: 'silence' })
    expect(verdict.score).toBeGreaterThanOrEqual(0.5)
    expect(explain(verdict, 0, '')).toBe('Nothing for 12.1 s, where a reading every 3 s is usual.')
  })
  test('nothing is said while settling, nor while held back', () => {
    const { state, at } = after([3, 3])
    expect(silentFrom(state, DEFAULT_SILENCE_RULE)).toBe(Infinity)
    const settled = after(Array(50).fill(3))
    expect(silenceOf(settled.state, at + HOUR, DEFAULT_SILENCE_RULE, true).active).toBe(false)
  })
  test('an irregular sensor is given its own irregularity, an outage teaches little', () => {
    const irregular = after(Array.from({ length: 60 }, (_, i) => (i % 10 === 0 ? 20 : 3)))
    expect(silentFrom(irregular.state, DEFAULT_SILENCE_RULE) - irregular.at).toBeGreaterThanOrEqual(25e6)
    const outage = after([...Array(50).fill(3), 3600, ...Array(30).fill(3)])
    expect(silentFrom(outage.state, DEFAULT_SILENCE_RULE) - outage.at).toBeLessThan(20e6)
  })
})

describe('vibration', () => {
  const watch = (hours: number, value: (hour: number) => number) => {
    const state = vibration.create()
    const verdicts: Verdict[] = []
    for (let i = 0; i < hours * 120; i++) {
      const at = START + i * 30e6
      verdicts.push(
        vibration.step(
          state,
          { at, value: value(i / 120) + 0.1 * noise.gauss(3, i), quality: 1 },
          DEFAULT_VIBRATION_RULE,
        ),
      )
    }
    return { state, verdicts }
  }
  // mm/s → zone of a medium machine (class II: 1.12, 2.8, 7.1)
  const zones: [number, string, boolean][] = [
    [0.8, 'A', false],
    [2, 'B', false],
    [4, 'C', true],
    [9, 'D', true],
  ]
  for (const [value, zone, active] of zones)
    test(`${value} mm/s is zone ${zone}`, () => {
      const { state, verdicts } = watch(1, () => value)
      expect(zoneOf(state)).toBe(zone as ReturnType<typeof zoneOf>)
      expect(verdicts.at(-1)!.active).toBe(active)
    })
  test('entering a zone scores once, a short knock does not, and a zone is left with a margin', () => {
    const { verdicts } = watch(4, (h) => (h < 1 ? 2 : h < 2 ? 3.5 : 2.7))
    expect(verdicts.filter((v) => v.score >= 0.5)).toHaveLength(1)
    expect(verdicts.at(-1)!.active).toBe(true) // 2.7 is above 90 % of 2.8
    const knock = watch(2, (h) => (Math.round(h * 120) === 100 ? 3.8 : 2))
    expect(knock.verdicts.filter((v) => v.active)).toEqual([])
  })
  test('slow wear is told before its zone is reached, a daily round is not', () => {
    const wear = watch(240, (h) => 1.8 + 0.004 * h)
    const first = wear.verdicts.findIndex((v) => v.part === 'trend' && v.score >= 0.5)
    expect(first / 120).toBeGreaterThan(72)
    expect(first / 120).toBeLessThan(225)
    expect(trendOf(wear.state)!.perHour).toBeCloseTo(0.004, 3)
    expect(explain(wear.verdicts[first]!, 2.5, 'mm/s')).toMatch(/^Zone B: .* zone C is reached in/)
    const round = watch(240, (h) => 2.2 + 0.3 * Math.sin((2 * Math.PI * h) / 24))
    expect(round.verdicts.filter((v) => v.active)).toEqual([])
  })
})

describe('energy', () => {
  const load = (hour: number) => {
    const [day, h] = [Math.floor(hour / 24) % 7, hour % 24]
    return day < 5 && h >= 6 && h < 20 ? 130 : 80
  }
  const watch = (weeks: number, change: (kw: number, hour: number) => number, rule = DEFAULT_ENERGY_RULE) => {
    const state = energy.create()
    const verdicts: Verdict[] = []
    for (let i = 0; i < weeks * 168 * 60; i++) {
      const hour = Math.floor(i / 60)
      const value = change(load(hour) + 2 * noise.gauss(5, i), hour)
      verdicts.push(energy.step(state, { at: START + i * 60e6, value, quality: 1 }, rule))
    }
    return { state, verdicts }
  }
  test('the energy adds up', () => {
    const state = energy.create()
    for (let i = 0; i <= 600; i++)
      energy.step(state, { at: START + i * 60e6, value: 60, quality: 1 }, DEFAULT_ENERGY_RULE)
    expect(energyTotals(state).totalKwh).toBeCloseTo(600, 6)
  })
  test('from the third week on a usual week is quiet', () => {
    const { verdicts } = watch(4, (kw) => kw)
    expect(verdicts.slice(2 * 168 * 60).filter((v) => v.active)).toEqual([])
  })
  test('the first days off of a new plant are no fault, whichever weekday it begins on; more than on any day is', () => {
    for (let day = 0; day < 7; day++) {
      const state = energy.create()
      const alarms: number[] = []
      for (let i = 0; i < 8 * 24 * 60; i++) {
        const hour = Math.floor(i / 60)
        const left = hour >= 100 && hour < 104 ? 60 : 0
        const value = load(hour + 24 * day) + left + 2 * noise.gauss(6, i)
        const at = START + 24 * day * HOUR + i * 60e6
        if (energy.step(state, { at, value, quality: 1 }, DEFAULT_ENERGY_RULE).score >= 0.5) alarms.push(hour)
      }
      expect({ day, alarms: alarms.filter((hour) => hour < 100) }).toEqual({ day, alarms: [] })
      expect({ day, found: alarms.some((hour) => hour > 100 && hour <= 105) }).toEqual({ day, found: true })
      expect({ day, later: alarms.filter((hour) => hour > 105) }).toEqual({ day, later: [] })
    }
  })
  test('machines left running over a Sunday are told with kWh and money', () => {
    const sunday = 3 * 168 + 6 * 24
    const { state, verdicts } = watch(4, (kw, h) => (h >= sunday && h < sunday + 10 ? kw + 40 : kw), {
      ...DEFAULT_ENERGY_RULE,
      pricePerKwh: 0.25,
    })
    const first = verdicts.findIndex((v, i) => i >= sunday * 60 && v.score >= 0.5)
    expect(Math.floor(first / 60)).toBe(sunday + 1) // the hour is judged when it is over
    expect(energyTotals(state).excessKwh).toBeGreaterThan(380)
    expect(energyTotals(state).excessKwh).toBeLessThan(420)
    const words = explain(verdicts[first]!, 120, 'kW')
    expect(words).toContain('kWh more than usual')
    expect(words).toContain('in money')
    const last = verdicts.findLast((v, i) => !v.active && v.reasons.length > 0 && i > first)!
    expect(account(last, 80, 'kW')).toMatch(
      /^(39|40|41)\d kWh more than usual since this began\. (9|10)\d[.\d]* more in money\.$/,
    )
  })
})

test('rarity is told in round numbers', () => {
  expect(oneIn(1 / 4321)).toBe('1 in 4,300')
  expect(oneIn(0.5)).toBe('1 in 2')
})

test('a bell curve’s rarity: 4 deviations are 1 in 15,787, 5.3 are 1 in 8.6 million, and no more than 1 in 10⁹', () => {
  expect(1 / bellRarity(4, 1)).toBeCloseTo(15787, -1)
  expect(1 / bellRarity(5.3, 1) / 1e6).toBeCloseTo(8.6, 1)
  expect(bellRarity(40, 7)).toBe(1e-9)
  expect([bellRarity(1, 7), bellRarity(4, 7) / bellRarity(4, 1)]).toEqual([1, expect.closeTo(7, 9)])
})
