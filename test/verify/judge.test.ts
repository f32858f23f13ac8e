import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { LedgerEntry } from '../../lib/spool/ledger.ts'
import { createJudge } from '../../lib/verify/judge.ts'

const entry = (seq: number, over: Partial<LedgerEntry> = {}): LedgerEntry => ({
  runId: 'run',
  sensorId: 'sensor',
  seq,
  hash: BigInt(seq) * 7n,
  disposition: 'accepted',
  acceptedAtMs: 1000,
  ...over,
})

/** Accepted 1 … n; the rows say what is stored. */
function judged(accepted: LedgerEntry[], rows: { seq: number; hash?: bigint; sensorId?: string }[]) {
  const judge = createJudge()
  for (const e of accepted) judge.expect(e)
  for (const r of rows) judge.row('run', r.sensorId ?? 'sensor', r.seq, r.hash ?? BigInt(r.seq) * 7n)
  const { lost, duplicated, phantom, stored } = judge.verdict(0)
  return { lost, duplicated, phantom, stored }
}

const three = [entry(1), entry(2), entry(3)]
const cases: [why: string, rows: { seq: number; hash?: bigint; sensorId?: string }[], expected: object][] = [
  ['1 all there', [{ seq: 1 }, { seq: 2 }, { seq: 3 }], { lost: 0, duplicated: 0, phantom: 0, stored: 3 }],
  ['2 one missing', [{ seq: 1 }, { seq: 3 }], { lost: 1, duplicated: 0, phantom: 0, stored: 2 }],
  [
    '3 one twice',
    [{ seq: 1 }, { seq: 2 }, { seq: 2 }, { seq: 3 }],
    { lost: 0, duplicated: 1, phantom: 0, stored: 3 },
  ],
  [
    '4 one missing and another twice: the count alone would look right',
    [{ seq: 1 }, { seq: 1 }, { seq: 3 }],
    { lost: 1, duplicated: 1, phantom: 0, stored: 2 },
  ],
  [
    '5 a changed value is a phantom, and not lost as well',
    [{ seq: 1 }, { seq: 2, hash: 1n }, { seq: 3 }],
    { lost: 0, duplicated: 0, phantom: 1, stored: 3 },
  ],
  [
    '6 a number nobody gave',
    [{ seq: 1 }, { seq: 2 }, { seq: 3 }, { seq: 4 }],
    { lost: 0, duplicated: 0, phantom: 1, stored: 3 },
  ],
  [
    '7 a sensor nobody knows',
    [{ seq: 1 }, { seq: 2 }, { seq: 3 }, { seq: 1, sensorId: 'other' }],
    { lost: 0, duplicated: 0, phantom: 1, stored: 3 },
  ],
  [
    '8 a number below 1',
    [{ seq: 1 }, { seq: 2 }, { seq: 3 }, { seq: 0 }],
    { lost: 0, duplicated: 0, phantom: 1, stored: 3 },
  ],
  [
    '9 a number beyond all reason allocates nothing',
    [{ seq: 1 }, { seq: 2 }, { seq: 3 }, { seq: 2 ** 52 }],
    { lost: 0, duplicated: 0, phantom: 1, stored: 3 },
  ],
]

for (const [why, rows, expected] of cases) {
  test(`judge: ${why}`, () => expect(judged(three, rows)).toEqual(expected as never))
}

test('judge: what is spooled, dropped, rejected, a dead letter or retired is not lost', () => {
  const judge = createJudge()
  judge.expect(entry(1))
  judge.expect(entry(2, { disposition: 'dropped' }))
  judge.expect(entry(3, { disposition: 'rejected' }))
  judge.expect(entry(4))
  judge.expect(entry(5, { acceptedAtMs: 10 }))
  judge.spooled('run', 'sensor', 1)
  judge.deadLetter('run', 'sensor', 4)
  const v = judge.verdict(500)
  expect(v).toMatchObject({
    accepted: 5,
    stored: 0,
    spooled: 1,
    dropped: 1,
    dead_lettered: 2,
    retired: 1,
    lost: 0,
  })
})

test('judge: a dead letter that came again, corrected, is stored, and known to be', () => {
  const judge = createJudge()
  for (const seq of [1, 2]) judge.expect(entry(seq))
  for (const seq of [1, 2]) judge.deadLetter('run', 'sensor', seq)
  judge.row('run', 'sensor', 2, 14n)
  expect([1, 2, 3].map((seq) => judge.isStored('run', 'sensor', seq))).toEqual([false, true, false])
  expect(judge.verdict(0)).toMatchObject({ accepted: 2, stored: 1, dead_lettered: 1, lost: 0 })
})

test('judge: a row that was accepted after the first look is no phantom', () => {
  const judge = createJudge()
  judge.expect(entry(1))
  judge.justify(entry(1))
  judge.justify(entry(2))
  judge.row('run', 'sensor', 1, 7n)
  judge.row('run', 'sensor', 2, 14n)
  expect(judge.verdict(0)).toMatchObject({ accepted: 1, stored: 1, lost: 0, phantom: 0 })
})

test('judge: accepted is always the sum of its fates, whatever is deleted, doubled or altered', () => {
  const row = fc.record({ seq: fc.integer({ min: 1, max: 40 }), altered: fc.boolean() })
  fc.assert(
    fc.property(fc.array(row, { maxLength: 80 }), fc.integer({ min: 1, max: 30 }), (rows, accepted) => {
      const judge = createJudge()
      for (let seq = 1; seq <= accepted; seq++) judge.expect(entry(seq))
      for (const r of rows) judge.row('run', 'sensor', r.seq, r.altered ? 1n : BigInt(r.seq) * 7n)
      const v = judge.verdict(0)
      const right = rows.filter((r) => !r.altered && r.seq <= accepted)
      const distinct = new Set(right.map((r) => r.seq))
      expect(v.accepted).toBe(v.stored + v.lost)
      expect(v.duplicated).toBe(right.length - distinct.size)
      expect(v.phantom).toBe(rows.length - right.length)
    }),
  )
})
