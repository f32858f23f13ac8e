import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { schemaText, typeOf } from '../../lib/avro/schemas.ts'
import { faultOf, readingsOf, sensorsOf, type DeviceMessage } from '../../lib/device.ts'
import { createDevices, type DevicesOptions } from '../../lib/fleet/devices.ts'
import { contentHash } from '../../lib/hash.ts'

const HOUR = 3_600_000_000
const NOON = Date.UTC(2026, 0, 7, 12) * 1000
const type = typeOf(schemaText('SensorReading'))
const limits = { maxTemperature: 50, minHumidity: 10 }

const partitionOf = (deviceId: string) => Number(deviceId.slice(-1)) % 6
const writer = {
  ready: async () => {},
  waitsFor: () => null,
  memo: () => 'number 7',
  encode: (m: DeviceMessage) => type.toBuffer(m),
}

function devices(options: Partial<DevicesOptions> = {}) {
  return createDevices({ seed: '1', count: 1000, intervalMs: 2000, limits, partitionOf, writer, ...options })
}
const identity = { runId: 'run', seq: 1 }
const messages = (from: number, to: number, options: Partial<DevicesOptions> = {}) =>
  [...devices(options).between(from, to)].map(
    (m) => type.fromBuffer(Buffer.from(m.encode(identity) as Uint8Array)) as DeviceMessage,
  )

describe('createDevices()', () => {
  test('a thousand devices, each every two seconds, evenly spread, keyed by their ids', () => {
    const two = [...devices().between(NOON, NOON + 4_000_000)]
    expect(two).toHaveLength(2000)
    expect(new Set(two.map((m) => m.key)).size).toBe(1000)
    expect(two.every((m) => m.topic === 'sensor.raw' && m.reading.length === 2)).toBe(true)
    const first = two.filter((m) => m.key === 'device-0042').map((m) => m.reading[0].measuredAt)
    expect((first[1] ?? 0) - (first[0] ?? 0)).toBe(2_000_000)
    expect(new Set(two.map((m) => m.reading[0].measuredAt)).size).toBe(2000)
  })

  test('those of a partition measure one after the other, so that a batch goes to few of them', () => {
    const once = [...devices().between(NOON, NOON + 2_000_000)].map((m) => partitionOf(m.key))
    expect(once.filter((partition, i) => i > 0 && partition !== once[i - 1])).toHaveLength(5)
    expect(new Set(once).size).toBe(6)
  })

  test('gives the same for the same seed and clock, started at whatever moment; another seed gives another', () => {
    const whole = messages(NOON, NOON + 10_000_000)
    expect(messages(NOON + 5_000_000, NOON + 10_000_000)).toEqual(whole.slice(2500))
    expect(messages(NOON, NOON + 1_000_000, { seed: '2' })).not.toEqual(whole.slice(0, 500))
  })

  test('out of range comes in episodes, on either side, and only then', () => {
    const out = new Set<string>()
    const all = devices({ count: 100 })
    for (const { reading } of all.between(NOON, NOON + 2 * HOUR)) {
      const [temperature, humidity] = reading
      if (temperature.value > 50) out.add(temperature.sensorId)
      if (humidity.value < 10) out.add(humidity.sensorId)
    }
    expect(out.size).toBeGreaterThan(8)
    expect(out.size).toBeLessThan(40)
    expect([...out].some((id) => id.endsWith('.temperature'))).toBe(true)
    expect([...out].some((id) => id.endsWith('.humidity'))).toBe(true)
  })

  test('a load comes from the same number of devices with names of their own, at the rate asked for', () => {
    const load = [...devices({ rate: 5000 }).between(NOON, NOON + 1_000_000)]
    expect(load).toHaveLength(5000)
    expect(new Set(load.map((m) => m.key)).size).toBe(1000)
    expect(load[0]?.key).toStartWith('load-device-')
  })

  test('readings() waits for its writer, and tells each fault before its first message', async () => {
    const order: string[] = []
    let now = NOON
    const stop = new AbortController()
    const fleet = devices({
      count: 50,
      writer: { ...writer, ready: async () => void order.push('ready') },
      clock: {
        now: () => now,
        sleep: async (ms) => {
          now += Math.ceil(ms * 1000)
          if (now > NOON + HOUR) stop.abort()
        },
      },
      onEpisode: (episode) => order.push(episode.sensorId),
    })
    let shown = 0
    const memos: unknown[] = []
    for await (const batch of fleet.readings(stop.signal)) {
      for (const { reading, memo } of batch) {
        if (memo) memos.push(memo)
        const [temperature, humidity] = reading
        const sensor =
          temperature.value > 50 ? temperature.sensorId : humidity.value < 10 ? humidity.sensorId : null
        if (sensor === null) continue
        shown++
        expect(order).toContain(sensor)
      }
    }
    expect(order[0]).toBe('ready')
    expect(memos).toEqual([{ name: 'schema', text: 'number 7' }]) // with the first messages, once
    expect(shown).toBeGreaterThan(5)
  })
})

describe('a device’s message', () => {
  const id = fc.stringMatching(/^[A-Za-z0-9._:-]{1,52}$/)
  const finite = fc.double({ noNaN: true, min: -(2 ** 53) + 1, max: 2 ** 53 - 1 })
  const message = fc.record({
    id,
    ts: fc.integer({ min: 0, max: 4e15 }),
    temperature: finite,
    humidity: finite,
  })

  test('is the same two readings on both sides of the wire', () => {
    fc.assert(
      fc.property(message, (m) => {
        expect(faultOf(m)).toBeNull()
        const arrived = type.fromBuffer(type.toBuffer(m)) as DeviceMessage
        expect(readingsOf(arrived).map(contentHash)).toEqual(readingsOf(m).map(contentHash))
        expect(readingsOf(m).map((r) => r.sensorId)).toEqual(sensorsOf(m.id))
      }),
    )
  })

  test.each<[string, Partial<DeviceMessage>]>([
    ['id', { id: '' }],
    ['id', { id: 'x'.repeat(53) }],
    ['id', { id: 'drop table' }],
    ['ts', { ts: -1 }],
    ['ts', { ts: 9e15 * 40 }],
    ['temperature', { temperature: NaN }],
    ['humidity', { humidity: Infinity }],
  ])('with a bad %s is none', (field, wrong) => {
    expect(faultOf({ id: 'a', ts: 1, temperature: 1, humidity: 1, ...wrong })).toStartWith(`${field}:`)
  })
})
