import type { Location, Reading } from './reading.ts'
import { UNITS } from './reading.ts'
import type { Micros } from './time.ts'

/** The Avro record SensorReading on topic sensor.raw (config/schemas, SPEC C1). */
export interface DeviceMessage {
  id: string
  ts: Micros
  /** °C */
  temperature: number
  /** relative humidity, % */
  humidity: number
}

export const DEVICE_TOPIC = 'sensor.raw'
/** Out of range: the event for other programs, beside the alarm's own transitions. */
export const DEVICE_ALERT_TOPIC = 'sensor.alert'

/** The factory section that devices stand in: they measure their surroundings and belong to no machine. */
export const DEVICE_SECTION = 'iot'

const CHANNELS = ['temperature', 'humidity'] as const
export const DEVICE_SENSORS = CHANNELS.length
/** A channel's name still has to be a sensor id of at most 64 characters. */
const DEVICE_ID = /^[A-Za-z0-9._:-]{1,52}$/
/** of 1970 and of 9999: beyond them a time cannot be written down */
const LAST_MICROS = 253_402_300_799_999_999

/** Why this cannot be a device's message, in words; null where it can. */
export function faultOf(m: DeviceMessage): string | null {
  if (!DEVICE_ID.test(m.id)) return 'id: must be 1 to 52 of the characters A-Z a-z 0-9 . _ : -'
  if (!(m.ts >= 0 && m.ts <= LAST_MICROS)) return 'ts: must be a moment of the years 1970 to 9999'
  for (const channel of CHANNELS) {
    if (!(Math.abs(m[channel]) <= Number.MAX_SAFE_INTEGER)) return `${channel}: must be a number within ±2^53`
  }
  return null
}

/** Both sides of Kafka make the same two readings of a message: two channels of one device, each a sensor of its own. */
export function readingsOf(m: DeviceMessage): [Reading, Reading] {
  const location: Location = { factorySection: DEVICE_SECTION, machineId: m.id, zone: 'devices' }
  const together = { temperature: m.temperature + 0, humidity: m.humidity + 0 } // -0 becomes 0
  return [channelOf(m, 'temperature', location, together), channelOf(m, 'humidity', location, together)]
}

/** The sensors that a message of this device carries readings of. */
export function sensorsOf(deviceId: string): string[] {
  return CHANNELS.map((channel) => `${deviceId}.${channel}`)
}

function channelOf(
  m: DeviceMessage,
  channel: (typeof CHANNELS)[number],
  location: Location,
  together: Record<string, number>,
): Reading {
  return {
    sensorId: `${m.id}.${channel}`,
    sensorType: channel,
    unit: UNITS[channel],
    location,
    measuredAt: m.ts,
    value: m[channel] + 0,
    quality: 1,
    claimedLevel: null,
    warningThreshold: null,
    criticalThreshold: null,
    metadata: null,
    together,
  }
}
