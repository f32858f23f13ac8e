import { expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  isStanding,
  mayAcknowledge,
  mayShelve,
  quietOf,
  stateOf,
  transition,
  type AlarmBits,
} from '../../lib/alarm/lifecycle.ts'
import { MACHINE_CLASSES } from '../../lib/detect/vibration.ts'
import { environment } from '../../lib/config.ts'

const raised: AlarmBits = {
  active: true,
  acknowledged: false,
  returnedAt: null,
  shelvedUntil: null,
  suppressed: null,
}
const at = new Date('2026-01-01T00:00:00Z')
const later = new Date('2026-01-01T01:00:00Z')
const over = (latching: boolean) => ({ type: 'condition_over', at, latching }) as const
const acknowledge = { type: 'acknowledge' } as const

test.each([
  [1, 'raised', [], 'unacknowledged'],
  [2, 'seen while it lasts', [acknowledge], 'acknowledged'],
  [3, 'over before anybody looked', [over(false)], 'returned_unacknowledged'],
  [4, 'over, then seen', [over(false), acknowledge], 'normal'],
  [5, 'seen, then over', [acknowledge, over(false)], 'normal'],
  [6, 'latching: over, nobody looked', [over(true)], 'latched'],
  [7, 'latching: over, then seen', [over(true), acknowledge], 'normal'],
  [8, 'latching: seen, then over', [acknowledge, over(true)], 'normal'],
] as const)('%i: %s', (_n, _what, events, state) => {
  expect(stateOf(events.reduce((bits, event) => transition(bits, event), raised))).toBe(state)
})

test('a shelf ends by itself, and what is over and seen has nothing to shelve', () => {
  const shelved = transition(raised, { type: 'shelve', until: later })
  expect([quietOf(shelved, at), isStanding(shelved, at)]).toEqual(['shelved', false])
  expect([quietOf(shelved, later), isStanding(shelved, later)]).toEqual([null, true])
  expect(isStanding(transition(shelved, { type: 'unshelve' }), at)).toBe(true)
  const done = transition(transition(raised, over(false)), acknowledge)
  expect(mayShelve(done)).toBe(false)
  expect(transition(done, { type: 'shelve', until: later })).toEqual(done)
})

test('every event twice is the same as once, and nothing but an acknowledgement acknowledges', () => {
  const event = fc.constantFrom(
    acknowledge,
    over(true),
    over(false),
    { type: 'unshelve' } as const,
    {
      type: 'shelve',
      until: later,
    } as const,
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 8 }), event, (events, last) => {
      const bits = events.reduce((b, e) => transition(b, e), raised)
      const once = transition(bits, last)
      expect(transition(once, last)).toEqual(once)
      if (last.type !== 'acknowledge') expect(mayAcknowledge(once)).toBe(mayAcknowledge(bits))
    }),
  )
})

test('the classes of machines in the environment are those that the detector knows', () => {
  const choices = environment.shape.VIBRATION_MACHINE_CLASS.unwrap().options
  expect([...choices]).toEqual(Object.keys(MACHINE_CLASSES) as typeof choices)
})
