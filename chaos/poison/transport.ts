import { BAD_TIMES } from './corpus.ts'
import { DAY, letter, SECOND, stored, type Desk } from './draft.ts'
import type { Expected } from '../catalogue.ts'

/** What is wrong around it: depth and size, keys and headers. */
export function badTransport(desk: Desk): void {
  const { add, message, withMetadata, run } = desk
  // ── depth and size ──
  add('a million lists: beyond the size that is looked into', letter('too_large'), {
    value: () => Buffer.from('['.repeat(500_000) + ']'.repeat(500_000)),
  })
  add('a million opening brackets', letter('too_large'), { value: () => Buffer.from('['.repeat(1_000_000)) })
  add('130,000 lists, closed', letter('schema'), {
    value: () => Buffer.from('['.repeat(130_000) + ']'.repeat(130_000)),
  })
  add('260,000 opening brackets', letter('decode'), { value: () => Buffer.from('['.repeat(260_000)) })
  add('40,000 objects, closed', letter('schema'), {
    value: () => Buffer.from('{"a":'.repeat(40_000) + '1' + '}'.repeat(40_000)),
  })
  add('metadata of 8 levels', stored(), { value: withMetadata(nested(8)) })
  add('metadata of 9 levels', letter('schema'), { value: withMetadata(nested(9)) })
  add('metadata of 30,000 levels', letter('schema'), { value: withMetadata(nested(30_000)) })
  add('an unknown field of 100,000 levels is ignored', stored(), {
    value: message().replace(/}$/, `,"extra":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
  })
  add('just as large as is looked into', stored(), {
    value: sized(message({ metadata: { note: '' } }), 256 * 1024),
  })
  add('one byte more', letter('too_large'), {
    value: sized(message({ metadata: { note: '' } }), 256 * 1024 + 1),
  })
  add('900 kB', letter('too_large'), { value: sized(message({ metadata: { note: '' } }), 900_000) })
  add('a thousand metadata keys', stored(), {
    value: message({ metadata: Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, i])) }),
  })
  add('1.2 MB', { end: 'refused' }, { value: () => Buffer.alloc(1_200_000, 'x') })
  add('10 MB', { end: 'refused' }, { value: () => Buffer.alloc(10 * 1024 * 1024, 'x') })

  // ── keys and headers ──
  add('no key', stored(), { key: null, value: message() })
  add('an empty key', stored(), { key: Buffer.alloc(0), value: message() })
  add('a binary key', stored(), { key: Buffer.from([0, 0xff, 0xfe, 10, 13]), value: message() })
  add('a key of 100,000 bytes', stored(), { key: Buffer.alloc(100_000, 'k'), value: message() })
  add('a key of 100,000 bytes at a dead letter', letter('decode'), {
    key: Buffer.alloc(100_000, 'k'),
    value: 'x',
  })
  add('a key that names another sensor', stored(), { key: Buffer.from('somebody-else'), value: message() })
  const id = { 'run-id': run, seq: '1' }
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`h${i}`, String(i)]))
  add('no headers', stored('unidentified'), { headers: {}, value: message() })
  add('a run without a number', stored('unidentified'), { headers: { 'run-id': run }, value: message() })
  add('a number without a run', stored('unidentified'), { headers: { seq: '1' }, value: message() })
  for (const seq of ['0', '-1', '1.5', '1e3', 'one', '', ' 1', '0x1', '9'.repeat(16), '9'.repeat(500)]) {
    add(`the number in the header is "${seq.slice(0, 20)}"`, stored('unidentified'), {
      headers: { 'run-id': run, seq },
      value: message(),
    })
  }
  for (const runId of ['', 'a b', "'; drop table runs; --", 'x'.repeat(65), 'run\0', 'run\n']) {
    add(`the run in the header is ${JSON.stringify(runId.slice(0, 20))}`, stored('unidentified'), {
      headers: { 'run-id': runId, seq: '1' },
      value: message(),
    })
  }
  add('the number header twice', stored('unidentified'), {
    headers: { 'run-id': run, seq: ['1', '2'] },
    value: message(),
  })
  add('binary in the run header', stored('unidentified'), {
    headers: { 'run-id': Buffer.from([0xff, 0, 0xfe]), seq: '1' },
    value: message(),
  })
  add('1,000 headers', stored(), { headers: { ...many(1000), ...id }, value: message() })
  add('1,000 headers at a dead letter', letter('decode'), { headers: { ...many(1000), ...id }, value: 'x' })
  add('30,000 headers', stored(), { headers: { ...many(30_000), ...id }, value: message() })
  add('one header name 20,000 times', stored(), {
    headers: { again: Array.from({ length: 20_000 }, (_, i) => String(i)), ...id },
    value: message(),
  })
  add('a header of 64 KiB', stored(), { headers: { big: 'x'.repeat(65_536), ...id }, value: message() })
  add('a header of 64 KiB at a dead letter', letter('decode'), {
    headers: { big: 'x'.repeat(65_536), ...id },
    value: 'x',
  })
  add('a header name of 10,000 characters', letter('decode'), {
    headers: { ['n'.repeat(10_000)]: 'x', ...id },
    value: 'x',
  })
  add('headers called __proto__, constructor and toString', letter('decode'), {
    headers: { ...id, ['__proto__']: 'x', constructor: 'y', toString: 'z' },
    value: 'x',
  })
  add('binary and NUL in headers of a dead letter', letter('decode'), {
    headers: {
      ...id,
      nul: 'a\0b',
      bytes: Buffer.from([0, 0xff, 0xd8]),
      half: Buffer.from('ed a0 80'.replaceAll(' ', ''), 'hex'),
    },
    value: 'x',
  })
  add('an empty header name', letter('decode'), { headers: { ...id, '': 'x' }, value: 'x' })
}

/** When it was measured, and in which order it comes. */
export function badTimes(desk: Desk): void {
  const { add, message, at, now, run, sensorOf } = desk
  // ── time ──
  for (const [what, text] of BAD_TIMES)
    add(`the time is ${what}: ${text}`, letter('schema'), { value: message({ timestamp: text }) })
  for (const [unit, number] of [
    ['s', now / 1000],
    ['ms', now],
    ['µs', now * 1000],
  ] as const) {
    add(`the time is a number (${unit})`, letter('schema'), {
      value: message({ timestamp: Math.round(number) }),
    })
    add(`the time is a number in a string (${unit})`, letter('schema'), {
      value: message({ timestamp: String(Math.round(number)) }),
    })
  }
  add('the time with +01:00', stored(), {
    value: message({ timestamp: at(3600 * SECOND).replace('Z', '+01:00') }),
  })
  add('the time with −05:30', stored(), {
    value: message({ timestamp: at(-5.5 * 3600 * SECOND).replace('Z', '-05:30') }),
  })
  add('the time without fractions', stored(), { value: message({ timestamp: `${at().slice(0, 19)}Z` }) })
  add('the time with nine fraction digits', stored(), {
    value: message({ timestamp: at().replace('Z', '999Z') }),
  })
  add('29 February of a leap year', stored('late', 'clock'), {
    value: message({ timestamp: '2024-02-29T12:00:00.000000Z' }),
  })
  add('year 1', stored('late', 'clock'), { value: message({ timestamp: '0001-01-01T00:00:00.000000Z' }) })
  add('year 1970', stored('late', 'clock'), { value: message({ timestamp: '1970-01-01T00:00:00Z' }) })
  add('year 9999', stored('clock'), { value: message({ timestamp: '9999-12-31T23:59:59Z' }) })
  add('4 minutes ahead', stored(), { value: message({ timestamp: at(240 * SECOND) }) })
  add('6 minutes ahead', stored('clock'), { value: message({ timestamp: at(360 * SECOND) }) })
  add('29 days ago', stored('late'), { value: message({ timestamp: at(-29 * DAY) }) })
  add('31 days ago', stored('late', 'clock'), { value: message({ timestamp: at(-31 * DAY) }) })

  // ── one sensor, several messages ──
  const series = (
    group: string,
    what: string,
    expected: Expected,
    seq: number,
    offsetMs: number,
    change = {},
  ) =>
    add(`${group}: ${what}`, expected, {
      group,
      headers: { 'run-id': run, seq: String(seq) },
      value: message({ timestamp: at(offsetMs), ...change }, sensorOf(group)),
    })
  series('order', 'the first', stored(), 1, 0)
  series('order', 'ten seconds older', stored('late'), 2, -10 * SECOND)
  series('order', 'an hour older', stored('late'), 3, -3600 * SECOND)
  series('order', 'of the same moment', stored(), 4, 0)
  series('order', 'newer again', stored(), 5, SECOND)
  series('again', 'the first', stored(), 1, 0)
  series('again', 'the same again', { end: 'repeat' }, 1, 0)
  series('again', 'the same number, another value', { end: 'conflict' }, 1, 0, { value: 26 })
  series('again', 'the same number, another time', { end: 'conflict' }, 1, 1)
  series('again', 'the next', stored(), 2, SECOND)
  series('gaps', 'the first', stored(), 1, 0)
  series('gaps', 'two numbers are missing', stored('gapBefore'), 4, SECOND)
  series('gaps', 'one of them comes', stored('late', 'filled'), 3, -SECOND)
  series('gaps', 'it comes again', { end: 'repeat' }, 3, -SECOND)
  series('gaps', 'the other comes', stored('late', 'filled'), 2, -2 * SECOND)
  series('poison', 'the first', stored(), 1, 0)
  series('poison', 'the second is broken', letter('schema'), 2, SECOND, { value: 'hot' })
  series('poison', 'the third leaves no gap', stored(), 3, 2 * SECOND)
  series('poison', 'the second is sent again, corrected', stored('late', 'filled'), 2, SECOND)
  series('moved', 'the first', stored(), 1, 0)
  series('moved', 'it has another machine now', stored(), 2, SECOND, {
    location: { factory_section: 'production', machine_id: 'machine-002', zone: 'zone-b' },
  })
  series('moved', 'it has another type and unit now', stored(), 3, 2 * SECOND, {
    sensor_type: 'humidity',
    unit: '%',
  })
}

/** An object of this many levels. */
function nested(levels: number): string {
  return '{"a":'.repeat(levels - 1) + '{}' + '}'.repeat(levels - 1)
}

/** The message with its empty note filled up, so that it has exactly this many bytes. */
function sized(text: string, bytes: number): () => Buffer {
  return () =>
    Buffer.from(text.replace('"note":""', `"note":"${'x'.repeat(bytes - Buffer.byteLength(text))}"`))
}
