import { expect, test } from 'bun:test'
import { h, toHtml } from '../../lib/monitor/page/tree.ts'
import { whyFacts, type Facts } from '../../lib/monitor/page/why.ts'

const textOf = (facts: Facts, unit = '°C') =>
  toHtml(h('div', null, whyFacts(facts, unit)))
    .replace(/<\/(dt|td|th|h3|dd|caption)>/g, ' ')
    .replace(/<[^>]*>/g, '')
    .replace(/\s+/g, ' ')
    .trim()

const LIMIT = {
  part: 'limit',
  rule: { id: 'temperature.high', kind: 'limit', title: 'Temperature high', version: 3 },
  explanation: 'said above',
  response: 'Look at the fan',
  consequence: null,
  expected: null,
  low: null,
  high: 35,
  rarity: null,
  rare: null,
  limits: {
    'temperature.high': { side: 'high', limit: 35, deadband: 1.25, level: 'warning' },
    'temperature.physical': { low: -40, high: 125 },
  },
  recent: [{ at: '2026-01-01T00:00:00Z', value: 20 }],
  source: { topic: 'sensor-data', partition: 1, offset: 7 },
  live: true,
}

test('a limit: what it is, what to do, and all limits in force as a table', () => {
  expect(textOf(LIMIT)).toBe(
    'What spoke limit Rule Temperature high (limit) What to do Look at the fan Data live limit 35.00 °C ' +
      'Limits in force Details side limit deadband level low high ' +
      'temperature.high high 35.00 1.25 warning — — temperature.physical — — — — -40.00 125.00',
  )
})

test('what is rare, usual and seen by a detector', () => {
  const reasons = [{ part: 'change', size: 4, p: 0.00025, usual: null }]
  const facts = {
    ...LIMIT,
    part: 'change',
    expected: 21.5,
    low: 20,
    high: 23,
    rare: '1 in 4,000',
    limits: {},
    reasons,
  }
  const text = textOf(facts)
  expect(text).toContain('How rare 1 in 4,000 readings of this sensor')
  expect(text).toContain('Usual now 21.50 °C')
  expect(text).toContain('usual band 20.00 °C to 23.00 °C')
  expect(text).toContain('What was seen Details part size p change 4.00 0.00025')
  expect(text).not.toContain('Limits in force')
})

test.each([
  ['a list', { sensors: ['a', 'b'] }, 'sensors a, b'],
  ['an object', { means: { a: 1, b: 20 } }, 'Means of that minute a 1.00, b 20.00'],
  ['no', { heard: false }, 'heard no'],
  ['nothing', { a: null, b: '', c: [], d: {} }, ''],
])('what a later rule adds is shown by its name: %s', (_, facts, text) => {
  expect(textOf(facts)).toBe(text)
})
