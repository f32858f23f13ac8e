import type { Reading } from '../reading.ts'
import { bind, limitOf, type BoundRule } from './bind.ts'
import { createDesk, type Desk } from '../detect/desk.ts'
import { isBeyond, type LimitRule } from '../detect/limits.ts'
import { isOutside, type PhysicalRule } from '../detect/physical.ts'
import type { RuleBook, RuleOf, SensorRule } from './rulebook.ts'

/** A version of the rule book, ready to judge. */
export interface Rules {
  readonly version: number
  readonly book: RuleBook
  /** the rules for a sensor as it describes itself, in the book's order: limits speak before what yields to them */
  of(topic: string, sensor: Pick<Reading, 'sensorId' | 'sensorType' | 'location'>): SensorRules
  /** the rule for the machine as a whole: the first that names it, or that names none */
  ofMachine(machineId: string): RuleOf<'equipment'> | null
}

export interface SensorRules {
  readonly bound: readonly BoundRule[]
  /** where a sensor's states are while they judge it */
  readonly desk: Desk
  /** the level of one reading by itself, without memory: 0 normal, 1 warning, 2 critical */
  levelOf(value: number): 0 | 1 | 2
  isOutOfRange(value: number): boolean
}

const NOTHING: SensorRules = {
  bound: [],
  desk: createDesk([]),
  levelOf: () => 0,
  isOutOfRange: () => false,
}

/** Before any book is known nothing is judged. */
export const NO_RULES: Rules = {
  version: 0,
  book: { groups: { sensors: 3, window: 60, wait: 10 }, rules: [] },
  of: () => NOTHING,
  ofMachine: () => null,
}

export function createRules(version: number, book: RuleBook): Rules {
  const enabled = book.rules.filter((rule) => rule.enabled)
  const machines = enabled.filter((rule) => rule.kind === 'equipment')
  const inForce = enabled.filter((rule) => rule.kind !== 'equipment').map((rule) => bind(rule, version))
  // rules that yield come after those that they may yield to
  inForce.sort((a, b) => a.rule.yields_to.length - b.rule.yields_to.length)
  /** most sensors share their rules: made once for each different list */
  const made = new Map<string, SensorRules>()
  return {
    version,
    book,
    of(topic, sensor) {
      const mine = inForce.filter(({ rule }) => appliesTo(rule, topic, sensor))
      const key = mine.map(({ rule }) => rule.id).join(' ')
      let rules = made.get(key)
      if (!rules) made.set(key, (rules = sensorRules(mine)))
      return rules
    },
    ofMachine: (machineId) =>
      machines.find(({ applies }) => applies.machine_ids?.includes(machineId) ?? true) ?? null,
  }
}

function appliesTo(
  { applies }: SensorRule,
  topic: string,
  { sensorId, sensorType, location }: Pick<Reading, 'sensorId' | 'sensorType' | 'location'>,
): boolean {
  return (
    (applies.topics?.includes(topic) ?? true) &&
    (applies.sensor_types?.includes(sensorType) ?? true) &&
    (applies.sensor_ids?.includes(sensorId) ?? true) &&
    (applies.machine_ids?.includes(location.machineId) ?? true)
  )
}

const LEVEL = { none: 0, warning: 1, critical: 2 } as const

type Leveled = LimitRule & { level: 0 | 1 | 2 }

function sensorRules(bound: readonly BoundRule[]): SensorRules {
  const levels: Leveled[] = []
  const ranges: PhysicalRule[] = []
  for (const { rule } of bound) {
    if (rule.kind === 'limit' && rule.level !== 'none')
      levels.push({ ...limitOf(rule), level: LEVEL[rule.level] })
    if (rule.kind === 'physical') ranges.push(rule)
  }
  return {
    bound,
    desk: createDesk(bound.map(({ part }) => part)),
    levelOf(value) {
      let level: 0 | 1 | 2 = 0
      for (let i = 0; i < levels.length; i++) {
        const limit = levels[i] as Leveled
        if (limit.level > level && isBeyond(limit, value)) level = limit.level
      }
      return level
    },
    isOutOfRange(value) {
      for (let i = 0; i < ranges.length; i++) if (isOutside(ranges[i] as PhysicalRule, value)) return true
      return false
    },
  }
}
