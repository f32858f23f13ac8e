/**
 * The life of an alarm after ISA-18.2 / IEC 62682. Two bits are stored and never mixed, active (the condition holds) and
 * acknowledged (a person has seen it); the state is derived from them, here and nowhere else:
 *
 *   raised → active_unacknowledged → (acknowledge) → active_acknowledged → (condition over) → cleared_acknowledged
 *                └→ (condition over) → cleared_unacknowledged → (acknowledge) → cleared_acknowledged
 *   latching rules: the condition is over but the alarm stays active until it is acknowledged (latched).
 *
 * Beside that, an alarm may be quiet: shelved by a person until an end time (its state is then shelved), out of service
 * with its sensor (service.ts), or part of its machine's group (group.ts). A quiet alarm lives on like the others, only
 * nobody is called. Who moves the bits: readings (transitions.ts), persons (the monitor's acts), the clock
 * (caretaker.ts).
 */
export const ALARM_STATES = [
  'active_unacknowledged',
  'active_acknowledged',
  'cleared_unacknowledged',
  'cleared_acknowledged',
  'latched',
  'shelved',
] as const
export type AlarmState = (typeof ALARM_STATES)[number]

/** A row of table alerts, as far as its life goes; times as ISO text. */
export interface AlarmBits {
  active: boolean
  acknowledged: boolean
  /** the condition is over, although a latched alarm is still active */
  returned_at: string | null
  shelved_until: string | null
}

/** `now`: milliseconds since 1970. A shelf ends by itself. */
export function stateOf(bits: AlarmBits, now: number): AlarmState {
  if (bits.shelved_until !== null && Date.parse(bits.shelved_until) > now) return 'shelved'
  if (!bits.active) return bits.acknowledged ? 'cleared_acknowledged' : 'cleared_unacknowledged'
  if (bits.returned_at !== null && !bits.acknowledged) return 'latched'
  return bits.acknowledged ? 'active_acknowledged' : 'active_unacknowledged'
}
