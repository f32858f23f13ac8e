import { afterEach, describe, expect, spyOn, test } from 'bun:test'
import fc from 'fast-check'
import { formatMicros, nowMicros, parseMicros, parseMicrosAssumingUtc } from '../lib/time.ts'

describe('parseMicros()', () => {
  test.each([
    [
      1,
      'the form of the contract',
      '2025-09-16T21:41:41.011144Z',
      Date.UTC(2025, 8, 16, 21, 41, 41) * 1000 + 11_144,
    ],
    [2, 'without a fraction', '1970-01-01T00:00:01Z', 1_000_000],
    [3, 'milliseconds', '1970-01-01T00:00:00.123Z', 123_000],
    [4, 'nine digits are cut to six', '1970-01-01T00:00:00.123456999Z', 123_456],
    [5, 'before 1970', '1969-12-31T23:59:59.999999Z', -1],
    [6, 'an offset to the east is earlier in UTC', '1970-01-01T01:00:00+01:00', 0],
    [7, 'an offset to the west is later in UTC', '1969-12-31T18:30:00-05:30', 0],
    [8, '29 February of a leap year', '2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29) * 1000],
    [9, '29 February of 2000', '2000-02-29T00:00:00Z', Date.UTC(2000, 1, 29) * 1000],
    [10, 'the first moment that there is', '0001-01-01T00:00:00Z', -62_135_596_800e6],
    [11, 'the last second that there is', '9999-12-31T23:59:59Z', 253_402_300_799e6],
  ])('%d. %s', (_number, _what, text, micros) => {
    expect(parseMicros(text)).toBe(micros)
  })

  test.each([
    [1, 'no zone', '2025-09-16T21:41:41.011144'],
    [2, '30 February is not 2 March', '2025-02-30T00:00:00Z'],
    [3, '29 February of a common year', '2025-02-29T00:00:00.000000Z'],
    [4, '29 February of 1900', '1900-02-29T00:00:00Z'],
    [5, 'the 31st of a month of 30 days', '2025-06-31T00:00:00Z'],
    [6, 'month 0', '2025-00-10T00:00:00Z'],
    [7, 'month 13', '2025-13-10T00:00:00.000000Z'],
    [8, 'day 0', '2025-01-00T00:00:00Z'],
    [9, 'hour 24', '2025-01-01T24:00:00.000000Z'],
    [10, 'minute 60', '2025-01-01T00:60:00.000000Z'],
    [11, 'a leap second', '2016-12-31T23:59:60.000000Z'],
    [12, 'an offset of a day', '2025-01-01T00:00:00+24:00'],
    [13, 'year 0', '0000-12-31T00:00:00.000000Z'],
    [14, 'before year 1 in UTC', '0001-01-01T00:00:00+00:01'],
    [15, 'after year 9999 in UTC', '9999-12-31T23:59:59-00:01'],
    [16, 'five digits of a year', '12025-01-01T00:00:00Z'],
    [17, 'a date alone', '2025-01-01'],
    [18, 'a space in the fraction', '2025-01-01T00:00:00.00 000Z'],
    [19, 'a sign in the fraction', '2025-01-01T00:00:00.-00000Z'],
    [20, 'nothing', ''],
  ])('is NaN for %d. %s', (_number, _what, text) => {
    // once more after a time of the same day, which takes the short way
    for (let i = 0; i < 2; i++) {
      expect(parseMicros(text)).toBeNaN()
      parseMicros(`${text.slice(0, 10)}T00:00:00.000000Z`)
    }
  })

  test('agrees with Date on every millisecond of ours', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31'), noInvalidDate: true }),
        (d) => {
          expect(parseMicros(d.toISOString())).toBe(d.getTime() * 1000)
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('undoes formatMicros(), whatever was parsed before', () => {
    const micros = fc.integer({
      min: parseMicros('1700-01-01T00:00:00Z'),
      max: parseMicros('2250-01-01T00:00:00Z'),
    })
    fc.assert(
      fc.property(micros, fc.integer({ min: 0, max: 86_400_000_000 }), (first, later) => {
        for (const us of [first, first + later, first]) expect(parseMicros(formatMicros(us))).toBe(us)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('formatMicros()', () => {
  test('has always six digits, so that times sort as text', () => {
    const times = [-1, 0, 1, 999, 1000, 123_456, 1_000_000]
    const texts = times.map(formatMicros)
    expect(texts[0]).toBe('1969-12-31T23:59:59.999999Z')
    expect(texts[2]).toBe('1970-01-01T00:00:00.000001Z')
    expect(texts.map((t) => t.length)).toEqual(times.map(() => 27))
    expect([...texts].sort()).toEqual(texts)
  })
})

describe('parseMicrosAssumingUtc()', () => {
  test('reads a time without a zone as UTC, and keeps a zone that is there', () => {
    expect(parseMicrosAssumingUtc('2025-12-03T14:30:45.123456')).toBe(
      parseMicros('2025-12-03T14:30:45.123456Z'),
    )
    expect(parseMicrosAssumingUtc('2025-12-03T14:30:45+01:00')).toBe(parseMicros('2025-12-03T13:30:45Z'))
    expect(parseMicrosAssumingUtc('yesterday')).toBeNaN()
  })
})

describe('nowMicros()', () => {
  const clock = spyOn(Date, 'now')
  afterEach(() => clock.mockRestore())

  test('follows the clock of the machine when that is set, as after a suspend', () => {
    const hourLater = Date.now() + 3_600_000
    clock.mockReturnValue(hourLater)
    expect(nowMicros() / 1000).toBe(hourLater)
  })

  test('is the clock of the machine', () => {
    const before = Date.now() - 50
    const now = nowMicros() / 1000
    expect(now).toBeGreaterThan(before)
    expect(now).toBeLessThan(Date.now() + 50)
    expect(Number.isInteger(nowMicros())).toBe(true)
  })
})
