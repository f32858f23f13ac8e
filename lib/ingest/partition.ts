import { clearLimit, raiseLimit, type OpenAlarm, type Source } from '../alarm/alarm.ts'
import { PHYSICAL_RANGE, type RuleBook } from '../alarm/rules.ts'
import { createLimitState, levelOf, stepLimit, type LimitRule, type LimitState } from '../detect/limits.ts'
import { LEVELS, type Identity, type Reading } from '../reading.ts'
import { formatMicros, type Micros } from '../time.ts'
import { Fault, type Decoded } from './decode.ts'
import { contentDigest } from './digest.ts'
import { FLAG, NOT_LIVE } from './flags.ts'
import type { Outputs } from './outputs.ts'
import { createMark, leaveOpen, MAX_RANGES, place, spill, type Mark } from './marks.ts'

/**
 * One partition of the log as the consumer holds it: what each sensor was last, which numbers have come, which alarms
 * are open. `process` moves it by one message and appends what has to be stored to the outputs. It is a deterministic
 * function of the log: no clock, no randomness, no outside. Run again from a checkpoint with `suppress`, it reaches the
 * same state and puts nothing out.
 */
export interface PartitionState {
  sensors: Map<string, SensorState>
  /** by source, then by run */
  marks: Map<string, Map<string, Mark>>
}

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
  limits: Map<string, LimitState>
  alarms: Map<string, OpenAlarm>
  /** the last values, oldest first: part of an alarm's explanation */
  recent: { at: Micros; value: number }[]
}

export interface Message {
  offset: number
  /** when the broker appended it, milliseconds since 1970: the log's own clock */
  appendedAtMs: number
  key: Buffer | null
  value: Buffer | null
  headers: Record<string, Buffer | string | (Buffer | string)[] | undefined> | undefined
}

export interface Place {
  topic: string
  partition: number
  topicKey: number
}

/** Keys of the small tables, resolved before a message is processed. */
export interface Keys {
  sensor(reading: Reading): number
  run(runId: string): number
}

const LATE_AFTER = 5 * 60 * 1_000_000 // five minutes under way: older news is history
const CLOCK_BEHIND = 30 * 86_400 * 1_000_000
const CLOCK_AHEAD = 5 * 60 * 1_000_000
const RECENT_READINGS = 8
/** runs of one source whose marks are kept; an older one would have to come back after sixteen new spools */
const RUNS_KEPT = 16
/** beyond so many known sources a broken message of an unknown one leaves no mark */
const BROKEN_SOURCES_KEPT = 1000

export function createState(): PartitionState {
  return { sensors: new Map(), marks: new Map() }
}

export interface Processor {
  process(message: Message, decoded: Decoded | Fault, identity: Identity | null): void
  /**
   * At the end of a chunk: ranges beyond what is kept in memory go out, to be stored with the batch. Not earlier,
   * because the chunk itself may still fill one of them; never while the log is read again.
   */
  settle(): void
}

export function createProcessor(
  state: PartitionState,
  out: () => Outputs | null,
  where: Place,
  keys: Keys,
  rulesOf: RuleBook,
  detectedBy: string,
): Processor {
  const crowded = new Map<Mark, { source: string; runId: string }>()

  return {
    process(message, decoded, identity) {
      if (decoded instanceof Fault) deadLetter(message, decoded, identity)
      else if (decoded.readings.length > 0) store(message, decoded, identity)
    },
    settle() {
      const outputs = out()
      if (!outputs || crowded.size === 0) return
      for (const [mark, of] of crowded) {
        const ranges = spill(mark)
        if (ranges.length > 0) outputs.spilled.push({ ...of, ranges })
      }
      crowded.clear()
    },
  }

  function deadLetter(message: Message, fault: Fault, identity: Identity | null): void {
    const source = sourceFromKey(message.key)
    const outputs = out()
    if (identity && source && mayOpenMark(source, identity.runId)) {
      const mark = markOf(source, identity.runId)
      const skipped = leaveOpen(mark, identity.seq)
      if (outputs && skipped) outputs.counters.missing += skipped.to - skipped.from + 1
      noteRanges(mark, source, identity.runId)
    }
    if (!outputs) return
    outputs.counters.dead_lettered++
    outputs.deadLetters.push({ message, fault, identity, source })
  }

  function store(message: Message, decoded: Decoded, identity: Identity | null): void {
    const outputs = out()
    let flags = 0
    if (identity) {
      const mark = markOf(decoded.source, identity.runId)
      const is = place(mark, identity.seq, contentDigest(decoded.readings))
      if (is.kind === 'repeat') {
        if (outputs) outputs.counters[is.conflict ? 'conflicting' : 'repeated']++
        return
      }
      if (is.kind === 'filled') {
        flags |= FLAG.filled
        if (outputs) outputs.counters.filled++
        noteRanges(mark, decoded.source, identity.runId)
      } else if (is.skipped) {
        flags |= FLAG.gapBefore
        if (outputs) outputs.counters.missing += is.skipped.to - is.skipped.from + 1
        noteRanges(mark, decoded.source, identity.runId)
      }
    } else {
      flags |= FLAG.unidentified
      if (outputs) outputs.counters.unidentified++
    }
    if (outputs) outputs.counters.unknown_fields += decoded.unknownFields
    for (const reading of decoded.readings) storeReading(message, reading, identity, flags, outputs)
  }

  function storeReading(
    message: Message,
    reading: Reading,
    identity: Identity | null,
    identityFlags: number,
    outputs: Outputs | null,
  ): void {
    const sensor = sensorOf(reading)
    const arrivedAt = message.appendedAtMs * 1000
    let flags = identityFlags
    if (reading.measuredAt < arrivedAt - CLOCK_BEHIND || reading.measuredAt > arrivedAt + CLOCK_AHEAD) {
      flags |= FLAG.clock
    }
    if (reading.measuredAt < sensor.watermark || reading.measuredAt < arrivedAt - LATE_AFTER)
      flags |= FLAG.late
    if (reading.metadata?.history === true) flags |= FLAG.history
    if (reading.quality < 0.5) flags |= FLAG.badQuality
    if (isOutOfRange(reading)) flags |= FLAG.outOfRange

    const rules = rulesOf(where.topic, reading.sensorType)
    const level = levelOf(rules, reading.value)
    if ((flags & NOT_LIVE) === 0) {
      sensor.watermark = reading.measuredAt
      stepAlarms(sensor, reading, level, rules, { ...where, offset: message.offset }, outputs)
      sensor.recent.push({ at: reading.measuredAt, value: reading.value })
      if (sensor.recent.length > RECENT_READINGS) sensor.recent.shift()
    }
    if (isShownNext(sensor, reading, flags)) {
      sensor.reading = reading
      sensor.level = level
      sensor.flags = flags
      sensor.offset = message.offset
    }
    sensor.count++
    if (!outputs) return

    outputs.counters.stored++
    if (flags & FLAG.late) outputs.counters.late++
    if (reading.measuredAt > outputs.newestMeasuredAt && (flags & FLAG.clock) === 0) {
      outputs.newestMeasuredAt = reading.measuredAt
    }
    outputs.touched.add(sensor)
    outputs.copy.append({
      measuredAt: reading.measuredAt,
      value: reading.value,
      offset: message.offset,
      seq: identity ? identity.seq : null,
      sensorKey: sensor.sensorKey,
      runKey: identity ? keys.run(identity.runId) : null,
      quality: reading.quality,
      flags,
      partition: where.partition,
      topicKey: where.topicKey,
      level,
      claimedLevel: reading.claimedLevel === null ? null : LEVELS.indexOf(reading.claimedLevel),
      metadata: reading.metadata === null ? null : JSON.stringify(reading.metadata),
    })
  }

  function stepAlarms(
    sensor: SensorState,
    reading: Reading,
    level: number,
    rules: readonly LimitRule[],
    source: Source & Place,
    outputs: Outputs | null,
  ): void {
    for (const rule of rules) {
      const state = limitStateOf(sensor, rule.id)
      const open = sensor.alarms.get(rule.id)
      if (open)
        open.peak =
          rule.side === 'high' ? Math.max(open.peak, reading.value) : Math.min(open.peak, reading.value)
      const step = stepLimit(state, reading.value, rule)
      if (step === 'hold') continue
      const at = { topic: source.topic, partition: source.partition, offset: source.offset }
      if (step === 'raise') {
        const recent = sensor.recent.map((r) => ({ at: formatMicros(r.at), value: r.value }))
        const alarm = raiseLimit(reading, rule, rules, level, recent, at, detectedBy)
        sensor.alarms.set(rule.id, {
          alertId: alarm.alert_id,
          ruleId: rule.id,
          raisedAt: reading.measuredAt,
          peak: reading.value,
        })
        outputs?.raised.push(alarm)
      } else if (open) {
        sensor.alarms.delete(rule.id)
        outputs?.cleared.push(clearLimit(open, reading, rule, level, at, detectedBy))
      }
    }
  }

  function sensorOf(reading: Reading): SensorState {
    const known = state.sensors.get(reading.sensorId)
    if (known) {
      if (!isDescribedAlike(known.described, reading)) {
        known.sensorKey = keys.sensor(reading)
        known.described = reading
      }
      return known
    }
    const fresh: SensorState = {
      reading,
      described: reading,
      sensorKey: keys.sensor(reading),
      watermark: -Infinity,
      count: 0,
      level: 0,
      flags: 0,
      offset: 0,
      limits: new Map(),
      alarms: new Map(),
      recent: [],
    }
    state.sensors.set(reading.sensorId, fresh)
    return fresh
  }

  function markOf(source: string, runId: string): Mark {
    let runs = state.marks.get(source)
    if (!runs) state.marks.set(source, (runs = new Map()))
    let mark = runs.get(runId)
    if (!mark) {
      mark = createMark()
      runs.set(runId, mark)
      if (runs.size > RUNS_KEPT) runs.delete(String(runs.keys().next().value))
    }
    return mark
  }

  /** Names in broken messages are anybody's: they neither fill the memory nor push a real run out of it. */
  function mayOpenMark(source: string, runId: string): boolean {
    const runs = state.marks.get(source)
    return runs ? runs.has(runId) || runs.size < RUNS_KEPT : state.marks.size < BROKEN_SOURCES_KEPT
  }

  function noteRanges(mark: Mark, source: string, runId: string): void {
    if (mark.missing.length > MAX_RANGES) crowded.set(mark, { source, runId })
  }
}

/** The newest is shown; a time that cannot be right only where there is nothing better, or it would stay for ever. */
function isShownNext(sensor: SensorState, reading: Reading, flags: number): boolean {
  if (sensor.count === 0) return true
  const wrongNow = sensor.flags & FLAG.clock
  if (wrongNow !== (flags & FLAG.clock)) return wrongNow !== 0
  return reading.measuredAt >= sensor.reading.measuredAt
}

function limitStateOf(sensor: SensorState, ruleId: string): LimitState {
  let limit = sensor.limits.get(ruleId)
  if (!limit) sensor.limits.set(ruleId, (limit = createLimitState()))
  return limit
}

function isOutOfRange(reading: Reading): boolean {
  const range = PHYSICAL_RANGE[reading.sensorType]
  return range !== undefined && (reading.value < range[0] || reading.value > range[1])
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

/** A dead letter's sensor, as far as its key tells. */
function sourceFromKey(key: Buffer | null): string | null {
  if (!key || key.length === 0 || key.length > 64) return null
  const text = key.toString('latin1')
  return /^[A-Za-z0-9._:-]+$/.test(text) ? text : null
}
