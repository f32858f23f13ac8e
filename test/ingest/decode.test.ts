import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { decodeFactory, Fault, isCertainlyValid } from '../../lib/ingest/decode.ts'
import {
  encodeFactoryMessage,
  factoryMessage,
  fromFactoryMessage,
  LEVELS,
  MAX_VALUE_BYTES,
  type Reading,
} from '../../lib/reading.ts'
import { parseMicros } from '../../lib/time.ts'

const good = {
  timestamp: '2025-09-16T21:41:41.011144Z',
  sensor_id: 'temp-sensor-001',
  sensor_type: 'temperature',
  location: { factory_section: 'production', machine_id: 'machine-001', zone: 'zone-a' },
  value: 42.48,
  unit: '°C',
  alert_level: 'critical',
  quality: 1.0,
  metadata: { reading_count: 14, warning_threshold: 35.0, critical_threshold: 40.0 },
}
const text = (change: object = {}) => JSON.stringify({ ...good, ...change })
const decode = (value: string | Buffer) => decodeFactory(Buffer.from(value))

describe('decodeFactory()', () => {
  test('reads the message of the contract, field by field', () => {
    expect(decode(text())).toEqual({
      source: 'temp-sensor-001',
      unknownFields: 0,
      readings: [
        {
          sensorId: 'temp-sensor-001',
          sensorType: 'temperature',
          unit: '°C',
          location: { factorySection: 'production', machineId: 'machine-001', zone: 'zone-a' },
          measuredAt: Date.UTC(2025, 8, 16, 21, 41, 41) * 1000 + 11_144,
          value: 42.48,
          quality: 1,
          claimedLevel: 'critical',
          warningThreshold: 35,
          criticalThreshold: 40,
          metadata: null,
        },
      ],
    })
  })

  test.each([
    [1, 'no value at all', null, 'tombstone', 'never deleted'],
    [2, 'an empty value', '', 'empty', 'empty'],
    [3, 'one byte too many', Buffer.alloc(MAX_VALUE_BYTES + 1, ' '), 'too_large', '262145 bytes'],
    [4, 'Avro', Buffer.from([0, 0, 0, 0, 1]), 'not_json', 'byte 0'],
    [5, 'Latin-1', Buffer.from('"\xb0C"', 'latin1'), 'encoding', 'UTF-8'],
    [6, 'half a message', text().slice(0, 40), 'decode', 'is not JSON'],
    [7, 'a field of the wrong type', text({ value: '42' }), 'schema', 'value: '],
    [8, 'two wrong fields are both named', text({ value: '42', unit: 7 }), 'schema', 'unit: '],
    [
      9,
      '1e-400 would become 0',
      text({ value: 7 }).replace('7,', '1e-400,'),
      'schema',
      'smaller than a double',
    ],
    [10, 'the text of a fault has no control characters', 'a\u001b[31m\0', 'decode', 'is not JSON'],
  ] as const)('%d. %s', (_number, _what, value, reason, words) => {
    const fault = decodeFactory(value === null ? null : Buffer.from(value)) as Fault
    expect(fault).toBeInstanceOf(Fault)
    expect(fault.reason).toBe(reason)
    expect(fault.message).toContain(words)
    expect(fault.message).not.toMatch(/[\u0000-\u001f\u007f]/)
  })

  test('counts fields that it does not know, and takes the rest', () => {
    expect(decode(text({ firmware: '1.2', rssi: -70 }))).toMatchObject({ unknownFields: 2 })
    const { quality: _quality, ...fewer } = good
    expect(decode(JSON.stringify({ ...fewer, firmware: 1 }))).toMatchObject({ unknownFields: 1 })
  })

  test('a 0 is not mistaken for an underflow because another field is small', () => {
    const message = text({ value: 0, metadata: { value: 1e-9, note: '"value": 1e-9' } })
    expect(decode(message)).toMatchObject({ readings: [{ value: 0 }] })
  })

  test('metadata keeps what is beyond the standard, and never a prototype', () => {
    const message = text().replace(
      '"reading_count"',
      '"__proto__":{"polluted":true},"note":"x","reading_count"',
    )
    const [reading] = (decode(message) as { readings: Reading[] }).readings
    expect(reading?.metadata).toEqual({ note: 'x' })
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})

// ── properties ──

const id = fc.stringMatching(/^[A-Za-z0-9._:-]{1,64}$/)
const word = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,31}$/)
const label = (max: number) =>
  fc
    .string({ unit: 'grapheme', maxLength: max })
    .filter((s) => s.length <= max && !/[\u0000-\u001f\u007f]/.test(s))
const scalar = fc.oneof(
  fc.string({ unit: 'grapheme' }).filter((s) => !s.includes('\0')),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((v) => v + 0),
  fc.boolean(),
  fc.constant(null),
)
const limit = fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }).map((v) => v + 0))
const reading: fc.Arbitrary<Reading> = fc.record({
  sensorId: id,
  sensorType: word,
  unit: label(16),
  location: fc.record({ factorySection: label(64), machineId: label(64), zone: label(64) }),
  measuredAt: fc.integer({
    min: parseMicros('1970-01-01T00:00:00.000000Z'),
    max: parseMicros('2199-12-31T23:59:59.999999Z'),
  }),
  value: fc
    .double({ noNaN: true, min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER })
    .map((v) => v + 0),
  quality: fc.double({ noNaN: true, min: 0, max: 1 }).map((v) => v + 0),
  claimedLevel: fc.constantFrom(...LEVELS),
  warningThreshold: limit,
  criticalThreshold: limit,
  metadata: fc.option(
    fc.dictionary(
      word.filter(
        (key) => !['reading_count', 'run_id', 'warning_threshold', 'critical_threshold'].includes(key),
      ),
      scalar,
      { minKeys: 1, noNullPrototype: true },
    ),
  ),
})
const identity = fc.option(fc.record({ runId: id, seq: fc.integer({ min: 1 }) }))

/** Values that are nearly messages: a good one with a few fields replaced by anything. */
const nearly = fc
  .tuple(
    reading,
    identity,
    fc.dictionary(fc.constantFrom(...Object.keys(good), '__proto__', 'x'), fc.jsonValue(), { maxKeys: 2 }),
  )
  .map(([r, i, change]) => ({ ...JSON.parse(encodeFactoryMessage(r, i)), ...change }))
/** The same with a few metadata of any kind, among them the keys that make trouble. */
const trouble = fc.oneof(
  fc.constantFrom('__proto__', 'constructor', 'a\0b', '\ud800', 'history', 'value'),
  fc.string(),
)
const withMetadata = fc
  .tuple(
    reading,
    fc.array(fc.tuple(trouble, fc.oneof(scalar, fc.jsonValue(), fc.constantFrom('\0', '\udfff')))),
  )
  .map(([r, pairs]) => {
    const fields = pairs.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
    return { ...JSON.parse(encodeFactoryMessage(r, null)), metadata: JSON.parse(`{${fields}}`) }
  })
const timestamps = fc
  .tuple(
    reading,
    fc.stringMatching(/^[0-9]{4}-[0-3][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\.[0-9]{6}Z$/),
  )
  .map(([r, timestamp]) => ({ ...JSON.parse(encodeFactoryMessage(r, null)), timestamp }))

describe('properties of decodeFactory()', () => {
  test('what the quick check accepts, the schema accepts, and reads the same', () => {
    let accepted = 0
    fc.assert(
      fc.property(fc.oneof(nearly, withMetadata, timestamps, fc.jsonValue()), (value) => {
        if (!isCertainlyValid(value)) return
        accepted++
        const checked = factoryMessage.safeParse(value)
        expect(checked.error?.issues).toBeUndefined()
        expect(fromFactoryMessage(value)).toEqual(fromFactoryMessage(checked.data!))
      }),
      { numRuns: 3000 },
    )
    expect(accepted).toBeGreaterThan(300)
  })

  test('a reading comes back as it was encoded, by the quick check', () => {
    fc.assert(
      fc.property(reading, identity, (r, i) => {
        const encoded = encodeFactoryMessage(r, i)
        if (r.value !== 0 || r.measuredAt > 0)
          expect(isCertainlyValid(JSON.parse(encoded))).toBe(isCanonicalDay(encoded))
        expect(decode(encoded)).toEqual({ source: r.sensorId, readings: [r], unknownFields: 0 })
      }),
      { numRuns: 1000 },
    )
  })

  test('no bytes make it throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const result = decodeFactory(Buffer.from(bytes))
        expect(result instanceof Fault || result.readings.length === 1).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })

  test('no JSON makes it throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue({ maxDepth: 6 }), nearly, withMetadata), (value) => {
        const result = decode(JSON.stringify(value))
        expect(result instanceof Fault || result.readings.length === 1).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test('no good message with a broken place makes it throw', () => {
    fc.assert(
      fc.property(reading, fc.nat(), fc.integer({ min: 0, max: 255 }), (r, place, byte) => {
        const bytes = Buffer.from(encodeFactoryMessage(r, null))
        bytes[place % bytes.length] = byte
        const result = decodeFactory(bytes)
        expect(result instanceof Fault || result.readings.length === 1).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })
})

/** Days after the 28th are the schema's to judge. */
function isCanonicalDay(encoded: string): boolean {
  return Number(encoded.slice('{"timestamp":"2025-09-'.length, '{"timestamp":"2025-09-'.length + 2)) <= 28
}
