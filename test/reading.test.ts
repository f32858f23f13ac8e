import { describe, expect, test } from 'bun:test'
import { contentHash } from '../lib/hash.ts'
import {
  encodeFactoryMessage,
  factoryMessage,
  fromFactoryMessage,
  isPlainText,
  sensorId,
  type Reading,
} from '../lib/reading.ts'
import { parseMicros } from '../lib/time.ts'

const reading: Reading = {
  sensorId: 'temp-sensor-001',
  sensorType: 'temperature',
  unit: '°C',
  location: { factorySection: 'production', machineId: 'machine-001', zone: 'zone-a' },
  measuredAt: parseMicros('2025-09-16T21:41:41.011144Z'),
  value: 42.48,
  quality: 1,
  claimedLevel: 'critical',
  warningThreshold: 35,
  criticalThreshold: 40,
  metadata: null,
}

describe('encodeFactoryMessage()', () => {
  test('is the message of the contract, byte for byte', () => {
    expect(encodeFactoryMessage(reading, { runId: 'run-1', seq: 14 })).toBe(
      '{"timestamp":"2025-09-16T21:41:41.011144Z","sensor_id":"temp-sensor-001","sensor_type":"temperature",' +
        '"location":{"factory_section":"production","machine_id":"machine-001","zone":"zone-a"},"value":42.48,' +
        '"unit":"°C","alert_level":"critical","quality":1,"metadata":{"reading_count":14,"warning_threshold":35,' +
        '"critical_threshold":40,"run_id":"run-1"}}',
    )
  })

  test('keeps metadata of its own beside the standard', () => {
    const encoded = JSON.parse(encodeFactoryMessage({ ...reading, metadata: { history: true } }, null))
    expect(encoded.metadata).toEqual({ warning_threshold: 35, critical_threshold: 40, history: true })
  })
})

describe('fromFactoryMessage()', () => {
  const message = factoryMessage.parse(JSON.parse(encodeFactoryMessage(reading, { runId: 'r', seq: 1 })))

  test('undoes it, and leaves identity to the headers', () => {
    expect(fromFactoryMessage(message)).toEqual(reading)
  })

  test('knows what is missing from what is zero', () => {
    const { alert_level: _level, quality: _quality, metadata: _metadata, ...bare } = message
    expect(fromFactoryMessage(bare)).toMatchObject({
      quality: 1,
      claimedLevel: null,
      warningThreshold: null,
      criticalThreshold: null,
      metadata: null,
    })
  })

  test('takes limits only where they are numbers, and -0 as 0', () => {
    const odd = fromFactoryMessage({
      ...message,
      value: -0,
      metadata: { warning_threshold: '35', critical_threshold: null },
    })
    expect(odd).toMatchObject({ warningThreshold: null, criticalThreshold: null })
    expect(Object.is(odd.value, 0)).toBe(true)
  })
})

describe('factoryMessage', () => {
  const good = JSON.parse(encodeFactoryMessage(reading, null))
  const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) })
  test.each([
    [1, 'a number in a string is no number', { value: '42' }, false],
    [2, 'a value of 2^53 − 1', { value: Number.MAX_SAFE_INTEGER }, true],
    [3, 'a value of 2^53', { value: 2 ** 53 }, false],
    [4, 'infinity', { value: Infinity }, false],
    [5, 'quality 0', { quality: 0 }, true],
    [6, 'quality above 1', { quality: 1.0001 }, false],
    [7, 'a time without a zone', { timestamp: '2025-09-16T21:41:41' }, false],
    [8, 'a day that does not exist', { timestamp: '2025-02-30T00:00:00Z' }, false],
    [9, 'a type in capitals', { sensor_type: 'Temperature' }, false],
    [10, 'a type that nobody knows', { sensor_type: 'torque' }, true],
    [11, 'a line feed in the unit', { unit: '°\nC' }, false],
    [12, 'half a surrogate in a place', { location: { ...good.location, zone: '\ud800' } }, false],
    [13, 'metadata of eight levels', { metadata: deep(8) }, true],
    [14, 'metadata of nine levels', { metadata: deep(9) }, false],
    [15, 'NUL in a metadata key', { metadata: { 'a\0': 1 } }, false],
    [16, 'NUL deep in a metadata list', { metadata: { a: ['\0'] } }, false],
    [17, 'an unknown field', { extra: 1 }, true],
  ])('%d. %s', (_number, _what, change, accepted) => {
    expect(factoryMessage.safeParse({ ...good, ...change }).success).toBe(accepted)
  })
})

describe('sensorId', () => {
  test.each([
    ['temp-sensor-001', true],
    ['A.b_c:d-9', true],
    ['x'.repeat(64), true],
    ['x'.repeat(65), false],
    ['', false],
    ['a b', false],
    ['ü', false],
    ['a\n', false],
    ['а', false],
  ])('%p → %p', (id, accepted) => {
    expect(sensorId.safeParse(id).success).toBe(accepted)
  })
})

describe('isPlainText()', () => {
  test.each([
    ['°C, 田中 👩‍🚒', true],
    ['tab\t', false],
    ['\u007f', false],
    ['\ud83d', false],
    ['', true],
  ])('%p → %p', (text, plain) => {
    expect(isPlainText(text)).toBe(plain)
  })
})

describe('contentHash()', () => {
  test('differs with everything that a reading says, and with nothing else', () => {
    const others: Partial<Reading>[] = [
      { sensorId: 'x' },
      { sensorType: 'x' },
      { unit: 'x' },
      { location: { ...reading.location, factorySection: 'x' } },
      { location: { ...reading.location, machineId: 'x' } },
      { location: { ...reading.location, zone: 'x' } },
      { measuredAt: reading.measuredAt + 1 },
      { value: reading.value + 1e-14 },
      { quality: 0.5 },
    ]
    const hashes = [reading, ...others.map((change) => ({ ...reading, ...change }))].map(contentHash)
    expect(new Set(hashes).size).toBe(others.length + 1)
    const sameContent: Partial<Reading>[] = [
      { metadata: { a: 1 } },
      { claimedLevel: null },
      { warningThreshold: null },
    ]
    for (const change of sameContent)
      expect(contentHash({ ...reading, ...change })).toBe(contentHash(reading))
  })

  test('is the same for -0 and 0, and for a quality as the column keeps it', () => {
    expect(contentHash({ ...reading, value: -0 })).toBe(contentHash({ ...reading, value: 0 }))
    expect(contentHash({ ...reading, quality: 0.1 })).toBe(
      contentHash({ ...reading, quality: Math.fround(0.1) }),
    )
  })
})
