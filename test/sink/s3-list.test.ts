import { expect, test } from 'bun:test'
import { everyKey } from '../../lib/sink/s3-list.ts'

const KEYS = Array.from(
  { length: 25 },
  (_, i) => `sensor-data/2026-11-21/0/${String(i * 100).padStart(20, '0')}`,
)

/** A server that gives ten keys a page and, in its first `times` answers, does what it should not. */
function server(times: number, wrong: (page: string[]) => string[]) {
  let answers = 0
  return async (after: string | undefined) => {
    const page = KEYS.filter((key) => after === undefined || key > after).slice(0, 10)
    return answers++ < times ? wrong(page) : page
  }
}

test('every key once, in order', async () => {
  expect(await everyKey(server(0, (page) => page))).toEqual(KEYS)
})

test('what a page leaves out in its midst is found by the next pass', async () => {
  expect(await everyKey(server(2, (page) => page.filter((_, i) => i < 3 || i > 6)))).toEqual(KEYS)
})

test('a page that ends too early does not end the list, nor does one that is refused', async () => {
  expect(await everyKey(server(1, (page) => page.slice(0, 4)))).toEqual(KEYS)
  const refuses = server(2, () => {
    throw new Error('500')
  })
  expect(await everyKey(refuses)).toEqual(KEYS)
})

test('where objects come all the time it ends all the same', async () => {
  let n = 0
  const grows = async (after: string | undefined) =>
    after === undefined ? [`k${String(n++).padStart(3, '0')}`] : []
  expect(await everyKey(grows)).toEqual(['k000', 'k001', 'k002', 'k003', 'k004'])
})
