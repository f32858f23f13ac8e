import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { bookOfFile } from '../../lib/alarm/books.ts'
import type { RuleBookText } from '../../lib/alarm/rulebook.ts'
import { parseConfig } from '../../lib/config.ts'
import { SENSOR_TYPES, type SensorType } from '../../lib/reading.ts'
import { bookOf, defaultBook, readingOf, rulesOf, runLog, START, type Entry } from './log.ts'

setDefaultTimeout(60_000)

/** A quiet level with noise, and in it faults of every kind that the detectors know. */
const BASE: Record<SensorType, readonly [level: number, sigma: number, warning: number, critical: number]> = {
  temperature: [25, 0.4, 35, 40],
  vibration: [2, 0.12, 5, 7],
  energy: [100, 2.5, 150, 180],
  humidity: [45, 0.7, 60, 65],
  pressure: [1013, 0.4, 1040, 1045],
}

interface Plan {
  seed: number
  length: number
  faults: { at: number; kind: number; length: number }[]
}

const plan = fc.record<Plan>({
  seed: fc.integer({ min: 1, max: 1e6 }),
  length: fc.integer({ min: 700, max: 1500 }),
  faults: fc.array(
    fc.record({
      at: fc.double({ min: 0.2, max: 0.95, noNaN: true }),
      kind: fc.integer({ min: 0, max: 5 }),
      length: fc.integer({ min: 3, max: 60 }),
    }),
    { minLength: 2, maxLength: 6 },
  ),
})

function makeLog({ seed, length, faults }: Plan): Entry[] {
  let state = seed
  const uniform = () => (state = (state * 48271) % 2147483647) / 2147483647
  const gauss = () => Math.sqrt(-2 * Math.log(uniform() + 1e-12)) * Math.cos(2 * Math.PI * uniform())
  const last = new Map<string, number>()
  return Array.from({ length }, (_, i): Entry => {
    const type = SENSOR_TYPES[i % SENSOR_TYPES.length]!
    const [level, sigma, warning, critical] = BASE[type]
    const at = START + i * 1e6 + Math.floor(uniform() * 1e5)
    let value = level + sigma * gauss()
    for (const fault of faults) {
      const start = Math.floor(fault.at * length)
      if (i < start || i >= start + 5 * fault.length) continue
      if (fault.kind === 0) value = critical + sigma
      if (fault.kind === 1) value = warning + sigma
      if (fault.kind === 2) value += 9 * sigma
      if (fault.kind === 3) value = last.get(type) ?? value
      if (fault.kind === 4) value += 6 * sigma * gauss()
      if (fault.kind === 5) value = 1e5
    }
    value = Math.round(value * 100) / 100
    last.set(type, value)
    const identity = { runId: 'run', seq: Math.floor(i / SENSOR_TYPES.length) + 1 }
    return { reading: readingOf(1, type, at, value), identity, appendedAtMs: at / 1000 + 20 }
  })
}

const book = rulesOf(1, defaultBook)
const always = [{ rules: book, fromOffset: 0 }]
const share = fc.double({ min: 0, max: 1, noNaN: true })

describe('alarms of a log', () => {
  test('are the same, with the same ids and reasons, wherever it is cut and from whatever checkpoint it is read again', () => {
    let alarms = 0
    fc.assert(
      fc.property(plan, fc.array(fc.tuple(share, share), { minLength: 1, maxLength: 4 }), (p, cuts) => {
        const log = makeLog(p)
        const once = runLog(log, always)
        alarms += once.length
        const crashes = cuts.map(([a, b]) => {
          const at = Math.floor(a * log.length)
          return { checkpoint: Math.floor(b * at), at }
        })
        expect(runLog(log, always, crashes)).toEqual(once)
      }),
      { numRuns: 15 },
    )
    expect(alarms).toBeGreaterThan(30)
  })

  test('are not changed by repeats and by late data', () => {
    fc.assert(
      fc.property(plan, fc.integer({ min: 1, max: 40 }), (p, back) => {
        const log = makeLog(p)
        const disturbed = log.flatMap((entry, i): Entry[] => {
          const old = log[Math.max(0, i - back)]!
          const repeat = { ...old, appendedAtMs: entry.appendedAtMs }
          const late: Entry = {
            reading: { ...old.reading, value: 1e4, measuredAt: old.reading.measuredAt - 1 },
            identity: null,
            appendedAtMs: entry.appendedAtMs,
          }
          return [entry, repeat, late]
        })
        const strip = (told: string[]) =>
          told.map((t) => t.replaceAll(/"(offset|cleared_offset)":\d+|"alert_id":"[^"]*"/g, ''))
        const clean = strip(runLog(log, always))
        expect(strip(runLog(disturbed, always))).toEqual(clean)
      }),
      { numRuns: 10 },
    )
  })

  test('are the same when the rules change in the middle: each offset meets the rules that were in force there', () => {
    const stricter = bookOf({
      rules: [
        ...defaultBookText().filter((r) => r.id !== 'sensor.baseline' && r.id !== 'vibration.high'),
        limit('temperature.tight', 25.5),
      ],
    })
    const later = bookOf({ rules: [limit('temperature.tight', 30), ...defaultBookText()] })
    fc.assert(
      fc.property(
        plan,
        fc.tuple(share, share),
        fc.array(fc.tuple(share, share), { minLength: 1, maxLength: 4 }),
        (p, when, cuts) => {
          const log = makeLog(p)
          const [first = 0, second = 0] = when.map((w) => Math.floor(w * log.length)).sort((a, b) => a - b)
          const changes = [
            ...always,
            { rules: rulesOf(2, stricter), fromOffset: first },
            { rules: rulesOf(3, later), fromOffset: second },
          ]
          const once = runLog(log, changes)
          const crashes = cuts.map(([a, b]) => {
            const at = Math.floor(a * log.length)
            return { checkpoint: Math.floor(b * at), at }
          })
          expect(runLog(log, changes, crashes)).toEqual(once)
        },
      ),
      { numRuns: 15 },
    )
  })
})

test('a rule that goes takes its open alarm with it, with that as the reason; the others stay', () => {
  const both = bookOf({ rules: [limit('temperature.tight', 20), limit('temperature.tighter', 18)] })
  const one = bookOf({ rules: [limit('temperature.tight', 20)] })
  const log = Array.from({ length: 4 }, (_, i): Entry => {
    const at = START + i * 1e6
    return { reading: readingOf(1, 'temperature', at, 22), identity: null, appendedAtMs: at / 1000 }
  })
  const told = runLog(log, [
    { rules: rulesOf(1, both), fromOffset: 0 },
    { rules: rulesOf(2, one), fromOffset: 2 },
  ]).map((t) => t.split(' ', 1)[0] + ' ' + (JSON.parse(t.slice(t.indexOf('{'))).description as string))
  expect(told).toHaveLength(3)
  expect(told[2]).toBe(
    'cleared temperature-1: rule temperature.tighter is no longer in force (rule book 2); the last value was 22 °C',
  )
})

function limit(id: string, at: number): RuleBookText['rules'][number] {
  return {
    id,
    kind: 'limit',
    side: 'high',
    limit: at,
    applies: { sensor_types: ['temperature'] },
    severity: 'medium',
    anomaly_type: 'warning_threshold_violation',
  }
}

function defaultBookText() {
  return (bookOfFile(parseConfig({})) as RuleBookText).rules
}
