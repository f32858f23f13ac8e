import { describe, expect, test } from 'bun:test'
import { Fault } from '../../lib/ingest/decode.ts'
import { flagNames } from '../../lib/ingest/flags.ts'
import { createOutputs } from '../../lib/ingest/outputs.ts'
import { createProcessor } from '../../lib/ingest/partition.ts'
import { freshState, keys, run, where, type Sent } from './log.ts'

const flagsOf = (sent: readonly Sent[]) => run(sent).rows.map((row) => flagNames(row.flags))

describe('process()', () => {
  test.each([
    [
      1,
      'in order: no flag',
      [
        { seq: 1, at: 0 },
        { seq: 2, at: 1 },
      ],
      [[], []],
    ],
    [
      2,
      'older than the one before: late',
      [
        { seq: 1, at: 10 },
        { seq: 2, at: 9 },
      ],
      [[], ['late']],
    ],
    [
      3,
      'of the same moment: not late',
      [
        { seq: 1, at: 10 },
        { seq: 2, at: 10 },
      ],
      [[], []],
    ],
    [4, 'six minutes under way: late', [{ seq: 1, at: 0, arrivedAt: 360 }], [['late']]],
    [5, 'four minutes under way: not late', [{ seq: 1, at: 0, arrivedAt: 240 }], [[]]],
    [6, 'ten minutes ahead: its clock', [{ seq: 1, at: 600, arrivedAt: 0 }], [['clock']]],
    [
      7,
      'what is ahead makes nothing after it late',
      [
        { seq: 1, at: 600, arrivedAt: 0 },
        { seq: 2, at: 1 },
      ],
      [['clock'], []],
    ],
    [
      8,
      'a broken clock: late and its clock',
      [{ seq: 1, at: -40 * 86_400, arrivedAt: 0 }],
      [['late', 'clock']],
    ],
    [9, 'no identity', [{ seq: null, at: 0 }], [['unidentified']]],
    [
      10,
      'a gap, and what fills it',
      [
        { seq: 1, at: 0 },
        { seq: 3, at: 2 },
        { seq: 2, at: 3 },
      ],
      [[], ['gapBefore'], ['filled']],
    ],
    [11, 'physically impossible', [{ seq: 1, at: 0, value: 400 }], [['outOfRange']]],
    [12, 'bad by its own word', [{ seq: 1, at: 0, quality: 0.2 }], [['badQuality']]],
    [13, 'sent as history', [{ seq: 1, at: 0, metadata: { history: true } }], [['history']]],
  ] as const)('flags %d. %s', (_number, _what, sent, flags) => {
    expect(flagsOf(sent as readonly Sent[])).toEqual(flags as unknown as string[][])
  })

  test.each([
    [
      1,
      'late',
      [
        { seq: 1, at: 10 },
        { seq: 2, at: 5, value: 99 },
      ],
    ],
    [
      2,
      'ahead of time',
      [
        { seq: 1, at: 10 },
        { seq: 2, at: 900, arrivedAt: 11, value: 99 },
      ],
    ],
    [
      3,
      'history',
      [
        { seq: 1, at: 10 },
        { seq: 2, at: 11, value: 99, metadata: { history: true } },
      ],
    ],
    [
      4,
      'bad',
      [
        { seq: 1, at: 10 },
        { seq: 2, at: 11, value: 99, quality: 0.1 },
      ],
    ],
    [
      5,
      'a filled gap',
      [
        { seq: 2, at: 10 },
        { seq: 1, at: 11, value: 99 },
      ],
    ],
    [
      6,
      'a repeat',
      [
        { seq: 1, at: 10 },
        { seq: 1, at: 11, value: 99 },
      ],
    ],
  ])('raises nothing for what is %d. %s', (_number, _what, sent) => {
    expect(run(sent as Sent[]).raised).toEqual([])
  })

  test('late data do not clear an alarm either; live data do', () => {
    const high: Sent[] = [{ seq: 1, at: 10, value: 99 }]
    const late = [2, 3, 4].map((seq): Sent => ({ seq, at: seq, value: 20 }))
    const live = [5, 6, 7].map((seq): Sent => ({ seq, at: 10 + seq, value: 20 }))
    expect(run([...high, ...late]).cleared).toEqual([])
    const { raised, cleared } = run([...high, ...late, ...live])
    expect(raised.map((a) => (a as { rule_id: string }).rule_id).sort()).toEqual([
      'temperature.high',
      'temperature.high_high',
    ])
    expect(cleared.map((a) => (a as { alert_id: string }).alert_id).sort()).toEqual(
      raised.map((a) => (a as { alert_id: string }).alert_id).sort(),
    )
  })

  test('the authority on the level is the limit, not the claim', () => {
    expect(
      run([
        { seq: 1, at: 0, value: 41 },
        { seq: 2, at: 1, value: 36 },
        { seq: 3, at: 2, value: 20 },
      ]).rows.map((r) => r.level),
    ).toEqual([2, 1, 0])
  })
})

describe('a broken message', () => {
  test('is never thrown out of process(), whatever its key and headers', () => {
    const state = freshState()
    const outputs = createOutputs()
    const processor = createProcessor(state, () => outputs, where, keys, 'consumer-1')
    const fault = new Fault('decode', 'is broken')
    const odd = [
      null,
      Buffer.alloc(0),
      Buffer.from([0, 255]),
      Buffer.alloc(100_000, 'k'),
      Buffer.from('temp-1'),
    ]
    for (const [offset, key] of odd.entries()) {
      processor.process({ offset, appendedAtMs: 0, key, value: null, headers: undefined }, fault, {
        runId: 'r',
        seq: 9,
      })
    }
    expect(outputs.deadLetters.map((letter) => letter.source)).toEqual([null, null, null, null, 'temp-1'])
  })
})
