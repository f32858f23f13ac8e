import type { Reading } from '../reading.ts'
import { Fault } from './decode.ts'
import { readingKey, type KeyCache } from './keys.ts'
import type { PartitionState } from './partition.ts'
import { isDescribedAlike } from './sensor.ts'

/** A sensor moves now and then; one that describes itself anew all the time would fill the table of sensors. */
const DESCRIPTIONS_PER_SENSOR = 4

export interface Admission {
  /** what is to be registered before the chunk can be processed, one reading for each row */
  readonly fresh: ReadonlyMap<string, Reading>
  /** notes what these readings need; a fault where that would be one sensor too many */
  admit(readings: readonly Reading[]): Fault | null
}

/** Decides for one chunk who may be registered: unknown sensors up to `maxSensors`, counting those of the chunk itself. */
export function startAdmission(state: PartitionState, keys: KeyCache, maxSensors: number): Admission {
  const fresh = new Map<string, Reading>()
  const freshIds = new Set<string>()

  function admitOne(reading: Reading): Fault | null {
    const known = state.sensors.get(reading.sensorId)
    if ((known && isDescribedAlike(known.described, reading)) || !keys.missing(reading)) return null
    const key = readingKey(reading)
    if (fresh.has(key)) return null
    const isNew = !keys.isKnownSensor(reading.sensorId) && !freshIds.has(reading.sensorId)
    if (isNew && keys.sensorCount() + freshIds.size >= maxSensors) {
      return new Fault(
        'sensor_limit',
        `${reading.sensorId} is unknown, and ${maxSensors} sensors are registered already: raise MAX_SENSORS if they are real`,
      )
    }
    const descriptions = keys.descriptionCount() + fresh.size
    if (descriptions >= maxSensors * DESCRIPTIONS_PER_SENSOR) {
      return new Fault(
        'sensor_limit',
        `${reading.sensorId} describes itself anew (type, unit, place or limits), and ${descriptions} descriptions are registered already: raise MAX_SENSORS if they are real`,
      )
    }
    fresh.set(key, reading)
    if (isNew) freshIds.add(reading.sensorId)
    return null
  }

  return {
    fresh,
    admit(readings) {
      for (const reading of readings) {
        const refusal = admitOne(reading)
        if (refusal) return refusal
      }
      return null
    },
  }
}
