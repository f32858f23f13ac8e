import { parseConfig } from '../../lib/config.ts'
import type { Clock, Measured } from '../../lib/fleet/fleet.ts'
import { createPlant, plantOptions, type PlantOptions } from '../../lib/fleet/plant.ts'
import { NEAR } from '../../lib/fleet/sensor.ts'
import { PROFILES } from '../../lib/fleet/signal.ts'
import { SENSOR_TYPES, type SensorType } from '../../lib/reading.ts'
import { type Micros } from '../../lib/time.ts'

const MINUTE = 60_000_000
const ID = { runId: 'run', seq: 14 }

/** What the plant's tests are made of. */
export function plant(options: Partial<PlantOptions> = {}) {
  return createPlant({ ...DEFAULTS, ...options })
}

export function minutely() {
  return Object.fromEntries(SENSOR_TYPES.map((type) => [type, 60_000]))
}

export const PLACE = { factorySection: 'production', machineId: 'machine-001', zone: 'zone-a' }
export const DEFAULTS = plantOptions(parseConfig({}))

export function nearLimits(type: SensorType) {
  const { base } = PROFILES[type]
  const { warning, critical } = DEFAULTS.limits[type]
  return { warning: warning - NEAR * (warning - base), critical: critical - NEAR * (critical - base) }
}

/** That sensor of the scoring plant alone, freshly made. */
export function onlySensor(sensorId: string) {
  return plant({ faults: 'scoring', single: { sensorId, location: PLACE } })
}

export function line(m: Measured): string {
  return m.encode(ID) as string
}

export function place(m: Measured): string {
  return `${m.key}@${m.reading.measuredAt}`
}

export function bytes(p: ReturnType<typeof plant>, from: Micros, minutes: number): string {
  return [...p.between(from, from + minutes * MINUTE)].map(line).join('\n')
}

export function virtualClock(start: Micros): Clock & { advance(micros: Micros): void } {
  let now = start
  return {
    now: () => now,
    sleep: async (ms) => void (now += ms * 1000),
    advance: (micros) => void (now += micros),
  }
}
