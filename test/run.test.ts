import { afterEach, expect, mock, spyOn, test } from 'bun:test'
import { rest, stir } from '../lib/run.ts'

afterEach(() => mock.restore())

/** Whether a promise is settled by now. */
const isOver = (promise: Promise<void>) =>
  Promise.race([promise.then(() => true), Bun.sleep(1).then(() => false)])

test('a rest ends along with what wakes the process, when it is about over', async () => {
  const began = performance.now()
  const stop = new AbortController()
  const resting = rest(60_000, stop.signal)
  const longer = rest(90_000, stop.signal)
  const at = spyOn(performance, 'now')

  at.mockReturnValue(began + 44_000)
  stir()
  expect(await isOver(resting)).toBe(false) // a quarter earlier at the most

  at.mockReturnValue(began + 46_000)
  stir()
  expect(await isOver(resting)).toBe(true)
  expect(await isOver(longer)).toBe(false)
  stop.abort()
  expect(await isOver(longer)).toBe(true)
})

test('a rest that nothing stirs ends by itself, and takes along those that are about over', async () => {
  const began = performance.now()
  const later = rest(60) // by itself after 75 ms, from 45 on along with another
  await rest(40)
  expect(performance.now() - began).toBeGreaterThanOrEqual(49)
  expect(await isOver(later)).toBe(true)
})

test('a rest ends at once where it is told to', async () => {
  let wake = () => {}
  const resting = rest(60_000, undefined, (end) => (wake = end))
  expect(await isOver(resting)).toBe(false)
  wake()
  expect(await isOver(resting)).toBe(true)
  wake() // nothing is left of it
})

test('a rest under a signal that has aborted is over', async () => {
  expect(await isOver(rest(60_000, AbortSignal.abort()))).toBe(true)
})
