import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Verdict } from '../../lib/detect/detector.ts'
import { silentFrom } from '../../lib/detect/silence.ts'
import {
  createWatch,
  decodeWatch,
  DEFAULT_RULES,
  detectorsFor,
  encodeWatch,
  relearn,
  silenceState,
  stepWatch,
  type DetectorName,
  type Watch,
} from '../../lib/detect/watch.ts'
import type { Sample } from '../../lib/detect/detector.ts'
import { makeSeries, seriesPlan } from './series.ts'

const run = (watch: Watch, series: Sample[]) => {
  const said: [DetectorName, Verdict][] = []
  for (const s of series) stepWatch(watch, s, DEFAULT_RULES, (name, verdict) => said.push([name, verdict]))
  return said
}

test('who watches follows from the type of the sensor', () => {
  expect(detectorsFor('temperature')).toEqual(['adaptive', 'baseline', 'quality', 'silence'])
  expect(detectorsFor('vibration')).toContain('vibration')
  expect(detectorsFor('energy')).toContain('energy')
})

test('a watch continues bit for bit from what it encoded', () => {
  fc.assert(
    fc.property(
      seriesPlan,
      fc.constantFrom('temperature', 'vibration', 'energy'),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (plan, type, part) => {
        const series = makeSeries(plan)
        const cut = Math.floor(part * series.length)
        const whole = createWatch(type)
        run(whole, series.slice(0, cut))
        const { watch, relearns } = decodeWatch(encodeWatch(whole), type)
        expect(relearns).toEqual([])
        expect(run(watch, series.slice(cut))).toEqual(run(whole, series.slice(cut)))
        expect(encodeWatch(watch)).toEqual(encodeWatch(whole))
      },
    ),
    { numRuns: 25 },
  )
})

test('what cannot be continued is named and starts anew, the rest goes on', () => {
  const series = makeSeries({ seed: 1, length: 500, intervalSeconds: 3, decimals: 2, faults: [] })
  const watch = createWatch('temperature')
  run(watch, series)
  const bytes = encodeWatch(watch)
  bytes[1] = 99 // another version of the first detector
  const decoded = decodeWatch(bytes, 'vibration')
  expect(decoded.relearns).toEqual(['adaptive', 'vibration'])
  expect(silentFrom(silenceState(decoded.watch)!, DEFAULT_RULES.silence)).toBe(
    silentFrom(silenceState(watch)!, DEFAULT_RULES.silence),
  )
  expect(decodeWatch(new Uint8Array(0), 'temperature').relearns).toEqual([...detectorsFor('temperature')])
  expect(decodeWatch(bytes.slice(0, 100), 'temperature').relearns).toEqual([...detectorsFor('temperature')])
})

test('accepting as new normal forgets one detector and no other', () => {
  const watch = createWatch('temperature')
  run(watch, makeSeries({ seed: 1, length: 500, intervalSeconds: 3, decimals: 2, faults: [] }))
  const before = encodeWatch(watch)
  relearn(watch, 'adaptive')
  expect(encodeWatch(watch)).not.toEqual(before)
  relearn(watch, 'energy') // does not watch this sensor
  const fresh = createWatch('temperature')
  expect(watch.states[0]).toEqual(fresh.states[0])
  expect(watch.states[1]).not.toEqual(fresh.states[1])
})

test('one sensor costs 2 KB at most, the week of an energy meter aside', () => {
  expect(encodeWatch(createWatch('temperature')).length).toBeLessThanOrEqual(2048)
  expect(encodeWatch(createWatch('energy')).length).toBeLessThanOrEqual(4096)
})
