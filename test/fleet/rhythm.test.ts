import { expect, test } from 'bun:test'
import { createRhythm, judgeRhythm, type Speed } from '../../lib/fleet/rhythm.ts'

const SECOND = 1_000_000

test.each<[number | null, Speed, string | null]>([
  [SECOND, 1, null],
  [300 * SECOND, 1, null],
  [null, 1, null],
  [300 * SECOND, 60, 'rows 300 s apart at speed 60 become a reading every 5 s and a day lasts 24 min'],
  [SECOND, 60, 'a reading every 0.0167 s, faster than plant sensors measure'],
  [3600 * SECOND, 1, 'a reading every 3600 s, so silence is noticed only after an hour'],
  [SECOND, 'max', 'rows are stamped as fast as they are sent'],
])('rows %p µs apart at speed %p are judged: %p', (usual, speed, reason) => {
  const judged = judgeRhythm(usual, speed)
  if (reason === null) expect(judged).toBeNull()
  else expect(judged).toContain(reason)
})

test('a rhythm knows its usual gap after 20, then what is ten times as long, and what is out of order', () => {
  const rhythm = createRhythm()
  for (let i = 0; i < 20; i++) rhythm.see(i * SECOND)
  expect(rhythm.usual(false)).toBeNull()
  expect(rhythm.usual(true)).toBe(SECOND)
  expect(rhythm.see(20 * SECOND)).toEqual({ outOfOrder: false, gap: null })
  expect(rhythm.usual(false)).toBe(SECOND)
  expect(rhythm.see(29 * SECOND)).toEqual({ outOfOrder: false, gap: null })
  expect(rhythm.see(39 * SECOND)).toEqual({ outOfOrder: false, gap: 10 * SECOND })
  expect(rhythm.see(5 * SECOND)).toEqual({ outOfOrder: true, gap: null })
  expect(rhythm.see(40 * SECOND)).toEqual({ outOfOrder: false, gap: null })
})
