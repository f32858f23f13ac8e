import type { Rules } from '../alarm/rules.ts'
import type { Config } from '../config.ts'
import { topicPlan } from '../topics.ts'
import type { Limits, LimitsOf } from './sensors.ts'

/** Topics that consumers read: those that have a dead-letter topic of their own. */
export function sourceTopics(config: Config): string[] {
  const names = topicPlan(config).map((t) => t.topic)
  return names.filter((name) => names.includes(`${name}.dlt`))
}

/** The limits in force of a sensor, as bars show them: the tightest of each level on each side. */
export function limitsInForce(current: () => Rules): LimitsOf {
  let rules = current()
  const known = new Map<string, Limits | null>() // a thousand sensors ask every second
  return (topic, sensorType) => {
    if (rules !== current()) known.clear()
    rules = current()
    const key = `${topic}\n${sensorType}`
    let limits = known.get(key)
    if (limits === undefined) known.set(key, (limits = limitsOf(rules, topic, sensorType)))
    return limits
  }
}

function limitsOf(rules: Rules, topic: string, sensorType: string): Limits | null {
  const all = rules.of(topic, anybody(sensorType)).bound
  const limits = all.flatMap(({ rule }) => (rule.kind === 'limit' ? rule : []))
  const machine = all.flatMap(({ rule }) => (rule.kind === 'vibration' ? rule.machine_class : []))[0] ?? null
  const limit = (side: 'high' | 'low', level: 'warning' | 'critical') => {
    const found = limits.filter((r) => r.side === side && r.level === level).map((r) => r.limit)
    if (found.length === 0) return null
    return side === 'high' ? Math.min(...found) : Math.max(...found)
  }
  if (limits.length === 0 && machine === null) return null
  return {
    warning: limit('high', 'warning'),
    critical: limit('high', 'critical'),
    low_warning: limit('low', 'warning'),
    low_critical: limit('low', 'critical'),
    machine_class: machine,
  }
}

/** A sensor of a type, and no other: rules for single sensors or machines are not among those for it. */
function anybody(sensorType: string) {
  return { sensorId: '', sensorType, location: { factorySection: '', machineId: '', zone: '' } }
}
