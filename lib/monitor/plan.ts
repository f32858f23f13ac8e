import { createRuleBook } from '../alarm/rules.ts'
import type { Config } from '../config.ts'
import { topicPlan } from '../topics.ts'
import type { LimitsOf } from './sensors.ts'

/** Topics that consumers read: those that have a dead-letter topic of their own. */
export function sourceTopics(config: Config): string[] {
  const names = topicPlan(config).map((t) => t.topic)
  return names.filter((name) => names.includes(`${name}.dlt`))
}

/** The limits in force of a sensor, as bars show them: the tightest of each level on each side. */
export function limitsInForce(config: Config): LimitsOf {
  const book = createRuleBook(config)
  return (topic, sensorType) => {
    const rules = book(topic, sensorType)
    const limit = (side: 'high' | 'low', level: 1 | 2) => {
      const found = rules.filter((r) => r.side === side && r.level === level).map((r) => r.limit)
      if (found.length === 0) return null
      return side === 'high' ? Math.min(...found) : Math.max(...found)
    }
    if (rules.length === 0) return null
    return {
      warning: limit('high', 1),
      critical: limit('high', 2),
      low_warning: limit('low', 1),
      low_critical: limit('low', 2),
    }
  }
}

export interface Rule {
  rule_id: string
  version: number
  topic: string
  sensor_type: string
  side: 'high' | 'low'
  limit: number
  exclusive: boolean
  deadband: number
  on_delay_readings: number
  off_delay_readings: number
  anomaly_type: string
  severity: string
}

const TYPES = ['temperature', 'vibration', 'energy', 'humidity', 'pressure']

export function rulesInForce(config: Config): Rule[] {
  const book = createRuleBook(config)
  return sourceTopics(config).flatMap((topic) =>
    TYPES.flatMap((sensor_type) =>
      book(topic, sensor_type).map((r) => ({
        rule_id: r.id,
        version: r.version,
        topic,
        sensor_type,
        side: r.side,
        limit: r.limit,
        exclusive: r.exclusive ?? false,
        deadband: r.deadband,
        on_delay_readings: r.onDelay,
        off_delay_readings: r.offDelay,
        anomaly_type: r.anomalyType,
        severity: r.severity,
      })),
    ),
  )
}
