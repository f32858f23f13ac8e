import { describe, expect, test } from 'bun:test'
import { CONDITIONS, shortOfGreen } from '../../chaos/watch/conditions.ts'
import { files, read } from '../house/source.ts'
import { sample } from './watched.ts'

const since = sample(0)
const well = sample(10_000)

function holds(name: string, now: typeof since, ...words: string[]): boolean {
  const condition = CONDITIONS[name]
  if (!condition) throw new Error(`There is no condition "${name}"`)
  const all = Array.from({ length: 40 }, (_, i) => sample(i * 250))
  return condition({ now, since, all: [...all, now] }, ...words)
}

const kafka = (change: object) => sample(10_000, { kafka: { ...well.kafka!, ...change } })
const database = (change: object) => sample(10_000, { database: { ...well.database!, ...change } })

describe('each condition is false while all is well, and true of its damage', () => {
  const damage: [string, string[], typeof since][] = [
    [
      'isr-without',
      ['kafka2'],
      kafka({
        isr: [
          [1, 2, 3],
          [1, 3],
          [1, 2, 3],
        ],
      }),
    ],
    ['leader-moved', ['0', 'kafka1'], kafka({ leader: [3, 2, 3] })],
    ['member-gone', ['consumer-2'], kafka({ members: ['consumer-1', 'consumer-3'] })],
    ['members', ['0'], kafka({ members: [] })],
    ['kafka-silent', [], kafka({ at: 1000 })],
    ['refused', ['kafka1'], sample(10_000, { ports: { kafka1: false } })],
    ['database-silent', [], database({ at: 1000 })],
    [
      'owner-moved',
      ['consumer-1'],
      database({ partitions: well.database!.partitions.map((p) => ({ ...p, owner: 'consumer-2' })) }),
    ],
    ['claims', ['3'], database({ partitions: well.database!.partitions.map((p) => ({ ...p, epoch: 2 })) })],
    [
      'dead-letters',
      ['3'],
      database({ partitions: well.database!.partitions.map((p) => ({ ...p, dead: 1 })) }),
    ],
    ['backends-new', [], database({ backends: [21, 22] })],
    [
      'topic-stopped',
      [],
      database({ partitions: well.database!.partitions.map((p) => ({ ...p, stopped: true })) }),
    ],
    ['dead-letters', ['5'], database({ deadElsewhere: 5 })],
    ['wrong-times', ['5'], database({ wrongTimes: 5 })],
    ['spooled', ['100'], sample(10_000, { spool: { plant: { accepted: 1000, sent: 900, spooled: 100 } } })],
    ['accepted-stands', ['plant', '1'], sample(10_000, { spool: sample(9000).spool })],
    ['acks-stand', ['1'], sample(10_000, { spool: sample(9000).spool })],
    ['stored-stands', ['1'], database({ partitions: sample(9000).database!.partitions })],
    ['api', ['503'], sample(10_000, { api: 503 })],
  ]
  test.each(damage)('%s', (name, words, damaged) => {
    expect(holds(name, well, ...words)).toBe(false)
    expect(holds(name, damaged, ...words)).toBe(true)
  })
})

test('slow: one late answer on a busy machine is no slow network', () => {
  const answers = (tookMs: (i: number) => number) =>
    Array.from({ length: 40 }, (_, i) =>
      sample(i * 250, { database: { ...well.database!, at: i * 250, tookMs: tookMs(i) } }),
    )
  const isSlow = (all: (typeof since)[]) =>
    CONDITIONS.slow?.({ now: all.at(-1)!, since: all[0]!, all }, '200')
  expect(isSlow(answers(() => 300))).toBe(true)
  expect(isSlow(answers((i) => (i === 30 ? 5 : 300)))).toBe(false)
  expect(isSlow(answers((i) => (i === 30 ? 300 : 5)))).toBe(false)
  expect(isSlow(answers(() => 300).slice(0, 8))).toBe(false)
})

test('owner-moved: a partition that has a new owner and does not move is not taken over', () => {
  const stuck = since.database!.partitions.map((p) => ({ ...p, owner: 'consumer-2' }))
  expect(holds('owner-moved', database({ partitions: stuck }), 'consumer-1')).toBe(false)
})

test('what is asked of Kafka or PostgreSQL is never answered from an old look', () => {
  const old = { ...kafka({ at: 1000, isr: [[1]], members: [] }) }
  for (const [name, word] of [
    ['isr-without', 'kafka2'],
    ['member-gone', 'consumer-1'],
    ['members', '0'],
  ]) {
    expect(holds(name!, old, word!)).toBe(false)
  }
  expect(shortOfGreen({ now: old, since }, 3, 100)).toEqual(['Kafka does not answer'])
})

test('green: everything that is not well is named', () => {
  expect(shortOfGreen({ now: well, since }, 3, 100)).toEqual([])
  const ill = sample(10_000, {
    kafka: { ...well.kafka!, isr: [[1], [1, 2, 3]], members: ['consumer-1'], high: [5000, 5000, 5000] },
    spool: { plant: { accepted: 9000, sent: 1000, spooled: 8000 } },
    database: { ...well.database!, partitions: since.database!.partitions },
    api: 0,
  })
  expect(shortOfGreen({ now: ill, since }, 3, 100)).toHaveLength(8)
})

test('every condition that a script waits for is there, and every one that is there is waited for', () => {
  const scripts = files(/^chaos\/([a-z-]+\.sh|act\/(calm|mix))$/)
    .map(read)
    .join('\n')
  const named = [
    ...scripts.matchAll(/^\s*(?:\[.*\|\| )?effect \S+ ([a-z-]+)|until_seen \S+ \w+ ([a-z-]+)/gm),
  ].map((m) => m[1] ?? m[2] ?? '')
  const unknown = named.filter((name) => !CONDITIONS[name])
  const idle = Object.keys(CONDITIONS).filter((name) => !named.includes(name))
  expect({ unknown, idle }).toEqual({ unknown: [], idle: [] })
})
