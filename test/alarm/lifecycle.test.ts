import { expect, test } from 'bun:test'
import { stateOf } from '../../lib/alarm/lifecycle.ts'
import { environment } from '../../lib/config.ts'
import { MACHINE_CLASSES } from '../../lib/detect/vibration.ts'

const NOW = Date.parse('2026-01-01T12:00:00Z')
const before = '2026-01-01T11:00:00Z'
const after = '2026-01-01T13:00:00Z'

test.each([
  [1, 'raised', [true, false, null, null], 'active_unacknowledged'],
  [2, 'seen while it lasts', [true, true, null, null], 'active_acknowledged'],
  [3, 'over before anybody looked', [false, false, before, null], 'cleared_unacknowledged'],
  [4, 'over and seen', [false, true, before, null], 'cleared_acknowledged'],
  [5, 'latching: over, nobody looked', [true, false, before, null], 'latched'],
  [6, 'latching: over and seen in the same moment', [true, true, before, null], 'active_acknowledged'],
  [7, 'shelved', [true, false, null, after], 'shelved'],
  [8, 'shelved and over', [false, false, before, after], 'shelved'],
  [9, 'the shelf has ended by itself', [true, false, null, before], 'active_unacknowledged'],
  [10, 'it ends at this very moment', [true, false, null, '2026-01-01T12:00:00Z'], 'active_unacknowledged'],
] as const)('%i: %s', (_n, _what, [active, acknowledged, returned_at, shelved_until], state) => {
  expect(stateOf({ active, acknowledged, returned_at, shelved_until }, NOW)).toBe(state)
})

test('the classes of machines in the environment are those that the detector knows', () => {
  const choices = environment.shape.VIBRATION_MACHINE_CLASS.unwrap().options
  expect([...choices]).toEqual(Object.keys(MACHINE_CLASSES) as typeof choices)
})
