import type { SensorType } from '../reading.ts'
import type { Micros } from '../time.ts'
import type { Noise } from './random.ts'

/**
 * What a healthy sensor shows: level of the hour (and for energy of the weekday) + slow wander + noise. All of it is a
 * function of time, position and seed, so it can be entered anywhere. Hours are UTC hours: the plant stands at Greenwich.
 */
export interface Signal {
  /** what the process does in this second, without the sensor's noise */
  level(at: Micros): number
  /** the sensor's noise at its n-th measurement; its white part has deviation `sigma` */
  noise(tick: number): number
  /** fresh noise of the same deviation, for a fault that adds some */
  extraNoise(tick: number): number
}

export interface Profile {
  /** sensors are named `<prefix>-sensor-001` */
  prefix: string
  base: number
  /** deviation of the white measurement noise; sizes of faults are told in it */
  sigma: number
  decimals: number
  /** what the sensor can physically show */
  min: number
  max: number
  intervalMs: number
  /** what the hour adds; `hour` 0 … 24, `activity` 0 (night) … 1 (shift at work) */
  daily(hour: number, activity: number): number
  /** [hours between turns, deviation in sigmas] */
  wander: readonly (readonly [hours: number, sigmas: number])[]
}

const wave = (hour: number, peak: number, perDay = 1) => Math.cos((2 * Math.PI * perDay * (hour - peak)) / 24)
const SLOW = [
  [0.75, 0.8],
  [5, 1.2],
] as const

export const PROFILES: Record<SensorType, Profile> = {
  temperature: {
    prefix: 'temp',
    base: 25,
    sigma: 0.4,
    decimals: 2,
    min: -40,
    max: 125,
    intervalMs: 3000,
    daily: (hour, activity) => 2 * wave(hour, 15) + 0.8 * (activity - 0.5),
    wander: SLOW,
  },
  vibration: {
    prefix: 'vibration',
    base: 2,
    sigma: 0.12,
    decimals: 3,
    min: 0,
    max: 50,
    intervalMs: 4000,
    daily: (_hour, activity) => 0.3 * (activity - 0.5),
    wander: SLOW,
  },
  energy: {
    prefix: 'energy',
    base: 100,
    sigma: 2.5,
    decimals: 2,
    min: 0,
    max: 500,
    intervalMs: 10_000,
    daily: (_hour, activity) => 30 * (activity - 0.5),
    wander: SLOW,
  },
  humidity: {
    prefix: 'humidity',
    base: 45,
    sigma: 0.7,
    decimals: 2,
    min: 0,
    max: 100,
    intervalMs: 5000,
    daily: (hour) => -3.5 * wave(hour, 15),
    wander: SLOW,
  },
  pressure: {
    prefix: 'pressure',
    base: 1013.25,
    sigma: 0.4,
    decimals: 2,
    min: 870, // the lowest and (below) highest air pressures ever measured at sea level
    max: 1085,
    intervalMs: 6000,
    daily: (hour) => 0.9 * wave(hour, 10, 2), // the atmosphere's tide has two peaks a day
    wander: [...SLOW, [36, 8]],
  },
}

const SECOND = 1_000_000
const HOUR = 3600 * SECOND
const DAY = 24 * HOUR
const WEEKEND_ACTIVITY = 0.35
/** neighbouring measurements share a little of their noise, as behind any sensor's own filter */
const SHARED_TICKS = 6
const SHARED_SIGMAS = 0.4

const STREAM = { own: 0, noise: 1, extra: 2, shared: 3, wander: 4 } as const

export function createSignal(profile: Profile, noise: Noise): Signal {
  const own = (n: number) => 2 * noise.uniform(STREAM.own, n) - 1
  const offset = 2 * profile.sigma * own(0)
  const gain = 1 + 0.2 * own(1)
  const dayShift = 0.75 * HOUR * own(2)
  const waves = profile.wander.map(([hours, sigmas], i) => ({
    turn: hours * HOUR,
    size: sigmas * profile.sigma,
    at: createLattice(noise, STREAM.wander + i),
  }))
  const shared = createLattice(noise, STREAM.shared)
  let levelSecond = NaN
  let levelOfSecond = 0

  const levelAt = (at: Micros) => {
    const local = at + dayShift
    const hour = (local % DAY) / HOUR
    let level = profile.base + offset + gain * profile.daily(hour, activity(local, hour))
    for (const w of waves) level += w.size * w.at(at / w.turn)
    return level
  }

  return {
    level(at) {
      const second = Math.floor(at / SECOND)
      if (second !== levelSecond) {
        levelSecond = second
        levelOfSecond = levelAt(second * SECOND)
      }
      return levelOfSecond
    },
    noise: (tick) =>
      profile.sigma * (noise.gauss(STREAM.noise, tick) + SHARED_SIGMAS * shared(tick / SHARED_TICKS)),
    extraNoise: (tick) => profile.sigma * noise.gauss(STREAM.extra, tick),
  }
}

/** Two shifts: work begins between 5 and 8, ends between 18 and 22; at weekends a third of it. 1970 began on a Thursday. */
function activity(at: Micros, hour: number): number {
  const weekday = (Math.floor(at / DAY) + 4) % 7
  const busy = ease((hour - 5) / 3) - ease((hour - 18) / 4)
  return weekday === 0 || weekday === 6 ? WEEKEND_ACTIVITY * busy : busy
}

/** A smooth random line through one normal number per whole x; remembers the two ends of the piece it is on. */
function createLattice(noise: Noise, stream: number): (x: number) => number {
  let cell = NaN
  let left = 0
  let right = 0
  return (x) => {
    const n = Math.floor(x)
    if (n !== cell) {
      cell = n
      left = noise.gauss(stream, n)
      right = noise.gauss(stream, n + 1)
    }
    return left + (right - left) * ease(x - n)
  }
}

function ease(x: number): number {
  const t = x < 0 ? 0 : x > 1 ? 1 : x
  return t * t * (3 - 2 * t)
}
