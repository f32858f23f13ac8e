import type { ClearedAlarm, RaisedAlarm } from '../../lib/alarm/alarm.ts'
import { alarmId } from '../../lib/alarm/id.ts'
import { formatMicros } from '../../lib/time.ts'

const BEGAN = Date.UTC(2026, 8, 21) * 1000

/** Of sensor n of a machine, measured `at` seconds after the beginning. */
export function alarm(machine: string, n: number, at: number, more: Partial<RaisedAlarm> = {}): RaisedAlarm {
  const source = { topic: 'sensor-data', partition: n % 3, offset: Math.round(at * 1000) }
  const sensor_id = `${machine}-${n}`
  const rule_id = more.rule_id ?? 'hot'
  return {
    alert_id: alarmId(rule_id, sensor_id, source),
    timestamp: formatMicros(BEGAN + Math.round(at * 1e6)),
    sensor_id,
    sensor_type: 'temperature',
    anomaly_type: 'warning_threshold_violation',
    severity: 'medium',
    sensor_value: 36,
    sensor_unit: '°C',
    sensor_alert_level: 'warning',
    location: { factory_section: 'production', machine_id: machine, zone: 'zone-a' },
    detected_by: 'consumer-1',
    description: 'is warm',
    rule_id,
    rule_version: 1,
    why: {},
    late: false,
    latching: false,
    ...source,
    ...more,
  }
}

/** Its end, a reading later. */
export function cleared(a: RaisedAlarm): ClearedAlarm {
  return {
    alert_id: a.alert_id,
    cleared_at: a.timestamp,
    cleared_offset: a.offset + 1,
    peak_value: 36,
    raised: a,
    sensor_value: 25,
    sensor_unit: '°C',
    sensor_alert_level: 'normal',
    description: 'is well',
    detected_by: 'consumer-1',
    source: a,
  }
}
