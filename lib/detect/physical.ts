import { QUIET, type Detector, type Verdict } from './detector.ts'

/**
 * What a quantity can be at all: a value outside is a broken sensor or a broken unit, not a hot machine. Active with the
 * first value outside, clear with the first inside. Remembers only which of the two it is.
 */
export interface PhysicalRule {
  low: number
  high: number
}

export interface PhysicalState {
  outside: boolean
}

export const physical: Detector<PhysicalState, PhysicalRule> = {
  name: 'physical',
  version: 1,
  create: () => ({ outside: false }),
  step(state, { value }, rule) {
    const before = state.outside
    state.outside = isOutside(rule, value)
    if (!state.outside) return QUIET
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
  encode: ({ outside }) => Uint8Array.of(outside ? 1 : 0),
  decode: (bytes, version) =>
    version === physical.version && bytes.length === 1 ? { outside: bytes[0] === 1 } : null,
}

export function isOutside(rule: PhysicalRule, value: number): boolean {
  return value < rule.low || value > rule.high
}

const HOLDS: Verdict = Object.freeze({ ...QUIET, active: true, part: 'physical' })
