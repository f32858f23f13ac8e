import { QUIET, type Verdict } from './detector.ts'
import type { Micros } from '../time.ts'

/** One moment of a machine: a value per channel, NaN where one is missing. */
export interface MachineSample {
  at: Micros
  values: ArrayLike<number>
  quality: number
}
export interface EquipmentRule {
  /** readings of the commissioning, from which the baseline is learnt and then frozen */
  readonly commissioning: number
  readonly threshold: number
}
export const DEFAULT_EQUIPMENT_RULE: EquipmentRule = { commissioning: 400, threshold: 3 }

export interface EquipmentState {
  n: number
  active: boolean
  mean: Float64Array
  square: Float64Array
  ewma: Float64Array
}

export interface EquipmentDetector {
  create(): EquipmentState
  step(state: EquipmentState, sample: MachineSample, rule: EquipmentRule): Verdict
}

export function equipment(channels: number): EquipmentDetector {
  return {
    create: () => ({
      n: 0,
      active: false,
      mean: new Float64Array(channels),
      square: new Float64Array(channels),
      ewma: new Float64Array(channels),
    }),
    step(s, { values }, rule) {
      s.n++
      if (s.n <= rule.commissioning) {
        for (let c = 0; c < channels; c++) {
          const d = values[c]! - s.mean[c]!
          s.mean[c]! += d / s.n
          s.square[c]! += d * (values[c]! - s.mean[c]!)
        }
        return QUIET
      }
      let sum = 0
      for (let c = 0; c < channels; c++) {
        const sd = Math.sqrt(s.square[c]! / rule.commissioning) || 1
        const z = (values[c]! - s.mean[c]!) / sd
        s.ewma[c]! += 0.05 * (z - s.ewma[c]!)
        sum += s.ewma[c]! ** 4
      }
      const size = Math.sqrt(Math.sqrt(sum))
      s.active = s.active ? size > 0.8 * rule.threshold : size >= rule.threshold
      return { ...QUIET, score: 1 - 2 ** (-size / rule.threshold), active: s.active, part: 'condition' }
    },
  }
}
