import { describe, expect, test } from 'bun:test'
import { judgeHeartbeats, type HeartbeatCount, type HeartbeatLedger } from '../../lib/verify/heartbeats.ts'

const ledger = (accepted: number, spooled = 0, dropped = 0): HeartbeatLedger[] => [
  { runId: 'run', dropped, sensors: [{ sensorId: 'S1-1', accepted, spooled }] },
]
const counted = (n: number, deadLettered = 0, runId = 'run'): HeartbeatCount[] => [
  { runId, sensorId: 'S1-1', counted: n, deadLettered },
]
const TRUE = { lost: 0, duplicated: 0, phantom: 0 }

describe('judgeHeartbeats()', () => {
  test.each([
    [1, 'all came', ledger(9), ledger(9), counted(9), TRUE],
    [2, 'some wait in the spool', ledger(9, 4), ledger(9, 4), counted(5), TRUE],
    [3, 'some that waited were on their way', ledger(9, 4), ledger(9, 4), counted(7), TRUE],
    [4, 'more came while we looked', ledger(9), ledger(12), counted(11), TRUE],
    [5, 'one was broken', ledger(9), ledger(9), counted(8, 1), TRUE],
    [6, 'two were given up by policy', ledger(9, 0, 2), ledger(9, 0, 2), counted(7), TRUE],
    [7, 'one is gone', ledger(9), ledger(9), counted(8), { ...TRUE, lost: 1 }],
    [8, 'nothing was counted', ledger(9, 2), ledger(9, 2), [], { ...TRUE, lost: 7 }],
    [9, 'one was counted twice', ledger(9), ledger(9), counted(10), { ...TRUE, duplicated: 1 }],
    [10, 'a run that no spool knows', [], [], counted(3, 0, 'stranger'), { ...TRUE, phantom: 3 }],
  ] as const)('%i: %s', (_, _what, first, later, counts, verdict) => {
    expect(judgeHeartbeats(first, later, counts)).toMatchObject(verdict)
  })

  test('the sum is told', () => {
    expect(judgeHeartbeats(ledger(9, 2, 1), ledger(9, 2, 1), counted(5, 1))).toEqual({
      accepted: 9,
      counted: 5,
      dead_lettered: 1,
      spooled: 2,
      dropped: 1,
      ...TRUE,
    })
  })
})
