import type { Config } from '../config.ts'
import { log } from '../log.ts'
import type { SensorType } from '../reading.ts'
import { SENSOR_TYPES } from '../reading.ts'
import type { Micros } from '../time.ts'
import type { Episode, FaultPlan } from './episodes.ts'
import { wallClock, wentBack, type Clock, type Fleet, type Measured } from './fleet.ts'
import { layOut, SENSORS_PER_TYPE, type LayoutOptions } from './layout.ts'
import { createQueue } from './queue.ts'
import { createSensor, type Limits, type SimulatedSensor } from './sensor.ts'

export interface PlantOptions {
  topic: string
  /** same seed and clock, same readings */
  seed: string
  limits: Record<SensorType, Limits>
  sensorType?: SensorType | null
  /** one sensor in place of the plant */
  single?: LayoutOptions['single']
  intervalsMs?: LayoutOptions['intervalsMs']
  /** default 5 */
  sensorsPerType?: number
  /** load: so many readings a second in total */
  rate?: number | null
  /** mix (default): everyday life, 15 % near or above warning, 5 % near or above critical; scoring: every kind at every size; none */
  faults?: FaultPlan
  /** no fault begins before this moment: time for detectors to learn */
  faultsFrom?: Micros
  clock?: Clock
  /** the truth about a fault, told before the first reading that shows it, and again after a restart in its midst */
  onEpisode?: (episode: Episode) => void
}

export interface Plant extends Fleet {
  sensors: readonly SimulatedSensor[]
  /** what is measured from a moment on and before another, in order of time, without waiting; `to` may be Infinity */
  between(from: Micros, to: Micros): Generator<Measured>
  /** the truth about that time: every episode of which a part lies in it, in order of time */
  episodes(from: Micros, to: Micros): Episode[]
}

/** Readings at most in a batch, so that a spool transaction stays short. */
const MAX_BATCH = 2000
/** So long after the first one falls due: those of one scan go together, and at 100,000 a second one batch is 2,000. */
const GATHER_MS = 20
/**
 * When the spool blocks, sensors go on measuring, and what they measured comes later with its true time. Beyond this
 * the oldest was never measured, as with a device whose buffer is full; that is logged with its count.
 */
const MAX_LATE_MICROS = 60_000_000
/** No sleep without an end, and none that a timer's 2^31 ms would cut to nothing. */
const MAX_SLEEP_MS = 60_000

/** The simulated factory. */
export function createPlant(options: PlantOptions): Plant {
  const { topic, clock = wallClock, onEpisode = () => {} } = options
  const plans = layOut({
    sensorType: options.sensorType ?? null,
    single: options.single ?? null,
    intervalsMs: options.intervalsMs ?? {},
    sensorsPerType: options.sensorsPerType ?? SENSORS_PER_TYPE,
    rate: options.rate ?? null,
  })
  const sensors = plans.map((plan) =>
    createSensor(plan, {
      seed: options.seed,
      faults: options.faults ?? 'mix',
      faultsFrom: options.faultsFrom ?? -Infinity,
      limits: options.limits[plan.type],
    }),
  )
  const types = new Set(plans.map((plan) => plan.type))
  /** no sensor waits longer for its turn */
  const longestMicros = 2 * Math.max(...plans.map((plan) => plan.intervalMicros))

  /** From a moment on, sensor after sensor as they fall due. */
  function cursorAt(from: Micros, tell: (episode: Episode) => void) {
    const ticks = sensors.map((sensor) => sensor.tickFrom(from))
    const queue = createQueue(sensors.map((sensor, i) => sensor.timeOf(ticks[i] as number)))
    const told: unknown[] = []
    return {
      due: () => queue.time(),
      /** the next one; null where the sensor is silent */
      next(): Measured | null {
        const i = queue.first()
        const sensor = sensors[i] as SimulatedSensor
        const tick = ticks[i] as number
        const fault = sensor.faultAt(tick)
        if (fault && told[i] !== fault) {
          told[i] = fault
          tell(sensor.episodeOf(fault))
        }
        const reading = sensor.measure(tick)
        ticks[i] = tick + 1
        queue.replaceFirst(sensor.timeOf(tick + 1))
        return (
          reading && { topic, key: reading.sensorId, reading, encode: (id) => sensor.encode(reading, id) }
        )
      },
      /** how many measurements fall due before a moment */
      countBefore: (at: Micros) =>
        sensors.reduce((sum, sensor, i) => sum + Math.max(0, sensor.tickFrom(at) - (ticks[i] as number)), 0),
    }
  }

  return {
    name: 'factory',
    sensorType: types.size === 1 ? ([...types][0] ?? null) : null,
    sensors,

    async *readings(signal) {
      let cursor = cursorAt(clock.now(), onEpisode)
      while (!signal.aborted) {
        const now = clock.now()
        if (now - cursor.due() > MAX_LATE_MICROS) {
          const from = now - MAX_LATE_MICROS
          log.warn('plant.readings_missed', {
            count: cursor.countBefore(from),
            reason: 'the spool took no reading for too long',
          })
          cursor = cursorAt(from, onEpisode)
        } else if (wentBack('plant', cursor.due(), now, longestMicros)) {
          cursor = cursorAt(now, onEpisode)
        }
        const batch: Measured[] = []
        while (batch.length < MAX_BATCH && cursor.due() <= now) {
          const measured = cursor.next()
          if (measured) batch.push(measured)
        }
        if (batch.length > 0) yield batch
        const waitMs = (cursor.due() - clock.now()) / 1000 + GATHER_MS
        if (batch.length < MAX_BATCH && waitMs > 0) await clock.sleep(Math.min(waitMs, MAX_SLEEP_MS), signal)
      }
    },

    *between(from, to) {
      const cursor = cursorAt(from, () => {})
      while (cursor.due() < to) {
        const measured = cursor.next()
        if (measured) yield measured
      }
    },

    episodes(from, to) {
      const found: Episode[] = []
      for (const sensor of sensors) {
        const end = sensor.tickFrom(to)
        for (let tick = sensor.tickFrom(from); tick < end; tick++) {
          const fault = sensor.faultAt(tick)
          if (!fault) continue
          found.push(sensor.episodeOf(fault))
          tick = fault.last
        }
      }
      return found.sort((a, b) => a.startedAt - b.startedAt || (a.sensorId < b.sensorId ? -1 : 1))
    },
  }
}

/** The plant that the environment describes. */
export function plantOptions(config: Config): PlantOptions {
  const all = config.SAMPLING_INTERVAL
  return {
    topic: config.SENSOR_TOPIC,
    seed: String(config.SEED),
    sensorType: config.SENSOR_TYPE ?? null,
    single: config.SENSOR_ID
      ? {
          sensorId: config.SENSOR_ID,
          location: {
            factorySection: config.FACTORY_SECTION,
            machineId: config.MACHINE_ID,
            zone: config.ZONE,
          },
        }
      : null,
    intervalsMs: perType((type) => all ?? config[`${type}_INTERVAL`]),
    limits: perType((type) => ({
      warning: config[`${type}_WARNING_THRESHOLD`],
      critical: config[`${type}_CRITICAL_THRESHOLD`],
    })),
  }
}

function perType<T>(make: (type: Uppercase<SensorType>) => T): Record<SensorType, T> {
  const entries = SENSOR_TYPES.map((type) => [type, make(type.toUpperCase() as Uppercase<SensorType>)])
  return Object.fromEntries(entries) as Record<SensorType, T>
}
