import { contributionsOf, equipment, type EquipmentRule, type EquipmentState } from '../detect/equipment.ts'
import type { Verdict } from '../detect/detector.ts'
import { explain } from '../detect/explain.ts'
import { formatMicros, type Micros } from '../time.ts'
import type { ClearedAlarm, RaisedAlarm } from './alarm.ts'
import { alarmId } from './id.ts'
import type { RuleOf } from './rulebook.ts'
import { whyOf } from './why.ts'

/**
 * A machine as a whole: the minutes of all its sensors through the equipment detector. A pure function of those minutes:
 * the same minutes give the same alarm with the same id (rule, machine, minute), whoever looks at them and whenever.
 *
 * States: commissioning (silent, learns its baseline) → normal ↔ alarmed. The baseline is then frozen; only a person
 * begins a new one (lib/alarm/rebaseline.ts).
 */
export interface Machine {
  factorySection: string
  machineId: string
  /** sensor ids, in the order of the detector's channels */
  channels: string[]
  state: EquipmentState
  /** minutes of each channel that are its baseline */
  commissioning: number
  open: { alertId: string; ruleId: string; ruleVersion: number; severity: string; anomalyType: string } | null
  /** the worst score since the alarm was raised */
  peak: number
  score: number
}

/** Means of one minute; a sensor that said nothing is missing. */
export interface Minute {
  /** its beginning */
  at: Micros
  means: ReadonlyMap<string, number>
}

export interface Judgement {
  raised: RaisedAlarm[]
  cleared: ClearedAlarm[]
}

export const MINUTE: Micros = 60e6
/** where the minutes stand: the log of this detector */
export const MINUTES = 'readings_1m'

export function judgeMinutes(
  machine: Machine,
  minutes: readonly Minute[],
  rule: RuleOf<'equipment'>,
  version: number,
  detectedBy: string,
): Judgement {
  const told: Judgement = { raised: [], cleared: [] }
  for (const minute of minutes) {
    addChannels(machine, minute)
    const detector = equipment(machine.channels.length)
    const values = machine.channels.map((id) => minute.means.get(id) ?? NaN)
    const parameters = parametersOf(machine, rule)
    const sample = { at: minute.at, values, quality: 1 }
    const verdict = detector.step(machine.state, sample, parameters)
    machine.score = verdict.score
    if (machine.open) {
      machine.peak = Math.max(machine.peak, verdict.score)
      if (verdict.active) continue
      told.cleared.push(clearMachine(machine, minute.at, detectedBy, 'is back at its baseline'))
      machine.open = null
    } else if (verdict.active) {
      const said = explain(verdict, verdict.score, '', machine.channels)
      const raised = raise(machine, minute, rule, version, detectedBy, said, verdict)
      const { severity, anomaly_type: anomalyType } = rule
      machine.open = {
        alertId: raised.alert_id,
        ruleId: rule.id,
        ruleVersion: version,
        severity,
        anomalyType,
      }
      machine.peak = verdict.score
      told.raised.push(raised)
    }
  }
  return told
}

export function conditionOf(
  machine: Machine,
  rule: RuleOf<'equipment'>,
): 'commissioning' | 'normal' | 'alarmed' {
  if (machine.open) return 'alarmed'
  const parts = contributionsOf(machine.state, parametersOf(machine, rule))
  return parts.length > 0 && parts.every((c) => c.commissioned === 1) ? 'normal' : 'commissioning'
}

/** What each sensor has to do with the condition, loudest first. */
export function contributions(machine: Machine, rule: RuleOf<'equipment'>) {
  return contributionsOf(machine.state, parametersOf(machine, rule))
    .map(({ channel, ...rest }) => ({ sensor_id: machine.channels[channel] ?? '', ...rest }))
    .sort((a, b) => b.share - a.share)
}

/** The end of a machine's alarm; `reason` goes on from its name. */
export function clearMachine(machine: Machine, at: Micros, detectedBy: string, reason: string): ClearedAlarm {
  const { open, machineId, factorySection } = machine
  return {
    alert_id: open?.alertId ?? '',
    cleared_at: formatMicros(at),
    cleared_offset: at / MINUTE,
    peak_value: machine.peak,
    raised: {
      sensor_id: machineId,
      sensor_type: 'machine',
      anomaly_type: open?.anomalyType ?? '',
      severity: open?.severity ?? 'high',
      rule_id: open?.ruleId ?? '',
      rule_version: open?.ruleVersion ?? 0,
      location: { factory_section: factorySection, machine_id: machineId, zone: '' },
    },
    sensor_value: machine.score,
    sensor_unit: '',
    sensor_alert_level: 'normal',
    description: `${machineId} ${reason}`,
    detected_by: detectedBy,
    source: { topic: MINUTES, partition: 0, offset: at / MINUTE },
  }
}

function raise(
  machine: Machine,
  minute: Minute,
  rule: RuleOf<'equipment'>,
  version: number,
  detectedBy: string,
  said: string,
  verdict: Verdict,
): RaisedAlarm {
  const { machineId, factorySection, score } = machine
  const source = { topic: MINUTES, partition: 0, offset: minute.at / MINUTE }
  return {
    alert_id: alarmId(rule.id, `${factorySection}/${machineId}`, source),
    timestamp: formatMicros(minute.at + MINUTE),
    sensor_id: machineId,
    sensor_type: 'machine',
    anomaly_type: rule.anomaly_type,
    severity: rule.severity,
    sensor_value: score,
    sensor_unit: '',
    sensor_alert_level: 'normal',
    location: { factory_section: factorySection, machine_id: machineId, zone: '' },
    detected_by: detectedBy,
    description: `${machineId}: ${said}`,
    rule_id: rule.id,
    rule_version: version,
    why: {
      ...whyOf({
        rule,
        version,
        verdict: { ...verdict, part: 'condition' },
        said,
        limits: { [rule.id]: { threshold: rule.threshold, wandering: rule.wandering } },
        recent: [], // see withMinutesBefore()
        source,
      }),
      contributions: contributions(machine, rule),
      means: Object.fromEntries(minute.means),
    },
    late: false,
    latching: rule.latching,
    ...source,
  }
}

/** So many minutes before it go along with a machine's alarm: of the sensor that has most to do with it. */
export const MINUTES_BEFORE = 8

export function withMinutesBefore(raised: RaisedAlarm, before: readonly Minute[]): RaisedAlarm {
  const loudest = (raised.why.contributions as ReturnType<typeof contributions>)[0]?.sensor_id ?? ''
  const recent = before.flatMap(({ at, means }) => {
    const value = means.get(loudest)
    return value === undefined ? [] : [{ at: formatMicros(at), value }]
  })
  return { ...raised, why: { ...raised.why, recent, recent_of: loudest } }
}

function addChannels(machine: Machine, { means }: Minute): void {
  const fresh = [...means.keys()].filter((id) => !machine.channels.includes(id)).sort()
  if (fresh.length === 0) return
  const before = equipment(machine.channels.length)
  const bytes = before.encode(machine.state)
  machine.channels = [...machine.channels, ...fresh]
  const after = equipment(machine.channels.length)
  machine.state = after.decode(bytes, before.version) ?? after.create()
}

function parametersOf(
  { commissioning }: Machine,
  { threshold, wandering }: RuleOf<'equipment'>,
): EquipmentRule {
  return { commissioning, threshold, wandering }
}
