import { expect, test } from 'bun:test'
import type { RaisedAlarm } from '../../lib/alarm/alarm.ts'
import type { RuleBookText } from '../../lib/alarm/rulebook.ts'
import { createRandom } from '../../lib/fleet/random.ts'
import type { SensorType } from '../../lib/reading.ts'
import { bookOf, openPartition, readingOf, rulesOf, START } from './log.ts'

/**
 * What an alarm must say for itself, for every kind of rule that readings raise: rule and version, limits in force, the last
 * readings, how rare, which part spoke, where it was read, live or late. (Silence and machines: life.db, machines.db.)
 */
const HOUR = 3600e6
const random = createRandom('why')
const noise = () => random.next() - 0.5

interface Kind {
  rule: Record<string, unknown>
  type?: SensorType
  /** microseconds between readings */
  every?: number
  /** so many ordinary readings, then those that raise */
  calm?: number
  value?: (i: number) => number
  wild: (i: number) => number
  part: string[]
  /** what is rare is told: 1 in … */
  rare?: boolean
}

const calmly = () => 20 + noise()
const kinds: Record<string, Kind> = {
  limit: { rule: { side: 'high', limit: 30 }, wild: () => 35, part: ['limit'] },
  consecutive: { rule: { side: 'high', limit: 30, readings: 3 }, wild: () => 35, part: ['limit'] },
  physical: { rule: { low: 0, high: 100 }, wild: () => 400, part: ['physical'] },
  rapid_change: { rule: { limit: 10 }, wild: () => 40, part: ['change'] },
  deviation: { rule: { limit: 10 }, wild: () => 40, part: ['level'] },
  baseline: { rule: {}, calm: 2000, wild: () => 60, part: ['level', 'ratio', 'change', 'range'], rare: true },
  adaptive: {
    rule: {},
    every: 60e6,
    calm: 3000,
    wild: () => 60,
    part: ['level', 'ratio', 'change', 'hour-of-day', 'activity', 'trend', 'range'],
    rare: true,
  },
  quality: { rule: {}, calm: 300, wild: () => 20, part: ['frozen'], rare: true },
  vibration: {
    rule: { machine_class: 'group-2-flexible' },
    type: 'vibration',
    value: () => 2 + noise() / 10,
    wild: () => 9,
    part: ['zone'],
  },
  energy: {
    rule: { price_per_kwh: 0.25 },
    type: 'energy',
    every: HOUR / 6,
    calm: 6 * 24 * 9,
    value: (i) => (Math.floor(i / 6) % 24 < 12 ? 40 : 100) + noise(),
    wild: () => 300,
    part: ['pattern'],
  },
}

function raisedBy(name: string, kind: Kind): RaisedAlarm {
  const rule = {
    id: `test.${name}`,
    kind: name,
    severity: 'high',
    anomaly_type: 'x',
    title: `It is ${name}`,
    consequence: 'wear',
    response: 'look',
    ...kind.rule,
  }
  const guard = {
    id: 'test.guard',
    kind: 'limit',
    side: 'low',
    limit: -1000,
    severity: 'low',
    anomaly_type: 'y',
  }
  const partition = openPartition()
  const book = { rules: [rule, guard] } as RuleBookText
  partition.activate(rulesOf(7, bookOf(book)), 0, true)
  const { every = 3e6, calm = 100, type = 'temperature', value = calmly, wild } = kind
  for (let i = 0; i < calm + 100; i++) {
    const at = START + i * every
    partition.take(i, {
      reading: readingOf(1, type, at, i < calm ? value(i) : wild(i)),
      identity: null,
      appendedAtMs: at / 1000,
    })
    const [raised] = partition.outputs.raised.splice(0)
    if (raised && i >= calm) return raised
  }
  throw new Error(`nothing was raised by ${name}`)
}

test.each(Object.entries(kinds))('an alarm of kind %s explains itself', (name, kind) => {
  const raised = raisedBy(name, kind)
  const why: any = raised.why
  const { topic, partition, offset } = raised
  expect(why.rule).toEqual({ id: `test.${name}`, version: 7, kind: name, title: `It is ${name}` })
  expect([why.consequence, why.response]).toEqual(['wear', 'look'])
  expect(why.explanation.length).toBeGreaterThan(10)
  expect(kind.part).toContain(why.part)
  expect(why.reasons.length).toBeGreaterThan(0)
  expect(Object.keys(why.limits)).toContain('test.guard')
  expect(why.recent).toHaveLength(8)
  expect(Date.parse(why.recent.at(-1).at)).toBeLessThan(Date.parse(raised.timestamp))
  expect(why.source).toEqual({ topic, partition, offset })
  expect([why.live, raised.late]).toEqual([true, false])
  if (kind.rare) expect(why.rare).toMatch(/^1 in [\d,]+$/)
  else expect(why.rare).toBeNull()
})

test('energy tells what it is too much in kWh, and in money where there is a price', () => {
  const parts = raisedBy('energy', kinds.energy!).why.reasons as { part: string; size: number }[]
  const of = (part: string) => parts.find((r) => r.part === part)!.size
  expect(of('excess')).toBeGreaterThan(100)
  expect(of('cost')).toBeCloseTo(of('excess') * 0.25, 6)
})
