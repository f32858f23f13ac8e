import type { LimitRule } from '../detect/limits.ts'
import { LEVELS, type Reading } from '../reading.ts'
import { formatMicros, type Micros } from '../time.ts'
import { alarmId } from './id.ts'

/** Where in the log a reading stands. */
export interface Source {
  topic: string
  partition: number
  offset: number
}

/** An alarm that is raised and not cleared, as the state of its sensor remembers it. */
export interface OpenAlarm {
  alertId: string
  ruleId: string
  raisedAt: Micros
  peak: number
}

/** Columns of table alerts at the moment of raising; values as JSON. */
export interface RaisedAlarm {
  alert_id: string
  timestamp: string
  sensor_id: string
  sensor_type: string
  anomaly_type: string
  severity: string
  sensor_value: number
  sensor_unit: string
  sensor_alert_level: string
  location: { factory_section: string; machine_id: string; zone: string }
  detected_by: string
  description: string
  rule_id: string
  rule_version: number
  why: Record<string, unknown>
  late: boolean
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
export type Recent = readonly { at: string; value: number }[]

export function raiseLimit(
  reading: Reading,
  rule: LimitRule,
  rules: readonly LimitRule[],
  level: number,
  recent: Recent,
  source: Source,
  detectedBy: string,
): RaisedAlarm {
  const side = rule.side === 'high' ? 'above' : 'below'
  const name = ['physical', 'warning', 'critical'][rule.level]
  return {
    alert_id: alarmId(rule.id, reading.sensorId, source),
    timestamp: formatMicros(reading.measuredAt),
    sensor_id: reading.sensorId,
    sensor_type: reading.sensorType,
    anomaly_type: rule.anomalyType,
    severity: rule.severity,
    sensor_value: reading.value,
    sensor_unit: reading.unit,
    sensor_alert_level: LEVELS[level] ?? 'normal',
    location: locationOf(reading),
    detected_by: detectedBy,
    description: `${reading.sensorId} is at ${quantity(reading.value, reading.unit)}: at or ${side} its ${name} limit of ${quantity(rule.limit, reading.unit)}`,
    rule_id: rule.id,
    rule_version: rule.version,
    why: {
      part: 'limit',
      rule: { id: rule.id, version: rule.version },
      limits: Object.fromEntries(
        rules.map((r) => [r.id, { side: r.side, limit: r.limit, deadband: r.deadband }]),
      ),
      beyond_by: rule.side === 'high' ? reading.value - rule.limit : rule.limit - reading.value,
      recent,
      source,
    },
    late: false,
    ...source,
  }
}

export function clearLimit(
  open: OpenAlarm,
  reading: Reading,
  rule: LimitRule,
  level: number,
  source: Source,
  detectedBy: string,
): ClearedAlarm {
  return {
    alert_id: open.alertId,
    cleared_at: formatMicros(reading.measuredAt),
    cleared_offset: source.offset,
    peak_value: open.peak,
    raised: {
      sensor_id: reading.sensorId,
      sensor_type: reading.sensorType,
      anomaly_type: rule.anomalyType,
      severity: rule.severity,
      rule_id: rule.id,
      rule_version: rule.version,
      location: locationOf(reading),
    },
    sensor_value: reading.value,
    sensor_unit: reading.unit,
    sensor_alert_level: LEVELS[level] ?? 'normal',
    description: `${reading.sensorId} is back at ${quantity(reading.value, reading.unit)}, inside its limit of ${quantity(rule.limit, reading.unit)}; the worst was ${quantity(open.peak, reading.unit)}`,
    detected_by: detectedBy,
    source,
  }
}

/** The message on topic alerts (SPEC §5b) for a raise. */
export function raisedMessage(alarm: RaisedAlarm): Record<string, unknown> {
  const { rule_id, rule_version, why: _why, topic, partition, offset, ...rest } = alarm
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

function locationOf(reading: Reading) {
  const { factorySection, machineId, zone } = reading.location
  return { factory_section: factorySection, machine_id: machineId, zone }
}

function quantity(value: number, unit: string): string {
  return `${Number(value.toPrecision(6))} ${unit}`.trim()
}
