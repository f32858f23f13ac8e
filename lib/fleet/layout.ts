import type { Location, SensorType } from '../reading.ts'
import { SENSOR_TYPES } from '../reading.ts'
import type { Micros } from '../time.ts'
import { PROFILES } from './signal.ts'

/** Which sensors stand where, and how often each measures. */
export interface SensorPlan {
  sensorId: string
  type: SensorType
  location: Location
  intervalMicros: Micros
  /** it measures together with all others of its interval; else at a moment of its own */
  inStep: boolean
}

export interface LayoutOptions {
  /** only this type; without it all five */
  sensorType: SensorType | null
  /** this one sensor in place of the plant */
  single: { sensorId: string; location: Location } | null
  /** of each type, milliseconds; missing: the type's own */
  intervalsMs: Partial<Record<SensorType, number>>
  /** of each type that is simulated */
  sensorsPerType: number
  /** readings a second in total; null: as many as the intervals give */
  rate: number | null
}

export const SENSORS_PER_TYPE = 5
/**
 * A controller reads all inputs of one interval in one scan: one wake-up, one commit and one send for many. Below a second,
 * and under load, which comes evenly, each sensor has a moment of its own.
 */
const SHORTEST_SCAN_MICROS = 1_000_000

/**
 * A load comes from more sensors first, because that is what a bigger plant is; beyond a thousand from shorter
 * intervals, because consumers register 10,000 sensors at most and the rest would become dead letters.
 */
const LOAD_SENSORS = 1000

const MACHINES: readonly Location[] = [
  { factorySection: 'production', machineId: 'machine-001', zone: 'zone-a' },
  { factorySection: 'production', machineId: 'machine-002', zone: 'zone-a' },
  { factorySection: 'production', machineId: 'machine-003', zone: 'zone-b' },
  { factorySection: 'assembly', machineId: 'machine-004', zone: 'zone-c' },
  { factorySection: 'packaging', machineId: 'machine-005', zone: 'zone-d' },
]

export function layOut(options: LayoutOptions): SensorPlan[] {
  const { single, sensorType } = options
  if (single) {
    const type = sensorType ?? typeOf(single.sensorId)
    return paced([plan(type, single.sensorId, single.location, options)], options.rate)
  }
  const types = sensorType ? [sensorType] : SENSOR_TYPES
  const standing = (perType: number) =>
    types.flatMap((type) =>
      Array.from({ length: perType }, (_, i) => {
        const id = `${PROFILES[type].prefix}-sensor-${String(i + 1).padStart(3, '0')}`
        return plan(type, id, machine(i), options)
      }),
    )
  const plant = standing(options.sensorsPerType)
  if (options.rate === null) return plant
  const times = Math.ceil(options.rate / totalRate(plant))
  const most = Math.max(options.sensorsPerType, Math.floor(LOAD_SENSORS / types.length))
  return paced(standing(Math.min(options.sensorsPerType * times, most)).map(asLoad), options.rate)
}

/** Load has sensors of its own: beside a plant that runs, one sensor must not speak with two voices. */
function asLoad(sensor: SensorPlan): SensorPlan {
  return { ...sensor, sensorId: `load-${sensor.sensorId}` }
}

/** Readings a second of all together. */
export function totalRate(sensors: readonly SensorPlan[]): number {
  return sensors.reduce((sum, s) => sum + 1_000_000 / s.intervalMicros, 0)
}

function plan(
  type: SensorType,
  sensorId: string,
  location: Location,
  { intervalsMs }: LayoutOptions,
): SensorPlan {
  const intervalMicros = Math.round((intervalsMs[type] ?? PROFILES[type].intervalMs) * 1000)
  return { sensorId, type, location, intervalMicros, inStep: intervalMicros >= SHORTEST_SCAN_MICROS }
}

/** All intervals stretched or shortened alike, so that together they give the rate. */
function paced(sensors: SensorPlan[], rate: number | null): SensorPlan[] {
  if (rate === null) return sensors
  const factor = totalRate(sensors) / rate
  return sensors.map((s) => ({
    ...s,
    intervalMicros: Math.max(1, Math.round(s.intervalMicros * factor)),
    inStep: false,
  }))
}

/** The n-th sensor of each type stands at the n-th machine. */
function machine(n: number): Location {
  const known = MACHINES[n % MACHINES.length] as Location
  return { ...known, machineId: `machine-${String(n + 1).padStart(3, '0')}` }
}

/** A sensor whose type nobody named: from its id (`vibration-sensor-007`), else temperature. */
function typeOf(sensorId: string): SensorType {
  return SENSOR_TYPES.find((type) => sensorId.startsWith(PROFILES[type].prefix)) ?? 'temperature'
}
