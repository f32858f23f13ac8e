import type { OpenAlarm } from '../alarm/alarm.ts'
import type { BoundRule } from '../alarm/bind.ts'
import type { Rules, SensorRules } from '../alarm/rules.ts'
import { HEARTBEAT_TYPE } from '../line.ts'
import type { Reading } from '../reading.ts'
import type { Micros } from '../time.ts'
import { FLAG } from './flags.ts'

/** What a partition knows of one sensor. */
export interface SensorState {
  /** the newest by event time */
  reading: Reading
  /** the reading that sensorKey was looked up for */
  described: Reading
  sensorKey: number
  /** newest event time among live readings: what is older is late */
  watermark: Micros
  count: number
  level: number
  flags: number
  offset: number
  /** the spool that its newest reading came from; null where it named none */
  runId: string | null
  /** by rule id: detector state and open alarm of every rule that ever judged it and still stands in the book */
  slots: Map<string, Slot>
  /** the rules in force for it and their slots, in step; null: to be looked up again */
  judged: Judged | null
  /** the last values, oldest first: part of an alarm's explanation */
  recent: { at: Micros; value: number }[]
}

/** Signs of life are no readings: the newest value of their sensor is another topic's. */
export function isShown({ reading }: SensorState): boolean {
  return reading.sensorType !== HEARTBEAT_TYPE
}

export interface Judged {
  rules: SensorRules
  slots: Slot[]
}

/** One rule's view of one sensor. */
export interface Slot {
  ruleId: string
  detector: string
  detectorVersion: number
  state: object | null
  /** of a checkpoint, not yet turned into state */
  bytes: Uint8Array | null
  /** the rule that made `state` */
  rule: BoundRule | null
  open: OpenAlarm | null
}

export function createSensor(reading: Reading, sensorKey: number): SensorState {
  return {
    reading,
    described: reading,
    sensorKey,
    watermark: -Infinity,
    count: 0,
    level: 0,
    flags: 0,
    offset: 0,
    runId: null,
    slots: new Map(),
    judged: null,
    recent: [],
  }
}

export function createSlot(
  ruleId: string,
  detector: string,
  detectorVersion: number,
  bytes: Uint8Array | null,
): Slot {
  return { ruleId, detector, detectorVersion, state: null, bytes, rule: null, open: null }
}

/** Looks up the rules in force; `onRelearn` hears of every detector that cannot go on from its stored state. */
export function judgedBy(
  sensor: SensorState,
  rules: Rules,
  topic: string,
  onRelearn: (ruleId: string) => void,
): Judged {
  if (sensor.judged) return sensor.judged
  const mine = rules.of(topic, sensor.described)
  return (sensor.judged = { rules: mine, slots: mine.bound.map((rule) => slotOf(sensor, rule, onRelearn)) })
}

function slotOf(sensor: SensorState, bound: BoundRule, onRelearn: (ruleId: string) => void): Slot {
  const { id } = bound.rule
  let slot = sensor.slots.get(id)
  if (!slot) {
    slot = createSlot(id, bound.detector, 0, null)
    sensor.slots.set(id, slot)
  }
  const sameDetector = slot.detector === bound.detector
  if (slot.state === null && slot.bytes !== null) {
    slot.state = sameDetector ? bound.decode(slot.bytes, slot.detectorVersion) : null
    slot.bytes = null
    if (slot.state === null) onRelearn(id)
  } else if (slot.state !== null && !sameDetector) {
    slot.state = null
  }
  slot.state ??= bound.create()
  slot.detector = bound.detector
  slot.detectorVersion = bound.detectorVersion
  slot.rule = bound
  return slot
}

/** The newest is shown; a time that cannot be right only where there is nothing better, or it would stay for ever. */
export function isShownNext(sensor: SensorState, measuredAt: Micros, flags: number): boolean {
  if (sensor.count === 0) return true
  const wrongNow = sensor.flags & FLAG.clock
  if (wrongNow !== (flags & FLAG.clock)) return wrongNow !== 0
  return measuredAt >= sensor.reading.measuredAt
}

/** Whether the row in table sensors is the same. */
export function isDescribedAlike(a: Reading, b: Reading): boolean {
  return (
    a.sensorType === b.sensorType &&
    a.unit === b.unit &&
    a.location.machineId === b.location.machineId &&
    a.location.zone === b.location.zone &&
    a.location.factorySection === b.location.factorySection &&
    a.warningThreshold === b.warningThreshold &&
    a.criticalThreshold === b.criticalThreshold
  )
}

/** Whether the same rules are for it. */
export function isJudgedAlike(a: Reading, b: Reading): boolean {
  return a.sensorType === b.sensorType && a.location.machineId === b.location.machineId
}
