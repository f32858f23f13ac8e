import type { LogMessage, Progress, Rule } from './evidence.ts'

/**
 * Which alarms of fixed limits a log means, written down again from the rule book's own words: at or beyond the limit for
 * so many readings in a row raises; so many in a row inside by more than the deadband clears. Only live readings count:
 * not repeats, not late ones (older than the newest of the sensor, or five minutes under way), not those whose clock is
 * more than five minutes ahead or thirty days behind, not history, not what calls itself bad.
 */
export interface Expected {
  rule: string
  sensor: string
  topic: string
  partition: number
  offset: number
  clearedOffset: number | null
}

interface Sensor {
  newest: number
  numbers: Map<string, { high: number }>
  states: Map<string, { open: Expected | null; streak: number }>
}

const MINUTE = 60_000_000

export function referenceOf(
  log: readonly LogMessage[],
  rules: readonly Rule[],
  progress: readonly Progress[],
): { expected: Expected[]; judged: Set<string> } {
  const limits = rules.filter(
    (r) =>
      r.kind === 'limit' &&
      r.enabled !== false &&
      (r.yields_to ?? []).length === 0 &&
      isCounted(r.on_delay) &&
      isCounted(r.off_delay),
  )
  const sensors = new Map<string, Sensor>()
  const expected: Expected[] = []
  for (const m of log) {
    const stored = progress.find((p) => p.topic === m.topic && p.partition === m.partition)
    if (!stored || m.offset >= stored.next || m.content.is !== 'good') continue
    const r = m.content.reading
    const id = `${m.topic}/${m.partition}/${r.sensor}`
    const sensor = sensors.get(id) ?? { newest: -Infinity, numbers: new Map(), states: new Map() }
    sensors.set(id, sensor)
    if (!isNews(sensor, m)) continue
    const arrived = m.appendedAtMs * 1000
    if (
      r.at < sensor.newest ||
      r.at < arrived - 5 * MINUTE ||
      r.at > arrived + 5 * MINUTE ||
      r.history ||
      r.quality < 0.5
    )
      continue
    sensor.newest = r.at
    for (const rule of limits) {
      const { topics, sensor_types, sensor_ids, machine_ids } = rule.applies ?? {}
      const mine = (list: string[] | undefined, what: string) => list === undefined || list.includes(what)
      if (
        !mine(topics, m.topic) ||
        !mine(sensor_types, r.type) ||
        !mine(sensor_ids, r.sensor) ||
        !mine(machine_ids, r.machine)
      )
        continue
      step(sensor, rule, m, r.sensor, r.value, expected)
    }
  }
  return { expected, judged: new Set(limits.map((r) => r.id)) }
}

function step(
  sensor: Sensor,
  rule: Rule,
  m: LogMessage,
  name: string,
  value: number,
  expected: Expected[],
): void {
  const state = sensor.states.get(rule.id) ?? { open: null, streak: 0 }
  sensor.states.set(rule.id, state)
  const sign = rule.side === 'low' ? -1 : 1
  const beyond = (value - (rule.limit ?? 0)) * sign
  const speaks = state.open
    ? value * sign < ((rule.limit ?? 0) - sign * (rule.deadband ?? 0)) * sign
    : rule.exclusive
      ? beyond > 0
      : beyond >= 0
  state.streak = speaks ? state.streak + 1 : 0
  if (state.streak < (state.open ? count(rule.off_delay, 2) : count(rule.on_delay, 1))) return
  state.streak = 0
  if (state.open) {
    state.open.clearedOffset = m.offset
    state.open = null
  } else {
    state.open = {
      rule: rule.id,
      sensor: name,
      topic: m.topic,
      partition: m.partition,
      offset: m.offset,
      clearedOffset: null,
    }
    expected.push(state.open)
  }
}

/** A number above all before it; a repeat says nothing, and what fills a gap comes too late to say anything. */
function isNews(sensor: Sensor, { run, seq }: LogMessage): boolean {
  if (run === null || seq === null) return true
  const numbers = sensor.numbers.get(run) ?? { high: 0 }
  sensor.numbers.set(run, numbers)
  const fresh = seq > numbers.high
  numbers.high = Math.max(numbers.high, seq)
  return fresh
}

function isCounted(delay: unknown): boolean {
  return (
    delay === undefined ||
    typeof delay === 'number' ||
    (typeof delay === 'object' && delay !== null && 'micros' in delay && delay.micros === 0)
  )
}

function count(delay: unknown, usual: number): number {
  if (typeof delay === 'number') return delay
  return typeof delay === 'object' && delay !== null && 'readings' in delay ? Number(delay.readings) : usual
}
