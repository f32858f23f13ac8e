import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { barFor, mostFound } from '../../lib/alarm/odds.ts'
import { scoreOf, type Truth } from '../../lib/alarm/score.ts'
import { createNoise } from '../../lib/fleet/random.ts'

const fault = (from: number, to: number, size: number | null, sensorId = 'a'): Truth => ({
  sensorId,
  kind: 'level_shift',
  size,
  from: from * 1e6,
  to: to * 1e6,
})
const at = (seconds: number, sensorId = 'a') => ({ sensorId, at: seconds * 1e6 })

test.each([
  [1, 'found at once', [at(100)], { recall: 1, precision: 1, medianDelay: 0 }],
  [2, 'found late', [at(130)], { recall: 1, precision: 1, medianDelay: 30 }],
  [3, 'a second alarm of the same fault is no false one', [at(110), at(120)], { recall: 1, falseAlarms: 0 }],
  [4, 'its end is news, too', [at(150 + 59)], { recall: 1, falseAlarms: 0 }],
  [5, 'but not for ever', [at(150 + 61)], { recall: 0, falseAlarms: 1, precision: 0 }],
  [6, 'before it began', [at(99)], { recall: 0, falseAlarms: 1 }],
  [7, 'of another sensor', [at(110, 'b')], { recall: 0, falseAlarms: 1 }],
  [8, 'nothing at all', [], { recall: 0, precision: null, alarms: 0 }],
] as const)('scoreOf() %i: %s', (_n, _what, alarms, expected) => {
  expect(scoreOf(alarms, [fault(100, 150, 4)], 1)).toMatchObject(expected)
})

test('scoreOf() counts faults from three deviations on and those without a size; small ones only excuse an alarm', () => {
  const truth = [fault(100, 150, -3), fault(1000, 1100, null), fault(2000, 2100, 2.9)]
  const score = scoreOf([at(100), at(2050), at(5000)], truth, 50)
  expect(score).toMatchObject({ faults: 2, found: 1, recall: 0.5, falseAlarms: 1, falseAlarmsADayPer100: 2 })
  expect(score.rows.map((r) => [r.name, r.found])).toEqual([
    ['level_shift', 0],
    ['level_shift 2σ', 1],
    ['level_shift 3σ', 1],
  ])
})

test('scoreOf() takes an alarm on the way back for wrong in precision, and tells it beside the false ones', () => {
  const score = scoreOf([at(200), at(600), at(1000)], [fault(100, 500, 4)], 1)
  expect(score).toMatchObject({
    found: 1,
    echoes: 1,
    falseAlarms: 1,
    precision: 1 / 3,
    echoesADayPer100: 100,
  })
})

test('scoreOf() looks for no fault that was there before anybody watched, and takes no alarm about it for false', () => {
  const truth = [{ ...fault(100, 500, 4), unwatched: true }, fault(1000, 1100, 4)]
  expect(scoreOf([at(300)], truth, 1)).toMatchObject({ faults: 1, found: 0, falseAlarms: 0, precision: 1 })
})

test('scoreOf() says which recall nobody can exceed', () => {
  const truth = [fault(100, 100, 3), fault(1000, 1100, 3)].map((t, i) => ({
    ...t,
    findable: i === 0 ? 0.04 : 1,
  }))
  expect(scoreOf([], truth, 1)).toMatchObject({ mostRecall: 0.52, rows: [{ findable: 1.04 }] })
})

test.each([
  [0.05, 1.959964],
  [0.0026998, 3],
  [1e-6, 4.891638],
])('barFor() healthy noise exceeds it with probability %p', (probability, bar) => {
  expect(barFor(probability)).toBeCloseTo(bar, 5)
})

test('mostFound() is what a detector finds that knows the true level and asks for as much as it must', () => {
  const noise = createNoise('odds')
  const [readings, falseADay, size] = [1000, 1, 4]
  const bar = barFor(falseADay / readings)
  const tries = 200_000
  let found = 0
  let wrong = 0
  for (let i = 0; i < tries; i++) {
    if (Math.abs(size + noise.gauss(0, i)) > bar) found++
    if (Math.abs(noise.gauss(1, i)) > bar) wrong++
  }
  expect(found / tries).toBeCloseTo(mostFound(size, falseADay, readings), 2)
  expect((wrong / tries) * readings).toBeCloseTo(falseADay, 0)
})

test('a simulated plant of a drawn seed: what the rules say is true, and they find far more than limits alone', async () => {
  const child = Bun.spawn(
    [process.execPath, 'lib/commands/score.ts', '--simulate', '4', '--warm', '3', '--json'],
    { cwd: join(import.meta.dir, '../..'), stdout: 'pipe', stderr: 'pipe' },
  )
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  expect(await child.exited).toBe(0)
  expect(err).toMatch(/^seed \d+: /)
  const { all, lasting, limits } = JSON.parse(out)
  expect(all.faults).toBeGreaterThan(30)
  expect({ seed: err, low: all.precision < 0.9 }).toEqual({ seed: err, low: false })
  expect({ seed: err, low: lasting.recall < 0.75 }).toEqual({ seed: err, low: false })
  expect(limits.recall).toBeLessThan(0.5)
}, 120_000)
