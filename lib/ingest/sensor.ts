import type { OpenAlarm } from '../alarm/alarm.ts'
import type { Rules, SensorRules } from '../alarm/rules.ts'
import { unpack, type Packing, type Slot } from '../detect/desk.ts'
import { HEARTBEAT_TYPE } from '../line.ts'
import type { Reading } from '../reading.ts'
import type { Micros } from '../time.ts'
import { FLAG } from './flags.ts'

/** What a partition knows of one sensor. There may be hundreds of thousands, so it is little. */
export interface SensorState {
  /** the newest by event time: its own, filled anew */
  readonly reading: Newest
  /** the description that sensorKey was looked up for */
  described: Described
  sensorKey: number
  /** newest event time among live readings: what is older is late */
  watermark: Micros
  count: number
  level: number
  flags: number
  offset: number
  /** the spool that its newest reading came from; null where it named none */
  runId: string | null
  /** what its detectors know and its last values, packed; null: it was never judged */
  packed: Buffer | null
  /** what `packed` consists of */
  packing: Packing | null
  /** the rules in force for it; null: to be looked up again */
  judged: SensorRules | null
  open: readonly OpenAlarm[]
  /** what rules knew that are in the book, but not for the sensor as it describes itself now */
  resting: readonly Rest[]
}

/** What else its device measured in that moment is asked for by nobody. */
export type Newest = Omit<Reading, 'together'>

export interface Rest {
  slot: Slot
  bytes: Uint8Array
}

/** most sensors have no alarm, and nothing at rest: one list for all of them */
const NONE: readonly never[] = []

/** Signs of life are no readings: the newest value of their sensor is another topic's. */
export function isShown({ reading }: SensorState): boolean {
  return reading.sensorType !== HEARTBEAT_TYPE
}

export function createSensor(reading: Reading, sensorKey: number): SensorState {
  return {
    reading: newestOf(reading),
    described: describedBy(reading),
    sensorKey,
    watermark: -Infinity,
    count: 0,
    level: 0,
    flags: 0,
    offset: 0,
    runId: null,
    packed: null,
    packing: null,
    judged: null,
    open: NONE,
    resting: NONE,
  }
}

function newestOf(reading: Reading): Newest {
  const { measuredAt, value, quality, claimedLevel, metadata } = reading
  return { ...describedBy(reading), measuredAt, value, quality, claimedLevel, metadata }
}

/** What a reading says of its sensor. */
export type Described = Pick<
  Reading,
  'sensorId' | 'sensorType' | 'unit' | 'location' | 'warningThreshold' | 'criticalThreshold'
>

export function describedBy(r: Described): Described {
  const { sensorId, sensorType, unit, location, warningThreshold, criticalThreshold } = r
  return { sensorId, sensorType, unit, location, warningThreshold, criticalThreshold }
}

/** This one is the sensor's newest now: its numbers are taken over, and its words are those that are held already. */
export function showNext({ reading, described }: SensorState, like: Newest): Newest {
  reading.sensorType = described.sensorType
  reading.unit = described.unit
  reading.location = described.location
  reading.warningThreshold = described.warningThreshold
  reading.criticalThreshold = described.criticalThreshold
  reading.measuredAt = like.measuredAt
  reading.value = like.value
  reading.quality = like.quality
  reading.claimedLevel = like.claimedLevel
  reading.metadata = like.metadata
  return reading
}

export function openAlarmOf(sensor: SensorState, ruleId: string): OpenAlarm | null {
  for (const alarm of sensor.open) if (alarm.ruleId === ruleId) return alarm
  return null
}

export function isOpen(sensor: SensorState, alarm: OpenAlarm): void {
  sensor.open = [...sensor.open, alarm]
}

export function isOver(sensor: SensorState, alarm: OpenAlarm): void {
  const others = sensor.open.filter((one) => one !== alarm)
  sensor.open = others.length > 0 ? others : NONE
}

/** Looks up the rules in force; `onRelearn` hears of every detector that cannot go on from its stored state. */
export function judgedBy(
  sensor: SensorState,
  rules: Rules,
  topic: string,
  onRelearn: (ruleId: string) => void,
): SensorRules {
  if (sensor.judged) return sensor.judged
  const mine = rules.of(topic, sensor.described)
  repack(sensor, mine, onRelearn)
  return (sensor.judged = mine)
}

/** What was known of the sensor, as these rules know it; what belongs to none of them rests. */
export function repack(
  sensor: SensorState,
  { desk }: SensorRules,
  onRelearn: (ruleId: string) => void,
): void {
  if (sensor.packing?.signature === desk.signature && sensor.resting.length === 0) {
    sensor.packing = desk // equal: the one that is held already
    return
  }
  const had = new Map(heldStates(sensor).map((rest) => [rest.slot.ruleId, rest]))
  desk.begin()
  const last = had.get('')
  if (last) desk.recent.bytes.set(last.bytes)
  had.delete('')
  for (const part of desk.parts) {
    const rest = had.get(part.ruleId)
    if (!rest) continue
    had.delete(part.ruleId)
    const goesOn = rest.slot.detector === part.detector && desk.goOn(part, rest.bytes, rest.slot.version)
    if (!goesOn) onRelearn(part.ruleId)
  }
  sensor.packed = desk.pack(null)
  sensor.packing = desk
  sensor.resting = had.size > 0 ? [...had.values()] : NONE
}

/** Forgets what was known by rules for which this does not hold; answers which. */
export function keepStates(sensor: SensorState, isKept: (slot: Slot) => boolean): ReadonlySet<string> {
  const gone = new Set<string>()
  for (const slot of [...(sensor.packing?.slots ?? NONE), ...sensor.resting.map((rest) => rest.slot)])
    if (slot.ruleId !== '' && !isKept(slot)) gone.add(slot.ruleId)
  if (gone.size === 0) return gone
  sensor.resting = heldStates(sensor).filter(({ slot }) => !gone.has(slot.ruleId))
  sensor.packed = sensor.packing = null
  return gone
}

/** By slot, whether packed or at rest. The bytes are the sensor's own. */
export function heldStates({ packed, packing, resting }: SensorState): Rest[] {
  if (!packed || !packing) return [...resting]
  return [
    ...unpack(packing, packed).map(({ slot, bytes }) => ({ slot, bytes: Uint8Array.from(bytes) })),
    ...resting,
  ]
}

/** The newest is shown; a time that cannot be right only where there is nothing better, or it would stay for ever. */
export function isShownNext(sensor: SensorState, measuredAt: Micros, flags: number): boolean {
  if (sensor.count === 0) return true
  const wrongNow = sensor.flags & FLAG.clock
  if (wrongNow !== (flags & FLAG.clock)) return wrongNow !== 0
  return measuredAt >= sensor.reading.measuredAt
}

/** Whether the row in table sensors is the same. */
export function isDescribedAlike(a: Described, b: Described): boolean {
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
export function isJudgedAlike(a: Described, b: Described): boolean {
  return a.sensorType === b.sensorType && a.location.machineId === b.location.machineId
}
