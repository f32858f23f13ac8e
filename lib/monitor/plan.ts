import type { Rules } from '../alarm/rules.ts'
import type { RuleOf } from '../alarm/rulebook.ts'
import type { Config } from '../config.ts'
import { topicPlan } from '../topics.ts'
import type { LimitsOf } from './sensors.ts'

/** Topics that consumers read: those that have a dead-letter topic of their own. */
export function sourceTopics(config: Config): string[] {
  const names = topicPlan(config).map((t) => t.topic)
  return names.filter((name) => names.includes(`${name}.dlt`))
}

/** The limits in force of a sensor, as bars show them: the tightest of each level on each side. */
export function limitsInForce(current: () => Rules): LimitsOf {
  return (topic, sensorType) => {
    const rules = limitRules(current(), topic, sensorType)
    const limit = (side: 'high' | 'low', level: 'warning' | 'critical') => {
      const found = rules.filter((r) => r.side === side && r.level === level).map((r) => r.limit)
      if (found.length === 0) return null
      return side === 'high' ? Math.min(...found) : Math.max(...found)
    }
    if (rules.length === 0) return null
    return {
      warning: limit('high', 'warning'),
      critical: limit('high', 'critical'),
      low_warning: limit('low', 'warning'),
      low_critical: limit('low', 'critical'),
    }
  }
}

/** Limits of a type of sensor; those for single sensors or machines are not among them. */
function limitRules(rules: Rules, topic: string, sensorType: string): RuleOf<'limit'>[] {
  const anybody = { sensorId: '', sensorType, location: { factorySection: '', machineId: '', zone: '' } }
  return rules.of(topic, anybody).bound.flatMap(({ rule }) => (rule.kind === 'limit' ? rule : []))
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

export function rulesInForce(config: Config, rules: Rules): Rule[] {
  return sourceTopics(config).flatMap((topic) =>
    TYPES.flatMap((sensor_type) =>
      limitRules(rules, topic, sensor_type).map((r) => ({
        rule_id: r.id,
        version: rules.version,
        topic,
        sensor_type,
        side: r.side,
        limit: r.limit,
        exclusive: r.exclusive,
        deadband: r.deadband,
        on_delay_readings: r.on_delay.readings,
        off_delay_readings: r.off_delay.readings,
        anomaly_type: r.anomaly_type,
        severity: r.severity,
      })),
    ),
  )
}
