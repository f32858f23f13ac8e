import type { Config } from '../config.ts'
import type { LimitRule } from '../detect/limits.ts'
import type { SensorType } from '../reading.ts'

/** What a sensor type can physically be; a value outside is a broken sensor or a broken unit, not a hot machine. */
export const PHYSICAL_RANGE: Record<string, readonly [number, number]> = {
  temperature: [-60, 250],
  vibration: [0, 200],
  energy: [0, 10_000],
  humidity: [0, 100],
  pressure: [300, 1200],
}

export type RuleBook = (topic: string, sensorType: string) => readonly LimitRule[]

/** The limits of the environment as rules: a warning and a critical one for each factory type, SPEC C3's for devices. */
export function createRuleBook(config: Config): RuleBook {
  const factory = new Map<string, LimitRule[]>()
  const limits: Record<SensorType, [number, number]> = {
    temperature: [config.TEMPERATURE_WARNING_THRESHOLD, config.TEMPERATURE_CRITICAL_THRESHOLD],
    vibration: [config.VIBRATION_WARNING_THRESHOLD, config.VIBRATION_CRITICAL_THRESHOLD],
    energy: [config.ENERGY_WARNING_THRESHOLD, config.ENERGY_CRITICAL_THRESHOLD],
    humidity: [config.HUMIDITY_WARNING_THRESHOLD, config.HUMIDITY_CRITICAL_THRESHOLD],
    pressure: [config.PRESSURE_WARNING_THRESHOLD, config.PRESSURE_CRITICAL_THRESHOLD],
  }
  for (const [type, [warning, critical]] of Object.entries(limits)) {
    // A quarter of the distance between the two: wide enough that noise at the limit does not chatter.
    const deadband = Math.abs(critical - warning) / 4
    factory.set(type, [
      rule(`${type}.high`, 'high', warning, deadband, 1),
      rule(`${type}.high_high`, 'high', critical, deadband, 2),
      ...physical(type),
    ])
  }
  const devices = new Map<string, LimitRule[]>([
    [
      'temperature',
      [
        rule('device.temperature.high_high', 'high', config.MAX_TEMPERATURE, 0.5, 2),
        ...physical('temperature'),
      ],
    ],
    [
      'humidity',
      [rule('device.humidity.low_low', 'low', config.MIN_HUMIDITY, 0.5, 2), ...physical('humidity')],
    ],
  ])
  const none: readonly LimitRule[] = []
  return (topic, sensorType) => {
    if (topic === config.SENSOR_TOPIC) return factory.get(sensorType) ?? none
    if (topic === 'sensor.raw') return devices.get(sensorType) ?? none
    return none
  }
}

/** Beyond what the quantity can be: the sensor or its unit is broken. */
function physical(type: string): LimitRule[] {
  const range = PHYSICAL_RANGE[type]
  if (!range) return []
  const shared = {
    version: 1,
    exclusive: true,
    deadband: 0,
    onDelay: 1,
    offDelay: 1,
    level: 0,
    anomalyType: 'out_of_physical_range',
    severity: 'medium',
  } as const
  return [
    { ...shared, id: `${type}.physical_low`, side: 'low', limit: range[0] },
    { ...shared, id: `${type}.physical_high`, side: 'high', limit: range[1] },
  ]
}

function rule(id: string, side: 'high' | 'low', limit: number, deadband: number, level: 1 | 2): LimitRule {
  return {
    id,
    version: 1,
    side,
    limit,
    deadband,
    onDelay: 1,
    offDelay: 2,
    level,
    anomalyType: level === 2 ? 'critical_threshold_violation' : 'warning_threshold_violation',
    severity: level === 2 ? 'critical' : 'medium',
  }
}
