import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { CHECKPOINT_VERSION, decodeCheckpoint, encodeCheckpoint } from '../../lib/ingest/checkpoint.ts'
import { decodeFactory, Fault } from '../../lib/ingest/decode.ts'
import { FLAG, flagNames } from '../../lib/ingest/flags.ts'
import { identityOf } from '../../lib/ingest/identity.ts'
import { createOutputs, type Message, type Outputs } from '../../lib/ingest/outputs.ts'
import { createProcessor, createState, type PartitionState } from '../../lib/ingest/partition.ts'
import { defaultBook, rulesOf } from '../alarm/log.ts'
import { readRows } from './rows.ts'

const BEGAN = Date.UTC(2026, 0, 1)
const rules = rulesOf(1, defaultBook)
/** a partition that these rules judge from the start */
function freshState(): PartitionState {
  return { ...createState(), rules }
}
const where = { topic: 'sensor-data', partition: 0, topicKey: 1 }
const keys = {
  sensor: (r: { sensorId: string; unit: string }) => Bun.hash.crc32(r.sensorId + r.unit) >>> 1,
  run: () => 7,
}

interface Sent {
  sensor?: string
  seq: number | null
  value?: number | string
  /** seconds after the beginning, of measuring; arrival is the offset in seconds unless told */
  at: number
  arrivedAt?: number
  quality?: number
  metadata?: object
}

function logOf(sent: readonly Sent[]): Message[] {
  return sent.map((one, offset) => ({
    offset,
    appendedAtMs: BEGAN + (one.arrivedAt ?? one.at) * 1000,
    key: Buffer.from(one.sensor ?? 'temp-1'),
    value: Buffer.from(
      JSON.stringify({
        timestamp: new Date(BEGAN + one.at * 1000).toISOString(),
        sensor_id: one.sensor ?? 'temp-1',
        sensor_type: 'temperature',
        location: { factory_section: 'p', machine_id: 'm', zone: 'z' },
        value: one.value ?? 20,
        unit: '°C',
        quality: one.quality,
        metadata: one.metadata,
      }),
    ),
    headers: one.seq === null ? {} : { 'run-id': Buffer.from('run-1'), seq: Buffer.from(String(one.seq)) },
  }))
}

/** Processes the log from `from` on into the state; what comes before `liveFrom` is read again, with nothing put out. */
function process(state: PartitionState, log: readonly Message[], outputs: Outputs, liveFrom = 0): void {
  let live = false
  const processor = createProcessor(state, () => (live ? outputs : null), where, keys, 'consumer-1')
  for (const message of log) {
    live = message.offset >= liveFrom
    processor.process(message, decodeFactory(message.value), identityOf(message.headers))
  }
}

/** What the database would get: rows, alarms with their ids, dead letters, counters. */
interface Stored {
  rows: ReturnType<typeof readRows>
  raised: unknown[]
  cleared: unknown[]
  letters: number[]
  counters: Outputs['counters']
}

function storedOf(batches: readonly Outputs[]): Stored {
  const counters = createOutputs().counters
  for (const batch of batches) {
    for (const name of Object.keys(counters) as (keyof typeof counters)[])
      counters[name] += batch.counters[name]
  }
  return {
    rows: batches.flatMap((batch) => readRows(batch.copy.finish())),
    raised: batches.flatMap((batch) => batch.raised),
    cleared: batches.flatMap((batch) => batch.cleared),
    letters: batches.flatMap((batch) => batch.deadLetters.map((letter) => letter.message.offset)),
    counters,
  }
}

function run(sent: readonly Sent[]): Stored & { state: PartitionState } {
  const state = freshState()
  const outputs = createOutputs()
  process(state, logOf(sent), outputs)
  return { ...storedOf([outputs]), state }
}

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

// ── properties ──

const sent: fc.Arbitrary<Sent[]> = fc.array(
  fc.record({
    sensor: fc.constantFrom('temp-1', 'temp-2'),
    seq: fc.option(fc.integer({ min: 1, max: 40 }), { freq: 8 }),
    value: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(20, 34, 36, 39, 41, 300, -70) },
      { weight: 1, arbitrary: fc.constant('hot') },
    ),
    at: fc.integer({ min: 0, max: 100 }),
    arrivedAt: fc.integer({ min: 0, max: 400 }),
    quality: fc.constantFrom(1, 1, 1, 0.1),
  }),
  { minLength: 1, maxLength: 60 },
)

describe('properties of process()', () => {
  test('any cut into batches gives the same rows, the same alarms with the same ids, the same counts', () => {
    fc.assert(
      fc.property(sent, fc.array(fc.nat(60), { maxLength: 5 }), (list, cuts) => {
        const log = logOf(list)
        const ends = [...new Set([...cuts.filter((cut) => cut < log.length), log.length])].sort(
          (a, b) => a - b,
        )
        const state = freshState()
        const batches = ends.map((end, i) => {
          const outputs = createOutputs()
          process(state, log.slice(ends[i - 1] ?? 0, end), outputs)
          return outputs
        })
        const { state: whole, ...expected } = run(list)
        expect(storedOf(batches)).toEqual(expected)
        expect(state).toEqual(whole)
      }),
      { numRuns: 300 },
    )
  })

  test('a restart from any checkpoint, with the log read again up to what is stored, gives the same', () => {
    fc.assert(
      fc.property(sent, fc.nat(), fc.nat(), (list, a, b) => {
        const log = logOf(list)
        const [checkpointAt = 0, storedTo = 0] = [a % (log.length + 1), b % (log.length + 1)].sort(
          (x, y) => x - y,
        )
        const before = createOutputs()
        const first = freshState()
        process(first, log.slice(0, checkpointAt), before)
        const bytes = encodeCheckpoint(first)
        process(first, log.slice(checkpointAt, storedTo), before)

        const restored = decodeCheckpoint(bytes, CHECKPOINT_VERSION)?.state
        restored!.rules = rules
        const after = createOutputs()
        process(restored!, log.slice(checkpointAt), after, storedTo)
        const { state: whole, ...expected } = run(list)
        expect(storedOf([before, after])).toEqual(expected)
        // as bytes: a detector that met no reading since still waits as such
        expect(encodeCheckpoint(restored!)).toEqual(encodeCheckpoint(whole))
      }),
      { numRuns: 300 },
    )
  })

  test('the whole log twice stores what has an identity once, and raises nothing more', () => {
    fc.assert(
      fc.property(sent, (list) => {
        const identified = list.filter((one) => one.seq !== null && typeof one.value === 'number')
        const once = run(identified)
        const twice = run([...identified, ...identified])
        expect(twice.rows).toEqual(once.rows)
        expect(twice.raised).toEqual(once.raised)
        expect(twice.cleared).toEqual(once.cleared)
      }),
      { numRuns: 300 },
    )
  })

  test('every message ends in one place: stored, dead letter, repeat or conflict', () => {
    fc.assert(
      fc.property(sent, (list) => {
        const { counters, rows, letters } = run(list)
        expect(counters.stored).toBe(rows.length)
        expect(counters.dead_lettered).toBe(letters.length)
        expect(counters.stored + counters.dead_lettered + counters.repeated + counters.conflicting).toBe(
          list.length,
        )
        expect(counters.late).toBe(rows.filter((row) => row.flags & FLAG.late).length)
      }),
      { numRuns: 300 },
    )
  })

  test('what is not live moves no alarm: without it the alarms are the same', () => {
    fc.assert(
      fc.property(sent, (list) => {
        const spoilt = list.map((one): Sent => ({ ...one, seq: null, arrivedAt: one.at }))
        const between = spoilt.flatMap((one): Sent[] => [one, { ...one, value: 99, quality: 0.1 }])
        const names = (stored: Stored) =>
          stored.raised.map(
            (a) => `${(a as { rule_id: string }).rule_id} ${(a as { timestamp: string }).timestamp}`,
          )
        expect(names(run(between))).toEqual(names(run(spoilt)))
      }),
      { numRuns: 300 },
    )
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
