import { describe, expect, test } from 'bun:test'
import { bookOf } from '../alarm/log.ts'
import { createRules } from '../../lib/alarm/rules.ts'
import { isBeyond, limits, type LimitRule } from '../../lib/detect/limits.ts'

const rule: LimitRule = {
  side: 'high',
  limit: 40,
  exclusive: false,
  deadband: 2,
  on: { readings: 1, micros: 0 },
  off: { readings: 1, micros: 0 },
}

/** What each value does, in letters: raise, clear, or - for nothing. */
function story(change: Partial<LimitRule>, values: readonly number[], secondsApart = 1): string {
  const state = limits.create()
  let active = false
  return values
    .map((value, i) => {
      const verdict = limits.step(
        state,
        { at: i * secondsApart * 1e6, value, quality: 1 },
        { ...rule, ...change },
      )
      const letter = verdict.active === active ? '-' : verdict.active ? 'r' : 'c'
      expect(verdict.score >= 0.5).toBe(letter === 'r')
      active = verdict.active
      return letter
    })
    .join('')
}

describe('limits.step()', () => {
  test.each([
    [1, 'the limit itself is beyond', {}, [39.9, 40], '-r'],
    [2, 'an exclusive limit is still inside', { exclusive: true }, [40, 40.1], '-r'],
    [3, 'it is raised once, not with every reading', {}, [41, 45, 41], 'r--'],
    [4, 'inside the deadband it stays', {}, [41, 39, 38.1], 'r--'],
    [5, 'the edge of the deadband is not back inside', {}, [41, 38], 'r-'],
    [6, 'beyond the deadband it clears', {}, [41, 37.9], 'rc'],
    [7, 'noise at the limit does not chatter', {}, [40, 39.5, 40.2, 39.9, 40.1], 'r----'],
    [8, 'after clearing it can be raised again', {}, [41, 30, 41, 30], 'rcrc'],
    [
      9,
      'an on-delay wants that many in a row',
      { on: { readings: 3, micros: 0 } },
      [41, 41, 39, 41, 41, 41],
      '-----r',
    ],
    [
      10,
      'an off-delay wants that many in a row',
      { off: { readings: 2, micros: 0 } },
      [41, 30, 39, 30, 30],
      'r---c',
    ],
    [
      11,
      'a low limit is the same upside down',
      { side: 'low', limit: 10 },
      [10.1, 10, 11.9, 12, 12.1],
      '-r--c',
    ],
    [12, 'without a deadband the limit itself clears nothing', { deadband: 0 }, [40, 40, 39.999], 'r-c'],
    [
      14,
      'an on-delay in time: held for two seconds',
      { on: { readings: 1, micros: 2e6 } },
      [41, 41, 39, 41, 41, 41],
      '-----r',
    ],
    [15, 'an off-delay in time', { off: { readings: 1, micros: 1e6 } }, [41, 30, 39, 30, 30], 'r---c'],
    [13, 'a negative limit', { side: 'low', limit: -5 }, [-4, -5, -3.5, -2.9], '-r-c'],
  ] as const)('%d. %s', (_number, _reason, change, values, expected) => {
    expect(story(change, values)).toBe(expected)
  })
})

describe('isBeyond()', () => {
  test.each([
    ['high', 40, false, true],
    ['high', 40, true, false],
    ['high', 39.999, false, false],
    ['low', 40, false, true],
    ['low', 40, true, false],
    ['low', 40.001, false, false],
  ] as const)('%s limit 40, value %d, exclusive %p: %p', (side, value, exclusive, expected) => {
    expect(isBeyond({ ...rule, side, exclusive }, value)).toBe(expected)
  })
})

describe('levelOf()', () => {
  const limit = (id: string, side: 'high' | 'low', at: number, level: 'none' | 'warning' | 'critical') =>
    ({ id, kind: 'limit', side, limit: at, level, severity: 'medium', anomaly_type: 'x' }) as const
  const sensor = { sensorId: 's', sensorType: 't', location: { factorySection: '', machineId: '', zone: '' } }
  const rules = [
    limit('a', 'high', 40, 'critical'),
    limit('b', 'high', 35, 'warning'),
    limit('c', 'low', -60, 'none'),
    limit('d', 'low', 5, 'critical'),
  ]
  const levelOf = createRules(1, bookOf({ rules })).of('topic', sensor).levelOf
  test.each([
    [25, 0, 'nothing'],
    [35, 1, 'warning'],
    [39.9, 1, 'still warning'],
    [40, 2, 'critical, whatever the order of the rules'],
    [5, 2, 'the low side counts'],
    [-100, 2, 'a broken sensor has the level of its value'],
  ])('%d → %d: %s', (value, level) => {
    expect(levelOf(value)).toBe(level as 0 | 1 | 2)
  })

  test('a type without rules is normal', () => {
    expect(
      createRules(1, bookOf({ rules: [] }))
        .of('topic', sensor)
        .levelOf(1e9),
    ).toBe(0)
  })
})
