import { QUIET, type Detector, type Verdict } from './detector.ts'
import { kept, type InBytes } from './layout.ts'

/**
 * What a quantity can be at all: a value outside is a broken sensor or a broken unit, not a hot machine. Active with the
 * first value outside, clear with the first inside. Remembers only which of the two it is.
 */
export interface PhysicalRule {
  low: number
  high: number
}

/** one byte: 1 while it is outside */
export type PhysicalState = InBytes

export const physical: Detector<PhysicalState, PhysicalRule> = {
  name: 'physical',
  ...kept(1, { size: 1, at: (buffer, offset) => ({ bytes: new Uint8Array(buffer, offset, 1) }) }),
  step({ bytes }, { value }, rule) {
    const before = bytes[0] === 1
    const outside = isOutside(rule, value)
    bytes[0] = outside ? 1 : 0
    if (!outside) return QUIET
    if (before) return HOLDS
    const beyond = value < rule.low ? rule.low - value : value - rule.high
    return {
      ...QUIET,
      score: 1,
      active: true,
      part: 'physical',
      low: rule.low,
      high: rule.high,
      reasons: [{ part: 'physical', size: beyond, usual: null, p: null }],
    }
  },
}

export function isOutside(rule: PhysicalRule, value: number): boolean {
  return value < rule.low || value > rule.high
}

const HOLDS: Verdict = Object.freeze({ ...QUIET, active: true, part: 'physical' })
