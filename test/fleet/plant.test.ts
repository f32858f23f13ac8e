import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { parseConfig } from '../../lib/config.ts'
import type { Episode } from '../../lib/fleet/episodes.ts'
import { FAULT_KINDS } from '../../lib/fleet/episodes.ts'
import type { Measured } from '../../lib/fleet/fleet.ts'
import { createPlant, plantOptions } from '../../lib/fleet/plant.ts'
import { PROFILES } from '../../lib/fleet/signal.ts'
import { encodeFactoryMessage, factoryMessage, SENSOR_TYPES, type SensorType } from '../../lib/reading.ts'
import { parseMicros, type Micros } from '../../lib/time.ts'
import { bytes, line, minutely, nearLimits, onlySensor, place, plant, virtualClock } from './simulated.ts'

setDefaultTimeout(30_000) // the simulated days take a second each on an idle machine, several where others work

const MONDAY = parseMicros('2025-09-15T00:00:00Z')
const SECOND = 1_000_000
const MINUTE = 60_000_000
const DAY = 1440 * MINUTE
const ID = { runId: 'run', seq: 14 }

describe('createPlant()', () => {
  test('by default has 25 sensors: five types, five machines, four zones, named as people know them', () => {
    const { sensors, sensorType } = plant()
    const plans = sensors.map((s) => s.plan)
    expect(plans.length).toBe(25)
    expect(sensorType).toBeNull()
    expect(new Set(plans.map((p) => p.type))).toEqual(new Set(SENSOR_TYPES))
    expect(new Set(plans.map((p) => p.location.machineId)).size).toBe(5)
    expect(new Set(plans.map((p) => p.location.zone))).toEqual(
      new Set(['zone-a', 'zone-b', 'zone-c', 'zone-d']),
    )
    for (const prefix of ['temp', 'vibration', 'energy', 'humidity', 'pressure'])
      expect(plans.map((p) => p.sensorId)).toContain(`${prefix}-sensor-001`)
    expect(plans.find((p) => p.sensorId === 'temp-sensor-001')?.location).toEqual({
      factorySection: 'production',
      machineId: 'machine-001',
      zone: 'zone-a',
    })
  })

  test('writes the message of the contract, byte for byte as the general encoder does', () => {
    let seen = 0
    for (const { reading, encode, key, topic } of plant().between(MONDAY, MONDAY + 5 * MINUTE)) {
      const text = encode(ID) as string
      expect(text).toBe(encodeFactoryMessage(reading, ID))
      expect(factoryMessage.safeParse(JSON.parse(text)).success).toBe(true)
      expect([topic, key]).toEqual(['sensor-data', reading.sensorId])
      seen++
    }
    expect(seen).toBeGreaterThan(1000)
  })

  test('gives the same bytes for the same seed and clock, others for another seed', () => {
    expect(bytes(plant(), MONDAY, 10)).toBe(bytes(plant(), MONDAY, 10))
    expect(bytes(plant(), MONDAY, 10)).not.toBe(bytes(plant({ seed: '2' }), MONDAY, 10))
  })

  test('started later goes on as if it had never stopped', () => {
    const whole = [...plant().between(MONDAY, MONDAY + 90 * MINUTE)].map((m) => m.encode(ID))
    const parts = [0, 17, 44, 90].flatMap((to, i, cuts) =>
      i === 0
        ? []
        : [...plant().between(MONDAY + cuts[i - 1]! * MINUTE, MONDAY + to * MINUTE)].map((m) => m.encode(ID)),
    )
    expect(parts).toEqual(whole)
  })

  test('started in the midst of any episode goes on with it', () => {
    const p = plant({ faults: 'scoring' })
    const kinds = new Set<string>()
    for (const e of p.episodes(MONDAY, MONDAY + DAY / 4)) {
      const middle = Math.floor((e.startedAt + e.endedAt) / 2)
      const rest = (from: Micros) =>
        [...onlySensor(e.sensorId).between(from, e.endedAt + MINUTE)]
          .filter((m) => m.reading.measuredAt >= middle)
          .map(line)
      if (!kinds.has(e.kind)) expect(rest(middle)).toEqual(rest(e.startedAt - MINUTE))
      kinds.add(e.kind)
    }
    expect(kinds).toEqual(new Set(FAULT_KINDS))
  })

  test('one type, or more sensors, leave every other sensor as it was', () => {
    const small = [...plant().between(MONDAY, MONDAY + 20 * MINUTE)]
    const onlyEnergy = [...plant({ sensorType: 'energy' }).between(MONDAY, MONDAY + 20 * MINUTE)]
    const large = [...plant({ sensorsPerType: 9 }).between(MONDAY, MONDAY + 20 * MINUTE)]
    const ids = new Set(small.map((m) => m.key))
    expect(onlyEnergy.map(line)).toEqual(small.filter((m) => m.reading.sensorType === 'energy').map(line))
    expect(large.filter((m) => ids.has(m.key)).map(line)).toEqual(small.map(line))
    expect(plant({ sensorType: 'energy' }).sensorType).toBe('energy')
  })

  test('event times rise, carry microseconds, and keep each sensor at its interval', () => {
    const last = new Map<string, Micros>()
    let previous = 0
    let fractions = 0
    for (const { reading } of plant({ faults: 'none' }).between(MONDAY, MONDAY + 10 * MINUTE)) {
      expect(reading.measuredAt).toBeGreaterThanOrEqual(previous)
      expect(Number.isInteger(reading.measuredAt)).toBe(true)
      previous = reading.measuredAt
      if (previous % 1000 !== 0) fractions++
      const before = last.get(reading.sensorId)
      const interval = PROFILES[reading.sensorType as SensorType].intervalMs * 1000
      if (before) expect(Math.abs(reading.measuredAt - before - interval)).toBeLessThan(20_000)
      last.set(reading.sensorId, reading.measuredAt)
    }
    expect(fractions).toBeGreaterThan(3000)
    const seconds = new Set([...last.values()].map((at) => Math.floor(at / SECOND)))
    expect(seconds.size).toBe(5) // one scan of each interval, not all in the same
  })

  test('follows the hour of the day, and energy the weekday', () => {
    const mean = (type: SensorType, day: number, hour: number) => {
      const from = MONDAY + day * DAY + hour * 60 * MINUTE
      const p = plant({ sensorType: type, faults: 'none', sensorsPerType: 20 })
      const values = [...p.between(from, from + 20 * MINUTE)].map((m) => m.reading.value)
      return values.reduce((sum, v) => sum + v, 0) / values.length
    }
    expect(mean('temperature', 1, 15) - mean('temperature', 1, 3)).toBeGreaterThan(3)
    expect(mean('humidity', 1, 15) - mean('humidity', 1, 3)).toBeLessThan(-4)
    expect(mean('energy', 1, 13) - mean('energy', 1, 2)).toBeGreaterThan(22)
    expect(mean('energy', 1, 13) - mean('energy', 5, 13)).toBeGreaterThan(12) // Saturday
  })

  test('without faults never comes near a limit, with them stays physical', () => {
    for (const { reading } of plant({ faults: 'none', intervalsMs: minutely() }).between(
      MONDAY,
      MONDAY + 7 * DAY,
    ))
      if (reading.value >= nearLimits(reading.sensorType as SensorType).warning)
        throw new Error(`${reading.sensorId} shows ${reading.value} without a fault`)
    for (const { reading } of plant({ faults: 'scoring', intervalsMs: minutely() }).between(
      MONDAY,
      MONDAY + 4 * DAY,
    )) {
      const { min, max, decimals } = PROFILES[reading.sensorType as SensorType]
      if (!(reading.value >= min && reading.value <= max)) throw new Error(`${reading.value} is not physical`)
      if (reading.value !== Number(reading.value.toFixed(decimals)))
        throw new Error(`${reading.value} is not rounded`)
    }
  })

  test('over days shows 15 % of readings near or above warning, 5 % near or above critical', () => {
    let count = 0
    let warning = 0
    let critical = 0
    const started = new Set<string>()
    for (const { reading } of plant({ sensorsPerType: 10, intervalsMs: minutely() }).between(
      MONDAY,
      MONDAY + 5 * DAY,
    )) {
      const near = nearLimits(reading.sensorType as SensorType)
      count++
      if (reading.value >= near.warning) warning++
      if (reading.value >= near.critical) critical++
      if (reading.claimedLevel === 'critical') started.add(reading.sensorId)
    }
    expect(warning / count).toBeGreaterThan(0.13)
    expect(warning / count).toBeLessThan(0.17)
    expect(critical / count).toBeGreaterThan(0.04)
    expect(critical / count).toBeLessThan(0.06)
    expect(started.size).toBe(50) // no sensor is spared
  })

  test('runs so many readings a second as asked, with at most 1,000 sensors', () => {
    for (const [rate, sensors] of [
      [3, 25],
      [100, 500],
      [20_000, 1000],
    ] as const) {
      const p = plant({ rate })
      const seconds = Math.max(2, 2000 / rate)
      const count = [...p.between(MONDAY, MONDAY + seconds * 1_000_000)].length
      expect(p.sensors.length).toBe(sensors)
      expect(Math.abs(count / seconds / rate - 1)).toBeLessThan(0.05)
    }
  })

  test('readings() yields what is due by its clock, tells each fault before its first reading, and ends on abort', async () => {
    const clock = virtualClock(MONDAY)
    const told: Episode[] = []
    const stop = new AbortController()
    const p = plant({ faults: 'scoring', clock, onEpisode: (e) => told.push(e) })
    const seen: Measured[] = []
    for await (const batch of p.readings(stop.signal)) {
      expect(batch.length).toBeGreaterThan(0)
      for (const m of batch) expect(m.reading.measuredAt).toBeLessThanOrEqual(clock.now())
      seen.push(...batch)
      if (clock.now() > MONDAY + 40 * MINUTE) stop.abort()
    }
    const until = seen.at(-1)!.reading.measuredAt + 1
    expect(seen.map(line)).toEqual([...plant({ faults: 'scoring' }).between(MONDAY, until)].map(line))
    expect(told.map((e) => e.episodeId).toSorted()).toEqual(
      p
        .episodes(MONDAY, until)
        .map((e) => e.episodeId)
        .toSorted(),
    )
    expect(told.length).toBeGreaterThan(10)
  })

  test('readings() after a block of the spool brings the last minute with its true times, and goes on', async () => {
    const clock = virtualClock(MONDAY + SECOND)
    const stop = new AbortController()
    const seen: Measured[] = []
    for await (const batch of plant({ clock }).readings(stop.signal)) {
      seen.push(...batch)
      if (seen.length === batch.length) clock.advance(10 * MINUTE)
      if (clock.now() > MONDAY + 11 * MINUTE) stop.abort()
    }
    const after = [...plant().between(MONDAY + 9 * MINUTE + 60_000_000, MONDAY + 11 * MINUTE)].map(line)
    const lines = new Set(seen.map(line))
    expect(after.every((l) => lines.has(l))).toBe(true)
    expect(seen.filter((m) => m.reading.measuredAt < MONDAY + 8 * MINUTE).length).toBeLessThan(10)
    expect(lines.size).toBe(seen.length)
  })
})

describe('episodes', () => {
  test('tell the truth: outside of them the plant shows exactly what a healthy one shows', () => {
    const faulty = plant({ faults: 'mix' })
    const from = MONDAY
    const to = MONDAY + 6 * 60 * MINUTE
    const healthy = new Map(
      [...plant({ faults: 'none' }).between(from, to)].map((m) => [place(m), m.reading.value]),
    )
    const episodes = faulty.episodes(from, to)
    const within = (m: Measured) =>
      episodes.find(
        (e) =>
          e.sensorId === m.key && e.startedAt <= m.reading.measuredAt && m.reading.measuredAt <= e.endedAt,
      )
    const changed = new Set<string>()
    for (const m of faulty.between(from, to)) {
      const episode = within(m)
      if (!episode) expect(m.reading.value).toBe(healthy.get(place(m))!)
      else if (m.reading.value !== healthy.get(place(m))) changed.add(episode.episodeId)
      healthy.delete(place(m))
    }
    for (const missing of healthy.keys()) {
      const [sensorId, at] = missing.split('@')
      const dropout = episodes.find(
        (e) => e.kind === 'dropout' && e.sensorId === sensorId && e.startedAt <= +at! && +at! <= e.endedAt,
      )
      expect(dropout, `${missing} is missing without a dropout`).toBeDefined()
      changed.add(dropout!.episodeId)
    }
    expect(episodes.length).toBeGreaterThan(60)
    expect(changed.size).toBeGreaterThanOrEqual(episodes.length - 2) // at the edges of the time a part may be too small to show
  })

  test('of the scoring table come in every kind, at every size from 8 down to 1 deviation, far apart', () => {
    const p = plant({ faults: 'scoring', intervalsMs: minutely() })
    const episodes = p.episodes(MONDAY, MONDAY + 30 * DAY)
    expect(new Set(episodes.map((e) => e.kind))).toEqual(new Set(FAULT_KINDS))
    for (const kind of ['spike', 'level_shift', 'drift', 'noise_burst'])
      for (const size of [1, 2, 3, 4, 6, 8]) {
        const count = episodes.filter((e) => e.kind === kind && Math.abs(e.sizeSigma!) === size).length
        expect(count, `${kind} of ${size}`).toBeGreaterThan(25 * 2)
      }
    const ofOne = episodes.filter((e) => e.sensorId === 'energy-sensor-003')
    const share = ofOne.reduce((sum, e) => sum + e.endedAt - e.startedAt, 0) / (30 * DAY)
    expect(share).toBeLessThan(0.12)
  })

  test('have the size that they tell', () => {
    const options = { faults: 'scoring', sensorType: 'temperature', intervalsMs: minutely() } as const
    const [from, to] = [MONDAY, MONDAY + 8 * DAY]
    const healthy = new Map(
      [...plant({ ...options, faults: 'none' }).between(from, to)].map((m) => [place(m), m.reading.value]),
    )
    const p = plant(options)
    const shown = Map.groupBy(p.between(from, to), (m) => m.key)
    const sigma = PROFILES.temperature.sigma
    let checked = 0
    for (const e of p.episodes(from, to)) {
      if (e.startedAt < from || e.endedAt > to) continue
      const inside = (shown.get(e.sensorId) ?? []).filter(
        (m) =>
          m.key === e.sensorId && m.reading.measuredAt >= e.startedAt && m.reading.measuredAt <= e.endedAt,
      )
      const off = inside.map((m) => (m.reading.value - healthy.get(place(m))!) / sigma)
      if (e.kind === 'level_shift' || e.kind === 'spike')
        expect(Math.max(...off.map((o) => Math.abs(o - e.sizeSigma!)))).toBeLessThan(0.05)
      if (e.kind === 'drift') expect(Math.abs(off.at(-1)! - e.sizeSigma!)).toBeLessThan(0.05)
      if (e.kind === 'noise_burst') {
        const deviation = Math.sqrt(off.reduce((sum, o) => sum + o * o, 0) / off.length)
        expect(deviation / e.sizeSigma!).toBeGreaterThan(0.5)
        expect(deviation / e.sizeSigma!).toBeLessThan(1.6)
      }
      if (e.kind === 'stuck') expect(new Set(inside.map((m) => m.reading.value)).size).toBe(1)
      if (e.kind === 'dropout') expect(inside).toEqual([])
      checked++
    }
    expect(checked).toBeGreaterThan(60)
  })

  test('wait until detectors have learnt, where that is asked for', () => {
    const p = plant({ faults: 'scoring', faultsFrom: MONDAY + DAY / 4 })
    expect(p.episodes(MONDAY, MONDAY + DAY / 4)).toEqual([])
    expect(p.episodes(MONDAY, MONDAY + DAY / 2).length).toBeGreaterThan(100)
    const quiet = plant({ faults: 'none' })
    expect(bytes(p, MONDAY, 30)).toBe(bytes(quiet, MONDAY, 30))
  })
})

describe('plantOptions()', () => {
  test('take intervals, limits, type and seed from the environment', () => {
    const env = {
      SEED: '9',
      SENSOR_TYPE: 'vibration',
      VIBRATION_INTERVAL: '500ms',
      VIBRATION_WARNING_THRESHOLD: '4.5',
    }
    const p = createPlant(plantOptions(parseConfig(env)))
    expect(p.sensors.map((s) => s.plan.intervalMicros)).toEqual(Array(5).fill(500_000))
    const [first] = [...p.between(MONDAY, MONDAY + MINUTE)]
    expect(first?.reading.warningThreshold).toBe(4.5)
    expect(plantOptions(parseConfig(env)).seed).toBe('9')
  })

  test('SAMPLING_INTERVAL is over the ones per type', () => {
    const p = createPlant(plantOptions(parseConfig({ SAMPLING_INTERVAL: '2', ENERGY_INTERVAL: '7s' })))
    expect(new Set(p.sensors.map((s) => s.plan.intervalMicros))).toEqual(new Set([2_000_000]))
  })

  test('SENSOR_ID replaces the plant by one sensor at its place', () => {
    const env = {
      SENSOR_ID: 'vibration-north',
      MACHINE_ID: 'machine-042',
      ZONE: 'zone-x',
      FACTORY_SECTION: 'paint',
    }
    const p = createPlant(plantOptions(parseConfig(env)))
    expect(p.sensors.map((s) => s.plan)).toEqual([
      {
        sensorId: 'vibration-north',
        type: 'vibration',
        location: { factorySection: 'paint', machineId: 'machine-042', zone: 'zone-x' },
        intervalMicros: 4_000_000,
        inStep: true,
      },
    ])
  })
})
