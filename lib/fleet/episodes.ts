import type { Micros } from '../time.ts'
import { createRandom, type Random } from './random.ts'

/**
 * Injected faults come as episodes, never as a coin flip per reading. A sensor's ticks are cut into slots of equal
 * length; a slot holds one episode or none, whole inside it, drawn from (seed, sensor, slot number). So what goes wrong
 * when is a function of the clock and the seed alone: a restart falls into the same episode, and the truth of any
 * stretch of time can be told without simulating it.
 */
export interface Fault {
  kind: FaultKind
  /** first and last tick that differ from a healthy sensor's */
  first: number
  last: number
  /** in deviations of the sensor's noise, signed; null where a size has no meaning (stuck, dropout) or follows from the limit */
  sizeSigma: number | null
  /** excursion only: which limit it runs to, how far beyond (0 … 1 within that limit's band), ticks of each ramp */
  excursion: { limit: 'warning' | 'critical'; reach: number; ramp: number } | null
}

export const FAULT_KINDS = [
  'excursion', // ramps to a level near or above a limit, holds, ramps back
  'spike', // one or a few readings far off
  'level_shift', // off by a constant, at once
  'drift', // off by more and more
  'stuck', // the same value again and again
  'noise_burst', // added noise, its deviation is the size
  'dropout', // no readings
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

/** The truth about one fault, told when it begins. The id is stable: telling it again after a restart changes nothing. */
export interface Episode {
  episodeId: string
  sensorId: string
  kind: FaultKind
  sizeSigma: number | null
  /** time of the first and of the last reading that is not a healthy sensor's (for a dropout: that is missing) */
  startedAt: Micros
  endedAt: Micros
  description: string
}

interface Row {
  kind: FaultKind
  /** size in sigmas, drawn from this range */
  sigmas?: readonly [number, number]
  /** length as a share of the slot … */
  share?: readonly [number, number]
  /** … or in readings */
  readings?: readonly [number, number]
  limit?: 'warning' | 'critical'
  /** how likely in a slot; the rest of the slots stay healthy */
  chance?: number
}

/** Everyday life. The two excursions make 15 % of readings near or above warning and 5 % near or above critical. */
const MIX_SLOT_MICROS = 3_600_000_000
const MIX_SLOT_MIN_READINGS = 60
const MIX: readonly Row[] = [
  { kind: 'excursion', limit: 'warning', share: [0.13, 0.5], chance: 0.295 },
  { kind: 'excursion', limit: 'critical', share: [0.13, 0.5], chance: 0.155 },
  { kind: 'spike', sigmas: [6, 15], readings: [1, 3], chance: 0.07 },
  { kind: 'level_shift', sigmas: [4, 8], share: [0.08, 0.33], chance: 0.05 },
  { kind: 'drift', sigmas: [5, 10], share: [0.25, 0.5], chance: 0.04 },
  { kind: 'stuck', share: [0.07, 0.25], chance: 0.04 },
  { kind: 'noise_burst', sigmas: [3, 6], share: [0.03, 0.13], chance: 0.04 },
  { kind: 'dropout', share: [0.02, 0.08], chance: 0.02 },
]

/** The fixed table for scoring detectors: every kind at every size down to one deviation, each sensor through all of it in an order of its own. */
const SCORING_SLOT_READINGS = 600
const SIZES = [1, 2, 3, 4, 6, 8] as const
const SCORING: readonly Row[] = [
  ...SIZES.flatMap((size): Row[] => [
    { kind: 'spike', sigmas: [size, size], readings: [1, 1] },
    { kind: 'level_shift', sigmas: [size, size], readings: [30, 60] },
    { kind: 'drift', sigmas: [size, size], readings: [60, 120] },
    { kind: 'noise_burst', sigmas: [size, size], readings: [20, 50] },
  ]),
  { kind: 'stuck', readings: [20, 60] },
  { kind: 'dropout', readings: [20, 60] },
  { kind: 'excursion', limit: 'warning', readings: [20, 60] },
  { kind: 'excursion', limit: 'critical', readings: [20, 60] },
]

export const FAULT_PLANS = ['mix', 'scoring', 'none'] as const
export type FaultPlan = (typeof FAULT_PLANS)[number]

/** The fault that a tick lies in or before within its slot; null in a healthy slot. Cheap for ticks in order. */
export type Schedule = (tick: number) => Fault | null

export function createSchedule(plan: FaultPlan, seed: string, intervalMicros: Micros): Schedule {
  if (plan === 'none') return () => null
  const length =
    plan === 'scoring'
      ? SCORING_SLOT_READINGS
      : Math.max(MIX_SLOT_MIN_READINGS, Math.round(MIX_SLOT_MICROS / intervalMicros))
  const offset = createRandom(`${seed}/slots`).whole(0, length - 1) // sensors do not fail in step
  let slot = NaN
  let fault: Fault | null = null
  return (tick) => {
    const n = Math.floor((tick + offset) / length)
    if (n !== slot) {
      slot = n
      const random = createRandom(`${seed}/slot/${n}`)
      const row = plan === 'scoring' ? scoringRow(seed, n) : mixRow(random)
      fault = row ? place(row, n * length - offset, length, random) : null
    }
    return fault
  }
}

function mixRow(random: Random): Row | null {
  let left = random.next()
  for (const row of MIX) {
    left -= row.chance ?? 0
    if (left < 0) return row
  }
  return null
}

function scoringRow(seed: string, slot: number): Row | null {
  const round = Math.floor(slot / SCORING.length)
  const order = shuffled(SCORING, createRandom(`${seed}/round/${round}`))
  return order[slot - round * SCORING.length] ?? null
}

function place(row: Row, slotStart: number, length: number, random: Random): Fault {
  const [low, high] = row.share?.map((s) => Math.round(s * length)) ?? row.readings ?? [1, 1]
  const hold = Math.max(1, random.whole(low ?? 1, high ?? 1))
  const ramp = row.limit ? Math.max(1, Math.round(hold * random.between(0.1, 0.25))) : 0
  const ticks = hold + 2 * ramp
  const first = slotStart + random.whole(1, Math.max(1, length - ticks - 1))
  const sign = random.next() < 0.5 ? -1 : 1
  const size = row.sigmas ? random.between(...row.sigmas) : null
  const signed = size === null || row.kind === 'noise_burst' ? size : sign * size
  return {
    kind: row.kind,
    first,
    last: first + ticks - 1,
    sizeSigma: signed === null ? null : Math.round(signed * 100) / 100,
    excursion: row.limit ? { limit: row.limit, reach: random.next(), ramp } : null,
  }
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const drawn = items.map((item) => ({ item, at: random.next() }))
  return drawn.sort((a, b) => a.at - b.at).map(({ item }) => item)
}
