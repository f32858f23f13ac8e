import { rhythmOf, silenceOf, type BoundRule } from '../alarm/bind.ts'
import type { RuleOf } from '../alarm/rulebook.ts'
import { recentOf, type RecentReading } from '../detect/recent.ts'
import { copyOf, silentFrom, type SilenceState } from '../detect/silence.ts'
import type { Micros } from '../time.ts'
import type { SensorState } from './sensor.ts'

/** A sensor should have spoken by now. */
export interface Overdue {
  rule: BoundRule & { rule: RuleOf<'silence'> }
  /** as of now, as is the next: a desk holds them for a moment only */
  rhythm: SilenceState
  recent: readonly RecentReading[]
  from: Micros
  /** how long it may say nothing: `from` less its last reading */
  patience: Micros
}

/** The rules by which the sensor is overdue. */
export function* overdue({ judged, packed, watermark }: SensorState, now: Micros): Generator<Overdue> {
  if (!judged || !packed) return
  const { bound, desk } = judged
  desk.lay(packed)
  for (const [i, b] of bound.entries()) {
    const rhythm = rhythmOf(b, desk.states[i] ?? null)
    if (!rhythm || b.rule.kind !== 'silence') continue
    const from = silentFrom(rhythm, silenceOf(b.rule))
    if (now < from) continue
    const recent = recentOf(desk.recent)
    yield { rule: { ...b, rule: b.rule }, rhythm: copyOf(rhythm), recent, from, patience: from - watermark }
  }
}

export interface ProducerSeen {
  status: string
  heartbeat_us: number
  started_us: number
  /** of the oldest reading that it could not send yet */
  spooled_us: number | null
}

/** a spool that holds readings for longer than this is not emptying */
const SPOOL_STUCK_MICROS = 3e6

/** Why nobody may say that a sensor is silent: see SilenceWatch. A producer that nobody knows says nothing for or against it. */
export function isHeld(
  { from, patience }: Pick<Overdue, 'from' | 'patience'>,
  producer: ProducerSeen | undefined,
  now: Micros,
): boolean {
  if (!producer) return false
  if (['finished', 'stopped', 'stopping', 'failed', 'starting'].includes(producer.status)) return true
  if (producer.heartbeat_us < from || producer.started_us + patience > now) return true
  return producer.spooled_us !== null && producer.spooled_us < now - SPOOL_STUCK_MICROS
}
