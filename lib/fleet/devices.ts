import type { AvroWriter } from '../avro/writer.ts'
import { DEVICE_TOPIC, readingsOf, type DeviceMessage } from '../device.ts'
import { log } from '../log.ts'
import type { Reading } from '../reading.ts'
import type { Micros } from '../time.ts'
import { createDevice, episodeOf, type Device, type DeviceLimits } from './device.ts'
import type { Episode } from './episodes.ts'
import { NO_PAST, wallClock, wentBack, type Clock, type Fleet, type Measured } from './fleet.ts'

export interface DevicesOptions {
  /** same seed and clock, same readings */
  seed: string
  count: number
  /** of each device */
  intervalMs: number
  /** load: so many messages a second in total, by shorter intervals; devices then have names of their own */
  rate?: number | null
  limits: DeviceLimits
  /** where the messages of a device go */
  partitionOf: (deviceId: string) => number
  /** what makes bytes of a message */
  writer: Pick<AvroWriter<DeviceMessage>, 'ready' | 'waitsFor' | 'memo' | 'encode'>
  clock?: Clock
  /** the truth about a fault, told before the first message that shows it */
  onEpisode?: (episode: Episode) => void
}

export type DeviceReadings = readonly [Reading, Reading]

export interface Devices extends Fleet<DeviceReadings> {
  perSecond: number
  /** what is measured from a moment on and before another, without waiting; `to` may be Infinity */
  between(from: Micros, to: Micros): Generator<Measured<DeviceReadings>>
}

/** The schema's number goes into the spool with the first messages of a life: the next one may begin without the registry. */
const SCHEMA_MEMO = 'schema'
/** Messages at most in a batch, so that a spool transaction stays short. */
const MAX_BATCH = 2000
/** A batch at least this long after the one before: at 5,000 messages a second one batch is 100 messages. */
const BATCH_GAP_MS = 20
/** Beyond this what was not taken was never measured, as with a device whose buffer is full; that is logged. */
const MAX_LATE_MICROS = 60_000_000

/**
 * A thousand devices in one process. They measure in turn, evenly over the interval, so who is due next is a matter of counting: the
 * n-th measurement of all since 1970 is that of device n modulo count. Those of a partition follow one another: a batch then goes to
 * one or two partitions instead of all, which is a third less work for everybody behind it (`bench iot`: 1.70 → 1.10 cores).
 */
export function createDevices(options: DevicesOptions): Devices {
  const { count, clock = wallClock, writer, onEpisode = () => {} } = options
  const isLoad = options.rate !== undefined && options.rate !== null
  const step = isLoad ? 1e6 / (options.rate as number) : (options.intervalMs * 1000) / count
  const digits = Math.max(4, String(count).length)
  const name = (i: number) => `${isLoad ? 'load-' : ''}device-${String(i + 1).padStart(digits, '0')}`
  const ids = Array.from({ length: count }, (_, i) => name(i))
  const inOrder = [...Map.groupBy(ids, options.partitionOf).values()].flat()
  const devices = inOrder.map((id) => createDevice(id, options.seed, options.limits))
  const timeOf = (n: number): Micros => Math.floor(n * step)
  const firstFrom = (at: Micros) => Math.ceil(at / step)
  const told: unknown[] = []
  /** no device waits longer for its turn */
  const longestMicros = 2 * count * step

  function measuredAt(n: number, tell: boolean): Measured<DeviceReadings> {
    const i = n % count
    const tick = Math.floor(n / count)
    const device = devices[i] as Device
    const fault = device.faultAt(tick)
    if (tell && fault && told[i] !== fault) {
      told[i] = fault
      onEpisode(episodeOf(device.id, fault, (t) => timeOf(t * count + i)))
    }
    const message = device.measure(tick, timeOf(n))
    return {
      topic: DEVICE_TOPIC,
      key: device.id,
      reading: readingsOf(message),
      encode: () => writer.encode(message),
    }
  }

  return {
    name: 'iot',
    sensorType: null,
    perSecond: 1e6 / step,

    waitsFor: writer.waitsFor,

    async *readings(signal, past = NO_PAST) {
      await writer.ready(signal, past.memos.get(SCHEMA_MEMO))
      let isRemembered = false
      let n = firstFrom(clock.now())
      while (!signal.aborted) {
        const now = clock.now()
        if (now - timeOf(n) > MAX_LATE_MICROS) {
          const from = firstFrom(now - MAX_LATE_MICROS)
          log.warn('devices.readings_missed', { count: from - n, reason: 'the spool took none for too long' })
          n = from
        } else if (wentBack('devices', timeOf(n), now, longestMicros)) {
          n = firstFrom(now)
        }
        const batch: Measured<DeviceReadings>[] = []
        while (batch.length < MAX_BATCH && timeOf(n) <= now) batch.push(measuredAt(n++, true))
        if (batch[0] && !isRemembered) batch[0].memo = { name: SCHEMA_MEMO, text: writer.memo() }
        if (batch.length > 0) yield batch
        if (batch.length > 0) isRemembered = true
        if (batch.length === MAX_BATCH) continue
        const waitMs = Math.max((timeOf(n) - clock.now()) / 1000, BATCH_GAP_MS - (clock.now() - now) / 1000)
        if (waitMs > 0) await clock.sleep(waitMs, signal)
      }
    },

    *between(from, to) {
      for (let n = firstFrom(from); timeOf(n) < to; n++) yield measuredAt(n, false)
    },
  }
}
