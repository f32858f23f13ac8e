import { describe, expect, test } from 'bun:test'
import { afterExit } from '../../lib/local/restart.ts'

const cases = [
  ['a crash is started again soon', { code: 1, ranMs: 60_000, failures: 0 }, { delayMs: 250, failures: 1 }],
  ['kill -9 is a crash', { code: 137, ranMs: 60_000, failures: 0 }, { delayMs: 250, failures: 1 }],
  [
    'exit 0 of what should run for ever is a crash',
    { code: 0, ranMs: 60_000, failures: 0 },
    { delayMs: 250, failures: 1 },
  ],
  [
    'each quick failure doubles the wait',
    { code: 1, ranMs: 500, failures: 1 },
    { delayMs: 500, failures: 2 },
  ],
  ['and again', { code: 1, ranMs: 500, failures: 4 }, { delayMs: 4000, failures: 5 }],
  ['up to half a minute', { code: 1, ranMs: 500, failures: 50 }, { delayMs: 30_000, failures: 51 }],
  [
    'ten good seconds forgive the past',
    { code: 1, ranMs: 10_000, failures: 9 },
    { delayMs: 250, failures: 1 },
  ],
  [
    'a fleet that could not send (75) tries again',
    { code: 75, ranMs: 60_000, failures: 0 },
    { delayMs: 250, failures: 1 },
  ],
] as const

describe('afterExit()', () => {
  test.each(cases)('%s', (_reason, exit, expected) => {
    expect(afterExit({ ...exit, mayFinish: false })).toEqual({ kind: 'restart', ...expected })
  })
  test('leaves alone a fleet that has met its targets', () => {
    expect(afterExit({ code: 0, ranMs: 100, failures: 0, mayFinish: true })).toEqual({ kind: 'finished' })
  })
  test.each([78, 2])('leaves alone what refuses its configuration (exit %d)', (code) => {
    expect(afterExit({ code, ranMs: 100, failures: 0, mayFinish: true })).toEqual({ kind: 'refused' })
  })
})
