import { QUIET, type Verdict } from '../detect/detector.ts'
import { account, explain } from '../detect/explain.ts'
import { LEVELS, type Reading } from '../reading.ts'
import { formatMicros, type Micros } from '../time.ts'
import type { BoundRule } from './bind.ts'
import { alarmId } from './id.ts'
import { limitsInForce, whyOf } from './why.ts'

/** Where in the log a reading stands. */
export interface Source {
  topic: string
  partition: number
  offset: number
}

/** An alarm that is raised and not cleared, as the state of its sensor remembers it: enough to clear it even after its rule has gone. */
export interface OpenAlarm {
  alertId: string
  ruleId: string
  ruleVersion: number
  kind: string
  anomalyType: string
  severity: string
  raisedAt: Micros
  /** the worst value so far: the farthest from `reference` on its side */
  peak: number
  reference: number
  side: 'high' | 'low' | 'both'
}

/** Columns of table alerts at the moment of raising; values as JSON. */
export interface RaisedAlarm {
  alert_id: string
  timestamp: string
  sensor_id: string
  sensor_type: string
  anomaly_type: string
  severity: string
  sensor_value: number | null
  sensor_unit: string
  sensor_alert_level: string
  location: { factory_section: string; machine_id: string; zone: string }
  detected_by: string
  description: string
  rule_id: string
  rule_version: number
  why: Record<string, unknown>
  late: boolean
  latching: boolean
  topic: string
  partition: number
  offset: number
}

export interface ClearedAlarm {
  alert_id: string
  cleared_at: string
  cleared_offset: number
  peak_value: number
  raised: Pick<
    RaisedAlarm,
    'sensor_id' | 'sensor_type' | 'anomaly_type' | 'severity' | 'rule_id' | 'rule_version' | 'location'
  >
  sensor_value: number
  sensor_unit: string
  sensor_alert_level: string
  description: string
  detected_by: string
  source: Source
}

/** The last readings before an alarm, newest last: part of its explanation. */
export type Recent = readonly { at: Micros; value: number }[]

/** What is known of the sensor at the moment of an alarm. */
export interface Moment {
  reading: Reading
  level: number
  source: Source
  detectedBy: string
}

export function raiseAlarm(
  { rule, version }: BoundRule,
  verdict: Verdict,
  { reading, level, source, detectedBy }: Moment,
  recent: Recent,
  inForce: readonly BoundRule[],
): RaisedAlarm {
  const said = explain(verdict, reading.value, reading.unit)
  return {
    alert_id: alarmId(rule.id, reading.sensorId, source),
    timestamp: formatMicros(reading.measuredAt),
    sensor_id: reading.sensorId,
    sensor_type: reading.sensorType,
    anomaly_type: rule.anomaly_type,
    severity: rule.severity,
    sensor_value: reading.value,
    sensor_unit: reading.unit,
    sensor_alert_level: LEVELS[level] ?? 'normal',
    location: locationOf(reading),
    detected_by: detectedBy,
    description: headline({ rule, version }, reading, said),
    rule_id: rule.id,
    rule_version: version,
    why: {
      ...whyOf({ rule, version, verdict, said, limits: limitsInForce(inForce), recent, source }),
      ...(reading.together ? { together: reading.together } : {}),
    },
    late: false,
    latching: rule.latching,
    ...source,
  }
}

/** What the sensor's state keeps of it. */
export function openAlarm(
  { rule, version }: BoundRule,
  verdict: Verdict,
  raised: RaisedAlarm,
  at: Micros,
): OpenAlarm {
  const value = raised.sensor_value ?? 0
  return {
    alertId: raised.alert_id,
    ruleId: rule.id,
    ruleVersion: version,
    kind: rule.kind,
    anomalyType: rule.anomaly_type,
    severity: rule.severity,
    raisedAt: at,
    peak: value,
    reference: verdict.expected ?? value,
    side: 'side' in rule ? rule.side : rule.kind === 'vibration' ? 'high' : 'both',
  }
}

/** The worst value seen while it is open. */
export function follow(open: OpenAlarm, value: number): void {
  const worse =
    open.side === 'high'
      ? value > open.peak
      : open.side === 'low'
        ? value < open.peak
        : Math.abs(value - open.reference) > Math.abs(open.peak - open.reference)
  if (worse) open.peak = value
}

/** `reason`: why it ends, where that is not the reading itself (its rule has gone); `last`: the verdict that ended it. */
export function clearAlarm(
  open: OpenAlarm,
  moment: Moment,
  reason: string | null = null,
  last: Verdict = QUIET,
): ClearedAlarm {
  const { reading, level, source, detectedBy } = moment
  const cameTo = last.reasons.length > 0 ? `. ${account(last, reading.value, reading.unit)}` : ''
  const now = quantity(reading.value, reading.unit)
  return {
    alert_id: open.alertId,
    cleared_at: formatMicros(reading.measuredAt),
    cleared_offset: source.offset,
    peak_value: open.peak,
    raised: {
      sensor_id: reading.sensorId,
      sensor_type: reading.sensorType,
      anomaly_type: open.anomalyType,
      severity: open.severity,
      rule_id: open.ruleId,
      rule_version: open.ruleVersion,
      location: locationOf(reading),
    },
    sensor_value: reading.value,
    sensor_unit: reading.unit,
    sensor_alert_level: LEVELS[level] ?? 'normal',
    description:
      reason === null
        ? `${reading.sensorId} is back at ${now}; the worst was ${quantity(open.peak, reading.unit)}${cameTo}`
        : `${reading.sensorId}: ${reason}; the last value was ${now}`,
    detected_by: detectedBy,
    source,
  }
}

/** The message on topic alerts (SPEC §5b) for a raise. */
export function raisedMessage(alarm: RaisedAlarm): Record<string, unknown> {
  const { rule_id, rule_version, why: _why, latching: _latching, topic, partition, offset, ...rest } = alarm
  return {
    ...rest,
    state: 'raised',
    rule: { id: rule_id, version: rule_version },
    source: { topic, partition, offset },
  }
}

/** The same for a clear. */
export function clearedMessage(alarm: ClearedAlarm): Record<string, unknown> {
  const { rule_id, rule_version, ...raised } = alarm.raised
  return {
    alert_id: alarm.alert_id,
    timestamp: alarm.cleared_at,
    ...raised,
    state: 'cleared',
    sensor_value: alarm.sensor_value,
    sensor_unit: alarm.sensor_unit,
    sensor_alert_level: alarm.sensor_alert_level,
    detected_by: alarm.detected_by,
    description: alarm.description,
    rule: { id: rule_id, version: rule_version },
    late: false,
    source: alarm.source,
  }
}

function headline({ rule }: Pick<BoundRule, 'rule' | 'version'>, reading: Reading, said: string): string {
  if (rule.kind !== 'limit' && rule.kind !== 'consecutive') return `${reading.sensorId}: ${said}`
  const side = rule.side === 'high' ? 'above' : 'below'
  const level = rule.kind === 'limit' && rule.level !== 'none' ? `${rule.level} ` : ''
  const row = rule.kind === 'consecutive' ? ` for ${rule.readings} readings in a row` : ''
  const beyond = rule.kind === 'limit' && rule.exclusive ? side : `at or ${side}`
  return `${reading.sensorId} is at ${quantity(reading.value, reading.unit)}: ${beyond} its ${level}limit of ${quantity(rule.limit, reading.unit)}${row}`
}

export function locationOf({ location }: Pick<Reading, 'location'>): RaisedAlarm['location'] {
  const { factorySection, machineId, zone } = location
  return { factory_section: factorySection, machine_id: machineId, zone }
}

function quantity(value: number, unit: string): string {
  return `${Number(value.toPrecision(6))} ${unit}`.trim()
}
