import type { Reading } from '../reading.ts'
import { Fault, type Decoded } from './decode.ts'
import { readingKey, type KeyCache, type SensorNumbers } from './keys.ts'
import type { PartitionState } from './partition.ts'
import { isDescribedAlike } from './sensor.ts'

/** A sensor moves now and then; one that describes itself anew all the time would fill the table of sensors. */
const DESCRIPTIONS_PER_SENSOR = 4

export interface Admission {
  /** what is to be registered before the chunk can be processed, one reading for each row */
  readonly fresh: ReadonlyMap<string, Reading>
  /** how many sensors of those are new */
  newIds(): number
  /** notes what these readings need; a fault where that would be one sensor too many */
  admit(readings: readonly Reading[]): Fault | null
}

/**
 * One reading for each description that the state does not have: its number has to be looked up. Where a sensor describes
 * itself otherwise, its number so far is noted in `known`: within the chunk it may go back to what it was.
 */
export function strangers(
  state: PartitionState,
  decoded: readonly (Decoded | Fault)[],
  known: SensorNumbers,
): Reading[] {
  const wanted = new Map<string, Reading>()
  for (const one of decoded) {
    if (one instanceof Fault) continue
    for (const reading of one.readings) {
      const sensor = state.sensors.get(reading.sensorId)
      if (sensor && isDescribedAlike(sensor.described, reading)) continue
      if (sensor) known.set(readingKey(sensor.described), sensor.sensorKey)
      const key = readingKey(reading)
      if (!known.has(key)) wanted.set(key, reading)
    }
  }
  return [...wanted.values()]
}

/**
 * Decides for one chunk who may be registered: sensors that nobody has registered, up to `maxSensors`, counting those of
 * the chunk itself. `known` has the numbers of all that are registered, `registered` their ids.
 */
export function startAdmission(
  state: PartitionState,
  keys: KeyCache,
  known: SensorNumbers,
  registered: ReadonlySet<string>,
  maxSensors: number,
): Admission {
  const fresh = new Map<string, Reading>()
  const freshIds = new Set<string>()

  function admitOne(reading: Reading): Fault | null {
    const { sensorId } = reading
    const sensor = state.sensors.get(sensorId)
    if (sensor && isDescribedAlike(sensor.described, reading)) return null
    const key = readingKey(reading)
    if (known.has(key) || fresh.has(key)) return null
    const isNew = !sensor && !registered.has(sensorId) && !freshIds.has(sensorId)
    if (isNew && keys.sensorCount() + freshIds.size >= maxSensors) {
      return new Fault(
        'sensor_limit',
        `${sensorId} is unknown, and ${maxSensors} sensors are registered already: raise MAX_SENSORS if they are real`,
      )
    }
    const descriptions = keys.descriptionCount() + fresh.size
    if (descriptions >= maxSensors * DESCRIPTIONS_PER_SENSOR) {
      return new Fault(
        'sensor_limit',
        `${sensorId} describes itself anew (type, unit, place or limits), and ${descriptions} descriptions are registered already: raise MAX_SENSORS if they are real`,
      )
    }
    fresh.set(key, reading)
    if (isNew) freshIds.add(sensorId)
    return null
  }

  return {
    fresh,
    newIds: () => freshIds.size,
    admit(readings) {
      for (const reading of readings) {
        const refusal = admitOne(reading)
        if (refusal) return refusal
      }
      return null
    },
  }
}
