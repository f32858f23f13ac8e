import { describe, expect, test } from 'bun:test'
import type { Evidence } from '../../chaos/judge/evidence.ts'
import { judge, violatedIn } from '../../chaos/judge/verdict.ts'
import { messageOf, soundRun, TOPIC } from './evidence.ts'

/** What is done to a sound run, and which invariants must show it. */
const CASES: [what: string, damage: (e: Evidence) => void, shows: string[]][] = [
  [
    'a row is missing, and so is what it counts',
    (e) => (e.tables.rows.pop(), (e.tables.progress[0]!.stored = 9)),
    ['I1', 'I8'],
  ],
  [
    'a row is there twice',
    (e) => (e.tables.rows.push(e.tables.rows[3]!), (e.tables.progress[0]!.stored = 11)),
    ['I2'],
  ],
  ['a row says something else', (e) => (e.tables.rows[3]!.print = 1n), ['I3']],
  ['a row that nobody accepted', (e) => e.tables.rows.push({ ...e.tables.rows[3]!, seq: 77 }), ['I3', 'I6']],
  ['two sends were given one place', (e) => e.sends!.push({ ...e.sends![0]!, at: 1 }), ['I4']],
  ['what was acknowledged is not in the log', (e) => e.log.splice(9, 1), ['I3', 'I4']],
  [
    'numbers come out of order',
    (e) => ([e.log[3], e.log[4]] = [{ ...messageOf(3, 22, 5) }, { ...messageOf(4, 37, 4) }]),
    ['I3', 'I4', 'I5', 'I6'],
  ],
  ['a position went back', (e) => e.positions!.push({ ...e.positions![0]!, at: 9e15, next: 3 }), ['I6']],
  ['the log was not read to its end', (e) => (e.tables.progress[0]!.next = 9), ['I6']],
  [
    'a repeat is not counted',
    (e) => (e.log.push(messageOf(10, 20, 10)), (e.ends[0]!.high = 11), (e.tables.progress[0]!.next = 11)),
    ['I6'],
  ],
  ['an alarm has another id', (e) => (e.tables.alarms[0]!.id = 'x'), ['I7']],
  ['an alarm is missing', (e) => ((e.tables.alarms = []), (e.alerts = [])), ['I7']],
  ['an alarm ended elsewhere', (e) => (e.tables.alarms[0]!.clearedOffset = 7), ['I7']],
  ['an alarm was never published', (e) => (e.alerts = []), ['I7']],
  [
    'a good message is a dead letter',
    (e) =>
      e.tables.letters.push({
        topic: TOPIC,
        partition: 0,
        offset: 4,
        reason: 'storage',
        run: 'run-1',
        sensor: 'temp-1',
        seq: 5,
      }),
    ['I6', 'I8'],
  ],
  [
    'a broken message is none',
    (e) => (e.log[4] = { ...e.log[4]!, content: { is: 'bad', why: 'not JSON' } }),
    ['I3', 'I7', 'I8'],
  ],
  ['a kill shows in no rebalance', (e) => (e.faults[0]!.at += 60_000), ['I9']],
  [
    'two members have one partition',
    (e) => (
      e.faults.pop(),
      e.tables.rebalances.push({
        at: 9e14,
        consumer: 'consumer-3',
        type: 'rebalance_complete',
        assigned: [`${TOPIC}/0`],
      })
    ),
    ['I9'],
  ],
  ['the API fails for long', (e) => e.answers!.forEach((a) => (a.status = 500)), ['I10']],
  ['the API calls old data ok', (e) => (e.answers![1]!.ages = { consumers: 60 }), ['I10']],
  [
    'a process died, and nobody had asked',
    (e) => e.processes!.push({ ...e.processes![0]!, name: 'monitor', pid: 9, at: e.processes![0]!.at - 3e6 }),
    ['I11'],
  ],
  [
    'a consumer that works was not watched',
    (e) => e.processes!.forEach((p) => (p.name = 'producer')),
    ['I11'],
  ],
  [
    'memory grows',
    (e) =>
      (e.processes = Array.from({ length: 200 }, (_, i) => ({
        ...e.processes![0]!,
        at: i * 10_000,
        rssBytes: 80e6 + i * 1e6,
      }))),
    ['I11'],
  ],
  [
    'descriptors are kept',
    (e) =>
      (e.processes = Array.from({ length: 200 }, (_, i) => ({
        ...e.processes![0]!,
        at: i * 10_000,
        fds: 20 + Math.floor(i / 5),
      }))),
    ['I11'],
  ],
  [
    'something was thrown into the void',
    (e) => e.texts.set('monitor.log', '{"event.action":"process.unhandled_rejection"}'),
    ['I11'],
  ],
  ['a secret is told', (e) => e.texts.set('plant.log', 'canary-secret'), ['I12']],
]

describe('judge()', () => {
  test('holds all twelve in a sound run', () => {
    const verdict = judge(soundRun())
    expect(verdict.invariants.map((i) => `${i.id} ${i.verdict} ${i.examples.join()}`.trim())).toEqual(
      Array.from({ length: 12 }, (_, i) => `I${i + 1} held`),
    )
  })

  test.each(CASES)('sees that %s', (_, damage, shows) => {
    const run = soundRun()
    damage(run)
    expect(violatedIn(judge(run))).toEqual(shows)
  })

  test('says "not applicable" of what was not recorded, never "held"', () => {
    const verdict = judge({
      ...soundRun(),
      accepted: null,
      sends: null,
      answers: null,
      processes: null,
      texts: new Map(),
    })
    const silent = verdict.invariants.filter((i) => i.verdict === 'not applicable').map((i) => i.id)
    expect(silent).toEqual(['I1', 'I4', 'I10', 'I11', 'I12'])
  })
})
