import type { Config } from '../config.ts'
import { topicPlan } from '../topics.ts'
import type { LimitsOf } from './sensors.ts'

/** Topics that consumers read: those that have a dead-letter topic of their own. */
export function sourceTopics(config: Config): string[] {
  const names = topicPlan(config).map((t) => t.topic)
  return names.filter((name) => names.includes(`${name}.dlt`))
}

/** The limits in force, by sensor type. */
export function limitsByType(config: Config): LimitsOf {
  const limits: Record<string, { warning: number; critical: number }> = {
    temperature: {
      warning: config.TEMPERATURE_WARNING_THRESHOLD,
      critical: config.TEMPERATURE_CRITICAL_THRESHOLD,
    },
    vibration: { warning: config.VIBRATION_WARNING_THRESHOLD, critical: config.VIBRATION_CRITICAL_THRESHOLD },
    energy: { warning: config.ENERGY_WARNING_THRESHOLD, critical: config.ENERGY_CRITICAL_THRESHOLD },
    humidity: { warning: config.HUMIDITY_WARNING_THRESHOLD, critical: config.HUMIDITY_CRITICAL_THRESHOLD },
    pressure: { warning: config.PRESSURE_WARNING_THRESHOLD, critical: config.PRESSURE_CRITICAL_THRESHOLD },
  }
  return (type) => (Object.hasOwn(limits, type) ? (limits[type] ?? null) : null)
}
