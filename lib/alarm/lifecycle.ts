/**
 * The life of an alarm after ISA-18.2 / IEC 62682. Two bits are stored and never mixed, active (the condition holds) and
 * acknowledged (a person has seen it); the state is derived from them:
 *
 *   raised → unacknowledged → (acknowledge) → acknowledged → (condition over) → normal
 *                └→ (condition over) → returned_unacknowledged → (acknowledge) → normal
 *   latching rules: the condition is over but the alarm stays active until it is acknowledged (latched).
 *
 * Beside that, an alarm may be quiet: shelved by a person until an end time, out of service with its sensor, or part of
 * its machine's group. A quiet alarm lives on as any other, only nobody is called.
 */
export interface AlarmBits {
  active: boolean
  acknowledged: boolean
  /** the condition is over, although a latched alarm is still active */
  returnedAt: Date | null
  shelvedUntil: Date | null
  suppressed: 'shelved' | 'out_of_service' | 'group' | null
}

export type AlarmState = 'unacknowledged' | 'acknowledged' | 'latched' | 'returned_unacknowledged' | 'normal'

export function stateOf({ active, acknowledged, returnedAt }: AlarmBits): AlarmState {
  if (!active) return acknowledged ? 'normal' : 'returned_unacknowledged'
  if (returnedAt !== null && !acknowledged) return 'latched'
  return acknowledged ? 'acknowledged' : 'unacknowledged'
}

/** Why nobody is called for it at this moment; null: somebody is. */
export function quietOf({ suppressed, shelvedUntil }: AlarmBits, now: Date): AlarmBits['suppressed'] {
  if (shelvedUntil !== null && shelvedUntil > now) return 'shelved'
  return suppressed === 'shelved' ? null : suppressed
}

/** Needs somebody's eyes: open in either sense, and not quiet. */
export function isStanding(bits: AlarmBits, now: Date): boolean {
  return stateOf(bits) !== 'normal' && quietOf(bits, now) === null
}

export function mayAcknowledge(bits: AlarmBits): boolean {
  return !bits.acknowledged
}

/** What is over and seen can't be shelved: there is nothing to keep quiet. */
export function mayShelve(bits: AlarmBits): boolean {
  return stateOf(bits) !== 'normal'
}

/** The next bits: what each transition does to an alarm, and nothing else does. */
export function transition(
  bits: AlarmBits,
  event:
    | { type: 'acknowledge' | 'unshelve' }
    | { type: 'condition_over'; at: Date; latching: boolean }
    | { type: 'shelve'; until: Date },
): AlarmBits {
  switch (event.type) {
    case 'acknowledge':
      // a latched alarm ends with it
      return { ...bits, acknowledged: true, active: bits.active && bits.returnedAt === null }
    case 'condition_over':
      if (!bits.active || bits.returnedAt !== null) return bits
      return { ...bits, returnedAt: event.at, active: event.latching && !bits.acknowledged }
    case 'shelve':
      return mayShelve(bits) ? { ...bits, shelvedUntil: event.until } : bits
    case 'unshelve':
      return {
        ...bits,
        shelvedUntil: null,
        suppressed: bits.suppressed === 'shelved' ? null : bits.suppressed,
      }
  }
}
