import { DEVICE_ALERT_TOPIC, DEVICE_TOPIC } from '../device.ts'
import { parseMicros, type Micros } from '../time.ts'
import type { RaisedAlarm } from './alarm.ts'
import type { OutboxEntry } from './journal.ts'

/** The Avro record SensorAlert on topic sensor.alert: a device went out of range. */
export interface DeviceAlert {
  sensor_id: string
  ts: Micros
  reason: string
  temperature: number
  humidity: number
}

/** Events for other programs, beside the transitions on topic alerts: one for each limit that a device passes. */
export function deviceAlerts(raised: readonly RaisedAlarm[]): OutboxEntry[] {
  return raised.flatMap((alarm) => {
    const { together, rule, high } = alarm.why as {
      together?: { temperature: number; humidity: number }
      rule?: { kind?: string }
      high?: number | null
    }
    if (alarm.topic !== DEVICE_TOPIC || rule?.kind !== 'limit' || !together) return []
    const side = high === null ? 'below' : 'above'
    const limit = high ?? (alarm.why.low as number)
    const event: DeviceAlert = {
      sensor_id: alarm.location.machine_id,
      ts: parseMicros(alarm.timestamp),
      reason: `${alarm.sensor_type} ${side} ${limit} ${alarm.sensor_unit}`,
      temperature: together.temperature,
      humidity: together.humidity,
    }
    return {
      topic: DEVICE_ALERT_TOPIC,
      key: event.sensor_id,
      alert_id: alarm.alert_id,
      payload: { ...event },
    }
  })
}
