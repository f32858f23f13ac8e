/**
 * Fixed limits: they protect machines and always stay. Low-low, low, high and high-high are each a rule of their own.
 *
 * States of one rule: clear, active. A value at or beyond the limit makes it active, with `onDelay` readings in a row;
 * only a value back inside by more than the deadband, `offDelay` times in a row, makes it clear again.
 */
export interface LimitRule {
  id: string
  version: number
  side: 'high' | 'low'
  limit: number
  /** the limit itself is still inside */
  exclusive?: boolean
  /** how far back inside the value must come before the alarm clears, in the sensor's unit */
  deadband: number
  /** readings in a row that raise, and that clear */
  onDelay: number
  offDelay: number
  /** what a reading beyond it is called: 0 normal (a fault of the sensor, not of the plant), 1 warning, 2 critical */
  level: 0 | 1 | 2
  anomalyType: string
  severity: 'low' | 'medium' | 'high' | 'critical'
}

export interface LimitState {
  active: boolean
  /** readings in a row that speak for the other state */
  streak: number
}

export type LimitStep = 'raise' | 'clear' | 'hold'

export function createLimitState(): LimitState {
  return { active: false, streak: 0 }
}

export function isBeyond(rule: LimitRule, value: number): boolean {
  if (value === rule.limit) return !rule.exclusive
  return rule.side === 'high' ? value > rule.limit : value < rule.limit
}

/** Moves the state by one live reading. */
export function stepLimit(state: LimitState, value: number, rule: LimitRule): LimitStep {
  const speaksForChange = state.active ? isBackInside(rule, value) : isBeyond(rule, value)
  state.streak = speaksForChange ? state.streak + 1 : 0
  if (state.streak < (state.active ? rule.offDelay : rule.onDelay) || !speaksForChange) return 'hold'
  state.active = !state.active
  state.streak = 0
  return state.active ? 'raise' : 'clear'
}

/** The level of one reading by itself, without memory: what the table stores beside the value. */
export function levelOf(rules: readonly LimitRule[], value: number): 0 | 1 | 2 {
  let level: 0 | 1 | 2 = 0
  for (const rule of rules) if (rule.level > level && isBeyond(rule, value)) level = rule.level
  return level
}

function isBackInside(rule: LimitRule, value: number): boolean {
  return rule.side === 'high' ? value < rule.limit - rule.deadband : value > rule.limit + rule.deadband
}
