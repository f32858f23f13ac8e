import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Fault, type Decoded } from '../../lib/ingest/decode.ts'
import { decodeHeartbeat, decodeLine } from '../../lib/ingest/decode-line.ts'
import {
  encodeHeartbeat,
  encodeLineReading,
  hasFinished,
  type Heartbeat,
  type LineReading,
} from '../../lib/line.ts'

const line = {
  factoryId: 'F1',
  sensorId: 'S1-1',
  tier: '1.1',
  sodaName: 'Coca-Cola',
  reading: 42,
  count: 5,
  total: 10,
  timestamp: '2025-12-03T14:30:45.123456',
}
const life = { sensorId: 'S1-1', tier: '1.1', timestamp: '2025-12-03T14:30:45.123456', status: 'active' }
const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
const faultOf = (decoded: Decoded | Fault) => {
  if (decoded instanceof Fault) return `${decoded.reason}: ${decoded.message}`
  throw new Error('it was taken')
}

describe('decodeLine()', () => {
  test('reads the message of the contract; a time without a zone is UTC', () => {
    expect(decodeLine(bytes(line))).toEqual({
      source: 'S1-1',
      unknownFields: 0,
      readings: [
        {
          sensorId: 'S1-1',
          sensorType: 'soda',
          unit: 'points',
          location: { factorySection: 'F1', machineId: 'F1', zone: '1.1' },
          measuredAt: Date.UTC(2025, 11, 3, 14, 30, 45) * 1000 + 123_456,
          value: 42,
          quality: 1,
          claimedLevel: null,
          warningThreshold: null,
          criticalThreshold: null,
          metadata: { soda_name: 'Coca-Cola', count: 5, total: 10 },
        },
      ],
      fact: {
        kind: 'line',
        factoryId: 'F1',
        sensorId: 'S1-1',
        tier: '1.1',
        sodaName: 'Coca-Cola',
        reading: 42,
        count: 5,
        total: 10,
        at: Date.UTC(2025, 11, 3, 14, 30, 45) * 1000 + 123_456,
      },
    })
  })

  test('a time with a zone means what it says; what is not known is counted', () => {
    const decoded = decodeLine(
      bytes({ ...line, timestamp: '2025-12-03T14:30:45+02:00', colour: 'red' }),
    ) as Decoded
    expect(decoded.readings[0]?.measuredAt).toBe(Date.UTC(2025, 11, 3, 12, 30, 45) * 1000)
    expect(decoded.unknownFields).toBe(1)
  })

  test.each([
    [1, 'no value', null, 'tombstone: '],
    [2, 'nothing in it', '', 'empty: '],
    [3, 'no JSON', 'Coca-Cola', 'decode: is not JSON'],
    [4, 'Avro', Buffer.from([0, 0, 0, 0, 1]), 'not_json: '],
    [5, 'a reading beyond 100', { ...line, reading: 100.5 }, 'schema: reading: '],
    [6, 'a reading below 0', { ...line, reading: -1 }, 'schema: reading: '],
    [7, 'a reading as text', { ...line, reading: '42' }, 'schema: reading: '],
    [
      8,
      'a reading that a double turns to 0',
      JSON.stringify(line).replace('42', '1e-400'),
      'schema: reading: is smaller',
    ],
    [9, 'a count above its total', { ...line, count: 11 }, 'schema: count: must not be above total'],
    [10, 'a count of 0', { ...line, count: 0 }, 'schema: count: '],
    [11, 'half an item', { ...line, count: 1.5 }, 'schema: count: '],
    [
      12,
      'a day that does not exist',
      { ...line, timestamp: '2025-02-30T00:00:00' },
      'schema: timestamp: must be a date-time',
    ],
    [13, 'no time', { ...line, timestamp: undefined }, 'schema: timestamp: '],
    [14, 'a sensor of a strange name', { ...line, sensorId: 'S1 1' }, 'schema: sensorId: '],
    [15, 'a soda without a name', { ...line, sodaName: '' }, 'schema: sodaName: '],
    [16, 'NUL in a name', { ...line, sodaName: 'a\0b' }, 'schema: sodaName: must be text'],
    [17, 'a list', [line], 'schema: message: '],
  ] as const)('%i: %s is refused with its reason', (_, _what, value, reason) => {
    expect(
      faultOf(decodeLine(value === null ? null : Buffer.isBuffer(value) ? value : bytes(value))),
    ).toStartWith(reason)
  })

  test('what a producer writes is what is read', () => {
    const text = fc.stringMatching(/^[A-Za-z][A-Za-z .-]{0,20}$/)
    const message = fc.record({
      factoryId: fc.constantFrom('F1', 'F99'),
      sensorId: fc.constantFrom('S1-1', 'S99-5'),
      tier: fc.constantFrom('1.1', '3.1'),
      sodaName: text,
      reading: fc.integer({ min: 0, max: 100 }),
      count: fc.integer({ min: 1, max: 1000 }),
      at: fc.integer({ min: 0, max: 4e15 }),
    })
    fc.assert(
      fc.property(message, fc.nat(1000), (m, more) => {
        const said: LineReading = { ...m, total: m.count + more }
        const decoded = decodeLine(Buffer.from(encodeLineReading(said)))
        expect(decoded).toMatchObject({ fact: { kind: 'line', ...said } })
      }),
    )
  })
})

describe('decodeHeartbeat()', () => {
  test('is a sign of life: judged and counted, no row; the factory comes from the sensor’s name', () => {
    const decoded = decodeHeartbeat(bytes(life)) as Decoded
    expect(decoded).toMatchObject({
      source: 'S1-1',
      isCounted: true,
      fact: { kind: 'heartbeat', status: 'active' },
    })
    expect(decoded.readings).toMatchObject([
      { sensorId: 'S1-1', sensorType: 'heartbeat', value: 1, location: { machineId: 'F1', zone: '1.1' } },
    ])
    const foreign = decodeHeartbeat(bytes({ ...life, sensorId: 'press-7' })) as Decoded
    expect(foreign.readings[0]?.location).toEqual({ factorySection: '', machineId: '', zone: '1.1' })
  })

  test('the last one says finished', () => {
    const said: Heartbeat = { sensorId: 'S1-1', tier: '1.1', at: 1e15, status: 'finished' }
    const decoded = decodeHeartbeat(Buffer.from(encodeHeartbeat(said))) as Decoded
    expect(decoded.readings.map(hasFinished)).toEqual([true])
    expect((decodeHeartbeat(bytes(life)) as Decoded).readings.map(hasFinished)).toEqual([false])
  })

  test.each([
    [1, 'no status', { ...life, status: undefined }, 'schema: status: '],
    [
      2,
      'a status that is no word',
      { ...life, status: 'ALL GOOD' },
      'schema: status: must be a lower-case word',
    ],
    [3, 'no time', { ...life, timestamp: 'now' }, 'schema: timestamp: '],
    [4, 'no sensor', { ...life, sensorId: '' }, 'schema: sensorId: '],
  ] as const)('%i: %s is refused with its reason', (_, _what, value, reason) => {
    expect(faultOf(decodeHeartbeat(bytes(value)))).toStartWith(reason)
  })
})
