import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { CHECKPOINT_VERSION, decodeCheckpoint, encodeCheckpoint } from '../../lib/ingest/checkpoint.ts'
import { FLAG } from '../../lib/ingest/flags.ts'
import { createOutputs } from '../../lib/ingest/outputs.ts'
import { freshState, logOf, process, rules, run, storedOf, type Sent, type Stored } from './log.ts'

const sent: fc.Arbitrary<Sent[]> = fc.array(
  fc.record({
    sensor: fc.constantFrom('temp-1', 'temp-2'),
    seq: fc.option(fc.integer({ min: 1, max: 40 }), { freq: 8 }),
    value: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(20, 34, 36, 39, 41, 300, -70) },
      { weight: 1, arbitrary: fc.constant('hot') },
    ),
    at: fc.integer({ min: 0, max: 100 }),
    arrivedAt: fc.integer({ min: 0, max: 400 }),
    quality: fc.constantFrom(1, 1, 1, 0.1),
  }),
  { minLength: 1, maxLength: 60 },
)

describe('properties of process()', () => {
  test('any cut into batches gives the same rows, the same alarms with the same ids, the same counts', () => {
    fc.assert(
      fc.property(sent, fc.array(fc.nat(60), { maxLength: 5 }), (list, cuts) => {
        const log = logOf(list)
        const ends = [...new Set([...cuts.filter((cut) => cut < log.length), log.length])].sort(
          (a, b) => a - b,
        )
        const state = freshState()
        const batches = ends.map((end, i) => {
          const outputs = createOutputs()
          process(state, log.slice(ends[i - 1] ?? 0, end), outputs)
          return outputs
        })
        const { state: whole, ...expected } = run(list)
        expect(storedOf(batches)).toEqual(expected)
        expect(state).toEqual(whole)
      }),
      { numRuns: 300 },
    )
  })

  test('a restart from any checkpoint, with the log read again up to what is stored, gives the same', () => {
    fc.assert(
      fc.property(sent, fc.nat(), fc.nat(), (list, a, b) => {
        const log = logOf(list)
        const [checkpointAt = 0, storedTo = 0] = [a % (log.length + 1), b % (log.length + 1)].sort(
          (x, y) => x - y,
        )
        const before = createOutputs()
        const first = freshState()
        process(first, log.slice(0, checkpointAt), before)
        const bytes = encodeCheckpoint(first)
        process(first, log.slice(checkpointAt, storedTo), before)

        const restored = decodeCheckpoint(bytes, CHECKPOINT_VERSION)?.state
        restored!.rules = rules
        const after = createOutputs()
        process(restored!, log.slice(checkpointAt), after, storedTo)
        const { state: whole, ...expected } = run(list)
        expect(storedOf([before, after])).toEqual(expected)
        // as bytes: a detector that met no reading since still waits as such
        expect(encodeCheckpoint(restored!)).toEqual(encodeCheckpoint(whole))
      }),
      { numRuns: 300 },
    )
  })

  test('the whole log twice stores what has an identity once, and raises nothing more', () => {
    fc.assert(
      fc.property(sent, (list) => {
        const identified = list.filter((one) => one.seq !== null && typeof one.value === 'number')
        const once = run(identified)
        const twice = run([...identified, ...identified])
        expect(twice.rows).toEqual(once.rows)
        expect(twice.raised).toEqual(once.raised)
        expect(twice.cleared).toEqual(once.cleared)
      }),
      { numRuns: 300 },
    )
  })

  test('every message ends in one place: stored, dead letter, repeat or conflict', () => {
    fc.assert(
      fc.property(sent, (list) => {
        const { counters, rows, letters } = run(list)
        expect(counters.stored).toBe(rows.length)
        expect(counters.dead_lettered).toBe(letters.length)
        expect(counters.stored + counters.dead_lettered + counters.repeated + counters.conflicting).toBe(
          list.length,
        )
        expect(counters.late).toBe(rows.filter((row) => row.flags & FLAG.late).length)
      }),
      { numRuns: 300 },
    )
  })

  test('what is not live moves no alarm: without it the alarms are the same', () => {
    fc.assert(
      fc.property(sent, (list) => {
        const spoilt = list.map((one): Sent => ({ ...one, seq: null, arrivedAt: one.at }))
        const between = spoilt.flatMap((one): Sent[] => [one, { ...one, value: 99, quality: 0.1 }])
        const names = (stored: Stored) =>
          stored.raised.map(
            (a) => `${(a as { rule_id: string }).rule_id} ${(a as { timestamp: string }).timestamp}`,
          )
        expect(names(run(between))).toEqual(names(run(spoilt)))
      }),
      { numRuns: 300 },
    )
  })
})
