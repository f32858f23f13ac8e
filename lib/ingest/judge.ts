import { clearAlarm, follow, openAlarm, raiseAlarm, type Moment } from '../alarm/alarm.ts'
import type { BoundRule } from '../alarm/bind.ts'
import type { Rules } from '../alarm/rules.ts'
import { IGNORED, type Sample } from '../detect/detector.ts'
import type { Reading } from '../reading.ts'
import type { Outputs } from './outputs.ts'
import type { Judged, SensorState, Slot } from './sensor.ts'

const RECENT_READINGS = 8

/**
 * One live reading before all rules of its sensor: moves their detectors, raises and clears. An impossible value teaches
 * nothing. `momentOf` is asked only
 * where an alarm has to say what it was about. `outputs` null: the log is being read again, the same happens without a word.
 */
export function judge(
  sensor: SensorState,
  judged: Judged,
  sample: Sample,
  impossible: boolean,
  momentOf: () => Moment,
  outputs: Outputs | null,
): void {
  const { at, value } = sample
  const { bound } = judged.rules
  for (let i = 0; i < bound.length; i++) {
    const rule = bound[i] as BoundRule
    const slot = judged.slots[i] as Slot
    if (impossible && rule.learns) continue
    const verdict = rule.step(slot.state as object, sample)
    if (verdict === IGNORED) continue
    if (slot.open) {
      follow(slot.open, value)
      if (verdict.active) continue
      outputs?.cleared.push(clearAlarm(slot.open, momentOf(), null, verdict))
      slot.open = null
    } else if (verdict.score >= 0.5 && !yields(rule, judged)) {
      const raised = raiseAlarm(rule, verdict, momentOf(), sensor.recent, bound)
      slot.open = openAlarm(rule, verdict, raised, at)
      outputs?.raised.push(raised)
    }
  }
  remember(sensor.recent, at, value)
}

/** The oldest of a full list is filled anew: nobody holds it, and there is one for every reading. */
function remember(recent: SensorState['recent'], at: number, value: number): void {
  const [oldest] = recent
  if (!oldest || recent.length < RECENT_READINGS) {
    recent.push({ at, value })
    return
  }
  const last = recent.length - 1
  for (let i = 0; i < last; i++) recent[i] = recent[i + 1] as typeof oldest
  oldest.at = at
  oldest.value = value
  recent[last] = oldest
}

/** Another rule already says that something is wrong with this sensor. */
function yields({ rule }: BoundRule, { rules, slots }: Judged): boolean {
  if (rule.yields_to.length === 0) return false
  return slots.some((slot, i) => {
    if (!slot.open || slot.ruleId === rule.id) return false
    const other = rules.bound[i]?.rule
    if (!other) return false
    const isCritical = other.kind === 'limit' && other.level === 'critical'
    return rule.yields_to.includes(other.kind) || (isCritical && rule.yields_to.includes('critical'))
  })
}

/**
 * Another book comes into force for a sensor: rules that are no longer in it, or do something else now, lose their
 * state, and an alarm of theirs ends with that as its reason.
 */
export function changeRules(
  sensor: SensorState,
  rules: Rules,
  topic: string,
  at: Omit<Moment, 'reading' | 'level'>,
  outputs: Outputs | null,
): void {
  const kept = new Map(rules.of(topic, sensor.described).bound.map((b) => [b.rule.id, b]))
  const reason = (id: string) => `rule ${id} is no longer in force (rule book ${rules.version})`
  for (const slot of sensor.slots.values()) {
    if (kept.get(slot.ruleId)?.detector === slot.detector) continue
    if (slot.open) outputs?.cleared.push(clearAlarm(slot.open, momentOf(sensor, at), reason(slot.ruleId)))
    sensor.slots.delete(slot.ruleId)
  }
  sensor.judged = null
}

/** The sensor says that it stands elsewhere or measures something else: alarms of rules that were for what it was end. */
export function redescribe(
  sensor: SensorState,
  reading: Reading,
  rules: Rules,
  topic: string,
  at: Omit<Moment, 'reading' | 'level'>,
  outputs: Outputs | null,
): void {
  const kept = new Set(rules.of(topic, reading).bound.map((b) => b.rule.id))
  for (const slot of sensor.slots.values()) {
    if (kept.has(slot.ruleId) || !slot.open) continue
    outputs?.cleared.push(
      clearAlarm(slot.open, momentOf(sensor, at), 'the sensor describes itself otherwise now'),
    )
    sensor.slots.delete(slot.ruleId)
  }
  sensor.judged = null
}

function momentOf(sensor: SensorState, at: Omit<Moment, 'reading' | 'level'>): Moment {
  return { reading: sensor.reading, level: sensor.level, ...at }
}
