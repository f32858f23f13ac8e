import type { DeviceMessage } from '../device.ts'
import type { Micros } from '../time.ts'
import { formatMicros } from '../time.ts'
import type { Episode } from './episodes.ts'
import { createNoise } from './random.ts'

/**
 * One virtual device of fleet iot: temperature and humidity at its n-th measurement. Both are functions of the seed,
 * the device's id, the moment and n alone, with nothing remembered in between: a hundred thousand devices cost no memory, and a restart
 * falls into the same episode.
 */
export interface Device {
  id: string
  measure(tick: number, at: Micros): DeviceMessage
  /** what goes wrong at this tick; null where nothing does */
  faultAt(tick: number): DeviceFault | null
}

export interface DeviceFault {
  channel: 'temperature' | 'humidity'
  first: number
  last: number
  /** what the channel shows while it holds */
  level: number
}

export interface DeviceLimits {
  maxTemperature: number
  minHumidity: number
}

/** Ticks are cut into slots (an hour at 2 s); in one of ten a device goes out of range for half a minute to two. */
const SLOT_TICKS = 1800
const CHANCE = 0.1
const LENGTH_TICKS = { least: 15, most: 60 }
const RAMP = 0.2

const HOUR = 3_600_000_000
const DAY = 24 * HOUR
const WANDER = 2 * HOUR
const STREAM = { own: 0, temperature: 1, humidity: 2, wanderT: 3, wanderH: 4, episode: 5 } as const
const DRAWS = 8 // positions of the episode stream that one slot may use

export function createDevice(id: string, seed: string, limits: DeviceLimits): Device {
  const noise = createNoise(`${seed}/${id}`)
  const ownTemperature = 24 + 1.5 * noise.gauss(STREAM.own, 0)
  const ownHumidity = 45 + 3 * noise.gauss(STREAM.own, 1)
  const offset = Math.floor(noise.uniform(STREAM.own, 2) * SLOT_TICKS) // devices do not fail in step
  let slot = NaN
  let fault: DeviceFault | null = null

  function drawn(n: number): DeviceFault | null {
    const draw = (i: number) => noise.uniform(STREAM.episode, n * DRAWS + i)
    if (draw(0) >= CHANCE) return null
    const length = LENGTH_TICKS.least + Math.floor(draw(1) * (LENGTH_TICKS.most - LENGTH_TICKS.least))
    const first = n * SLOT_TICKS - offset + Math.floor(draw(2) * (SLOT_TICKS - length))
    const hot = draw(3) < 0.5
    const level = hot ? limits.maxTemperature + 2 + 6 * draw(4) : limits.minHumidity * (0.3 + 0.5 * draw(4))
    return { channel: hot ? 'temperature' : 'humidity', first, last: first + length - 1, level }
  }

  /** a smooth line through one normal number every two hours */
  function wander(stream: number, at: Micros): number {
    const n = Math.floor(at / WANDER)
    const t = at / WANDER - n
    const left = noise.gauss(stream, n)
    return left + (noise.gauss(stream, n + 1) - left) * t * t * (3 - 2 * t)
  }

  function faultAt(tick: number): DeviceFault | null {
    const n = Math.floor((tick + offset) / SLOT_TICKS)
    if (n !== slot) {
      slot = n
      fault = drawn(n)
    }
    return fault && tick >= fault.first && tick <= fault.last ? fault : null
  }

  return {
    id,
    faultAt,
    measure(tick, at) {
      const warmest = Math.cos((2 * Math.PI * ((at % DAY) / HOUR - 15)) / 24)
      const levels = {
        temperature: ownTemperature + 3 * warmest + 0.6 * wander(STREAM.wanderT, at),
        humidity: ownHumidity - 4 * warmest + 1.5 * wander(STREAM.wanderH, at),
      }
      const wrong = faultAt(tick)
      if (wrong) levels[wrong.channel] += weight(wrong, tick) * (wrong.level - levels[wrong.channel])
      return {
        id,
        ts: at,
        temperature: shown(levels.temperature + 0.3 * noise.gauss(STREAM.temperature, tick), -40, 125),
        humidity: shown(levels.humidity + 0.5 * noise.gauss(STREAM.humidity, tick), 0, 100),
      }
    },
  }
}

/** The truth about a fault; `timeOf`: when a tick is. */
export function episodeOf(deviceId: string, fault: DeviceFault, timeOf: (tick: number) => Micros): Episode {
  const startedAt = timeOf(fault.first)
  const sensorId = `${deviceId}.${fault.channel}`
  const unit = fault.channel === 'temperature' ? '°C' : '%'
  return {
    episodeId: `${sensorId}:${formatMicros(startedAt)}`,
    sensorId,
    kind: 'excursion',
    sizeSigma: null,
    startedAt,
    endedAt: timeOf(fault.last),
    description: `ramp to ${fault.level.toFixed(2)} ${unit}, hold and back, ${fault.last - fault.first + 1} readings`,
  }
}

/** 0 → 1 on the way out, 1 while it holds, 1 → 0 on the way back. */
function weight({ first, last }: DeviceFault, tick: number): number {
  const ramp = Math.max(1, RAMP * (last - first + 1))
  return Math.min(1, (tick - first + 1) / ramp, (last - tick + 1) / ramp)
}

/** two decimals within what the device can show; -0 becomes 0 */
function shown(value: number, least: number, most: number): number {
  return Math.round(Math.min(most, Math.max(least, value)) * 100) / 100 + 0
}
