import { UNITS, type Identity, type Level, type Reading } from '../reading.ts'
import { formatMicros, type Micros } from '../time.ts'
import { createSchedule, type Episode, type Fault, type FaultPlan } from './episodes.ts'
import type { SensorPlan } from './layout.ts'
import { createNoise, createRandom } from './random.ts'
import { createSignal, PROFILES } from './signal.ts'

/**
 * One simulated sensor. It measures at ticks, counted from 1970 on, each a little late by a drawn jitter. What it
 * shows at a tick is a function of the seed, its own id and the tick, and of nothing else: not of when the simulation began,
 * nor of the other sensors.
 */
export interface SimulatedSensor {
  plan: SensorPlan
  /** the first tick at or after a moment */
  tickFrom(at: Micros): number
  timeOf(tick: number): Micros
  /** null while the sensor is silent */
  measure(tick: number): Reading | null
  /** the message of one of its readings: byte for byte encodeFactoryMessage's, 3 times as fast */
  encode(reading: Reading, id: Identity): string
  /** the fault that the tick lies in */
  faultAt(tick: number): Fault | null
  episodeOf(fault: Fault): Episode
}

export interface Limits {
  warning: number
  critical: number
}

export interface SensorOptions {
  seed: string
  faults: FaultPlan
  /** no fault begins before: time for detectors to learn */
  faultsFrom: Micros
  limits: Limits
}

/** "Near" a limit is the last tenth of the way from the base to it. */
export const NEAR = 0.1
const MAX_JITTER_MICROS = 20_000
const MAX_JITTER_SHARE = 0.1
const JITTER_STREAM = 100

export function createSensor(plan: SensorPlan, options: SensorOptions): SimulatedSensor {
  const { limits, faultsFrom } = options
  const { intervalMicros: interval, sensorId, type } = plan
  const profile = PROFILES[type]
  const key = `${options.seed}/${sensorId}`
  const noise = createNoise(key)
  const signal = createSignal(profile, noise)
  const schedule = createSchedule(options.faults, key, interval)
  const phase = plan.inStep ? 0 : Math.floor(createRandom(`${key}/phase`).between(0, interval))
  const jitter = Math.floor(Math.min(MAX_JITTER_MICROS, interval * MAX_JITTER_SHARE))
  const decimalShift = 10 ** profile.decimals
  let stuckAt: { fault: Fault; value: number } | null = null

  const timeOf = (tick: number) =>
    phase + tick * interval + Math.floor(jitter * noise.uniform(JITTER_STREAM, tick))

  const faultAt = (tick: number) => {
    const fault = schedule(tick)
    const present = fault !== null && tick >= fault.first && tick <= fault.last
    return present && timeOf(fault.first) >= faultsFrom ? fault : null
  }

  const shown = (value: number) => {
    const clamped = Math.min(profile.max, Math.max(profile.min, value))
    return Math.round(clamped * decimalShift) / decimalShift + 0 // -0 becomes 0
  }

  const healthy = (tick: number) => shown(signal.level(timeOf(tick)) + signal.noise(tick))

  const faulty = (fault: Fault, tick: number, at: Micros) => {
    const level = signal.level(at)
    const value = level + signal.noise(tick)
    const size = fault.sizeSigma ?? 0
    switch (fault.kind) {
      case 'excursion':
        return shown(value + weight(fault, tick) * (holdLevel(fault) - level))
      case 'spike':
      case 'level_shift':
        return shown(value + size * profile.sigma)
      case 'drift':
        return shown(
          value + (size * profile.sigma * (tick - fault.first + 1)) / (fault.last - fault.first + 1),
        )
      case 'noise_burst':
        return shown(value + size * signal.extraNoise(tick))
      case 'stuck':
        if (stuckAt?.fault !== fault) stuckAt = { fault, value: healthy(fault.first - 1) }
        return stuckAt.value
      case 'dropout':
        return null
    }
  }

  /**
   * Where an excursion holds: from just inside the near band of its limit to somewhat beyond; one to warning stays clear of
   * the near band of critical.
   */
  const holdLevel = (fault: Fault) => {
    const nearWarning = limits.warning - NEAR * (limits.warning - profile.base)
    const nearCritical = limits.critical - NEAR * (limits.critical - profile.base)
    const beyond = limits.critical + 0.15 * (limits.critical - profile.base)
    const [low, high] =
      fault.excursion?.limit === 'critical' ? [nearCritical, beyond] : [nearWarning, nearCritical]
    const margin = Math.min(3 * profile.sigma, (high - low) / 4)
    return low + margin + (fault.excursion?.reach ?? 0) * (high - low - 2 * margin)
  }

  const head = `","sensor_id":${JSON.stringify(sensorId)},"sensor_type":"${type}","location":${JSON.stringify(
    {
      factory_section: plan.location.factorySection,
      machine_id: plan.location.machineId,
      zone: plan.location.zone,
    },
  )},"value":`
  const unit = UNITS[type]
  const afterValue = `,"unit":${JSON.stringify(unit)},"alert_level":"`
  const afterCount = `,"warning_threshold":${limits.warning},"critical_threshold":${limits.critical},"run_id":`

  return {
    plan,
    timeOf,
    faultAt,
    tickFrom(at) {
      let tick = Math.ceil((at - phase - jitter) / interval)
      while (timeOf(tick) < at) tick++
      return tick
    },
    measure(tick) {
      const fault = faultAt(tick)
      const measuredAt = timeOf(tick)
      const value = fault
        ? faulty(fault, tick, measuredAt)
        : shown(signal.level(measuredAt) + signal.noise(tick))
      if (value === null) return null
      return {
        sensorId,
        sensorType: type,
        unit,
        location: plan.location,
        measuredAt,
        value,
        quality: 1,
        claimedLevel: levelOf(value, limits),
        warningThreshold: limits.warning,
        criticalThreshold: limits.critical,
        metadata: null,
      }
    },
    encode: (r, id) =>
      `{"timestamp":"${stamp(r.measuredAt)}${head}${r.value}${afterValue}${r.claimedLevel}","quality":1,"metadata":{"reading_count":${id.seq}${afterCount}${JSON.stringify(id.runId)}}}`,
    episodeOf(fault) {
      const startedAt = timeOf(fault.first)
      const endedAt = timeOf(fault.last)
      const target = fault.excursion ? holdLevel(fault) : null
      const sizeSigma =
        target === null
          ? fault.sizeSigma
          : Math.round((100 * (target - signal.level(startedAt))) / profile.sigma) / 100
      return {
        episodeId: `${sensorId}:${formatMicros(startedAt)}`,
        sensorId,
        kind: fault.kind,
        sizeSigma,
        startedAt,
        endedAt,
        description: describe(fault, target, profile.sigma, unit),
      }
    },
  }
}

let stampSecond = NaN
let stampPrefix = ''

/** formatMicros, with the second's text kept: under load thousands of readings share it. */
function stamp(at: Micros): string {
  const second = Math.floor(at / 1_000_000)
  if (second !== stampSecond) {
    stampSecond = second
    stampPrefix = formatMicros(second * 1_000_000).slice(0, -7)
  }
  return stampPrefix + String(at - second * 1_000_000 + 1_000_000).slice(1) + 'Z'
}

function levelOf(value: number, { warning, critical }: Limits): Level {
  return value >= critical ? 'critical' : value >= warning ? 'warning' : 'normal'
}

/** 0 → 1 on the way up, 1 while it holds, 1 → 0 on the way back. */
function weight({ first, last, excursion }: Fault, tick: number): number {
  const ramp = (excursion?.ramp ?? 0) + 1
  return Math.min(1, (tick - first + 1) / ramp, (last - tick + 1) / ramp)
}

function describe(fault: Fault, target: number | null, sigma: number, unit: string): string {
  const readings = `${fault.last - fault.first + 1} reading${fault.last === fault.first ? '' : 's'}`
  const size = fault.sizeSigma ?? 0
  const off = `${size < 0 ? '' : '+'}${size} σ (${(size * sigma).toFixed(2)} ${unit})`
  switch (fault.kind) {
    case 'excursion':
      return `ramp to ${target?.toFixed(2)} ${unit} (${fault.excursion?.limit}), hold and back, ${readings}`
    case 'spike':
      return `spike of ${off}, ${readings}`
    case 'level_shift':
      return `level off by ${off}, ${readings}`
    case 'drift':
      return `drift to ${off}, ${readings}`
    case 'stuck':
      return `the same value again and again, ${readings}`
    case 'noise_burst':
      return `added noise of ${size} σ, ${readings}`
    case 'dropout':
      return `silent, ${readings} missing`
  }
}
