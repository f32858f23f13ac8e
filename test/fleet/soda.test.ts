import { expect, test } from 'bun:test'
import { NO_PAST, type Clock, type Past } from '../../lib/fleet/fleet.ts'
import { planSoda } from '../../lib/fleet/soda-plan.ts'
import { createSoda } from '../../lib/fleet/soda.ts'

const START = Date.UTC(2026, 0, 5, 8) * 1000
const PLAN = {
  F1: [
    { sodaName: 'Coca-Cola', number: 6, sensorID: 'S1-1' },
    { sodaName: 'Pepsi', number: 3, sensorID: 'S1-1' },
  ],
  F2: [{ sodaName: 'Sprite', number: 4, sensorID: 'S2-1' }],
  F3: [],
}

interface Seen {
  topic: string
  key: string
  at: number
  said: Record<string, unknown>
}

/** A life of the fleet on a clock that sleeping moves; `stopAfter` messages at the most. */
async function live(
  past: Past = NO_PAST,
  options: { plan?: object; stopAfter?: number; from?: number } = {},
) {
  const { plan = PLAN, stopAfter = Infinity, from = START } = options
  let now = from
  const clock: Clock = {
    now: () => now,
    sleep: async (ms) => void (now += Math.ceil(ms * 1000)),
  }
  const fleet = createSoda({
    readingsTopic: 'readings',
    heartbeatTopic: 'beats',
    plan: planSoda({ text: JSON.stringify(plan), file: 'x', factories: null, seed: '1' }),
    seed: '1',
    clock,
  })
  const stop = new AbortController()
  const seen: Seen[] = []
  const memos = new Map(past.memos)
  for await (const batch of fleet.readings(stop.signal, past)) {
    for (const m of batch) {
      if (seen.length >= stopAfter) break
      const said = JSON.parse(String(m.encode({ runId: 'r', seq: 1 }))) as Record<string, unknown>
      seen.push({ topic: m.topic, key: m.key, at: Date.parse(`${said.timestamp}Z`) / 1000, said })
      if (m.memo) memos.set(m.memo.name, m.memo.text)
    }
    if (seen.length >= stopAfter) stop.abort()
  }
  const readings = seen.filter((m) => m.topic === 'readings')
  return {
    seen,
    readings,
    beats: seen.filter((m) => m.topic === 'beats'),
    memos,
    now,
    results: fleet.results?.() ?? [],
  }
}

const counts = (readings: Seen[], soda: string) =>
  readings.filter((m) => m.said.sodaName === soda).map((m) => m.said.count)

test('every line counts to its target, in any order among the lines, and each pause is two to five seconds', async () => {
  const { readings, results } = await live()
  expect(counts(readings, 'Coca-Cola')).toEqual([1, 2, 3, 4, 5, 6])
  expect(counts(readings, 'Pepsi')).toEqual([1, 2, 3])
  expect(counts(readings, 'Sprite')).toEqual([1, 2, 3, 4])
  for (const soda of ['Coca-Cola', 'Pepsi', 'Sprite']) {
    const times = readings.filter((m) => m.said.sodaName === soda).map((m) => m.at)
    for (const [i, t] of times.entries()) {
      const pause = t - (times[i - 1] ?? START / 1e6)
      expect(pause >= 1.999 && pause <= 5.001).toBe(true)
    }
  }
  for (const { said } of readings) {
    expect(Number.isInteger(said.reading)).toBe(true)
    expect((said.reading as number) >= 0 && (said.reading as number) <= 100).toBe(true)
  }
  // concurrently: the last of one line comes after the first of every other
  expect(Math.max(...readings.map((m) => m.at)) - START / 1e6).toBeLessThan(31)
  expect(results[0]).toMatch(/^13 of 13 items on 3 lines in 3 factories, \d+ s$/)
})

test('every sensor, with a line or without, says every one or two seconds that it is there, and at the end that it has finished', async () => {
  const { beats, readings } = await live()
  const bySensor = Map.groupBy(beats, (m) => m.key)
  expect(bySensor.size).toBeGreaterThanOrEqual(9)
  for (const list of bySensor.values()) {
    expect(list.map((m) => m.said.status)).toEqual([...list.slice(1).map(() => 'active'), 'finished'])
    for (const [i, m] of list.slice(1, -1).entries()) {
      const pause = m.at - (list[i]?.at ?? 0)
      expect(pause >= 0.999 && pause <= 2.001).toBe(true)
    }
    expect(list.at(-1)?.at).toBeGreaterThanOrEqual(Math.max(...readings.map((m) => m.at)))
  }
})

test('a life that was cut anywhere is gone on with: together they make what one would have made', async () => {
  const whole = await live()
  for (const stopAfter of [1, 9, 25, 40, 60]) {
    const first = await live(NO_PAST, { stopAfter })
    const second = await live({ memos: first.memos, unsent: 0 }, { from: first.now })
    const both = [...first.readings, ...second.readings]
    for (const soda of ['Coca-Cola', 'Pepsi', 'Sprite']) {
      expect([stopAfter, counts(both, soda)]).toEqual([stopAfter, counts(whole.readings, soda)])
      const points = (list: Seen[]) => list.filter((m) => m.said.sodaName === soda).map((m) => m.said.reading)
      expect(points(both)).toEqual(points(whole.readings))
    }
  }
})

test('an order that is made and not yet sent is not made again; one that is sent is followed by the next', async () => {
  const first = await live()
  const sending = await live({ memos: first.memos, unsent: 5 })
  expect(sending.seen).toEqual([])
  expect(sending.results[0]).toStartWith('13 of 13 items')
  const next = await live({ memos: first.memos, unsent: 0 })
  expect(counts(next.readings, 'Pepsi')).toEqual([1, 2, 3])
})

test('another configuration is another order', async () => {
  const first = await live(NO_PAST, { stopAfter: 40 })
  const other = { ...PLAN, F2: [] }
  const second = await live({ memos: first.memos, unsent: 0 }, { plan: other })
  expect(counts(second.readings, 'Coca-Cola')).toEqual([1, 2, 3, 4, 5, 6])
  expect(counts(second.readings, 'Sprite')).toEqual([])
})

test('without a line the sensors say that they are there and that they have finished, and it ends', async () => {
  const { seen, results } = await live(NO_PAST, { plan: {} })
  expect(seen.length).toBeGreaterThanOrEqual(9)
  expect(seen.every((m) => m.said.status === 'finished')).toBe(true)
  expect(results[0]).toStartWith('0 of 0 items on 0 lines')
})
