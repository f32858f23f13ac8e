import { clearAlarm, follow, openAlarm, raiseAlarm, type Moment } from '../alarm/alarm.ts'
import type { BoundRule } from '../alarm/bind.ts'
import type { Rules, SensorRules } from '../alarm/rules.ts'
import { IGNORED, type Sample } from '../detect/detector.ts'
import { recentOf, remember } from '../detect/recent.ts'
import type { Reading } from '../reading.ts'
import type { Outputs } from './outputs.ts'
import { isOpen, isOver, keepStates, openAlarmOf, type SensorState } from './sensor.ts'

/**
 * One live reading before all rules of its sensor: moves their detectors, raises and clears. An impossible value teaches
 * nothing. `momentOf` is asked only
 * where an alarm has to say what it was about. `outputs` null: the log is being read again, the same happens without a word.
 */
export function judge(
  sensor: SensorState,
  rules: SensorRules,
  sample: Sample,
  impossible: boolean,
  momentOf: () => Moment,
  outputs: Outputs | null,
): void {
  const { at, value } = sample
  const { bound, desk } = rules
  if (sensor.packed) desk.lay(sensor.packed)
  else desk.begin()
  for (let i = 0; i < bound.length; i++) {
    const rule = bound[i] as BoundRule
    if (impossible && rule.learns) continue
    const verdict = rule.step(desk.states[i] as object, sample)
    if (verdict === IGNORED) continue
    const open = openAlarmOf(sensor, rule.rule.id)
    if (open) {
      follow(open, value)
      if (verdict.active) continue
      outputs?.cleared.push(clearAlarm(open, momentOf(), null, verdict))
      isOver(sensor, open)
    } else if (verdict.score >= 0.5 && !yields(rule, sensor, bound)) {
      const raised = raiseAlarm(rule, verdict, momentOf(), recentOf(desk.recent), bound)
      isOpen(sensor, openAlarm(rule, verdict, raised, at))
      outputs?.raised.push(raised)
    }
  }
  remember(desk.recent, at, value)
  sensor.packed = desk.pack(sensor.packed)
}

/** Another rule already says that something is wrong with this sensor. */
function yields({ rule }: BoundRule, { open }: SensorState, bound: readonly BoundRule[]): boolean {
  if (rule.yields_to.length === 0) return false
  return open.some(({ ruleId }) => {
    if (ruleId === rule.id) return false
    const other = bound.find((b) => b.rule.id === ruleId)?.rule
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
  const parts = rules.of(topic, sensor.described).desk.parts
  const gone = keepStates(sensor, ({ ruleId, detector }) =>
    parts.some((part) => part.ruleId === ruleId && part.detector === detector),
  )
  for (const open of sensor.open) {
    if (!gone.has(open.ruleId)) continue
    const reason = `rule ${open.ruleId} is no longer in force (rule book ${rules.version})`
    outputs?.cleared.push(clearAlarm(open, momentOf(sensor, at), reason))
    isOver(sensor, open)
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
  const over = sensor.open.filter(({ ruleId }) => !kept.has(ruleId))
  for (const open of over) {
    outputs?.cleared.push(clearAlarm(open, momentOf(sensor, at), 'the sensor describes itself otherwise now'))
    isOver(sensor, open)
  }
  keepStates(sensor, ({ ruleId }) => !over.some((open) => open.ruleId === ruleId))
  sensor.judged = null
}

function momentOf(sensor: SensorState, at: Omit<Moment, 'reading' | 'level'>): Moment {
  return { reading: sensor.reading, level: sensor.level, ...at }
}
