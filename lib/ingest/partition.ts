import { NO_RULES, type Rules } from '../alarm/rules.ts'
import { LEVELS, type Identity, type Reading } from '../reading.ts'
import { Fault, type Decoded, type Fact } from './decode.ts'
import { contentDigest } from './digest.ts'
import { FLAG, NOT_LIVE } from './flags.ts'
import { changeRules, judge, redescribe } from './judge.ts'
import { markOf, mayOpenMark, sourceFromKey, type Marks } from './mark-book.ts'
import { leaveOpen, MAX_RANGES, place, spill, type Mark } from './marks.ts'
import type { Message, Outputs, StatedFact } from './outputs.ts'
import { createSensor, judgedBy, type SensorState } from './sensor.ts'

/**
 * One partition of the log as the consumer holds it: what each sensor was last, which numbers have come, which alarms
 * are open. `process` moves it by one message and appends what has to be stored to the outputs. It is a deterministic
 * function of the log: no clock, no randomness, no outside. Run again from a checkpoint with `suppress`, it reaches the
 * same state and puts nothing out.
 */
export interface PartitionState {
  sensors: Map<string, SensorState>
  marks: Marks
  /** the rule book in force */
  rules: Rules
  /** rules whose detectors could not go on from what was stored, with how many sensors: told after a claim */
  relearning: Map<string, number>
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
export function createState(): PartitionState {
  return { sensors: new Map(), marks: new Map(), rules: NO_RULES, relearning: new Map() }
}

export interface Processor {
  process(message: Message, decoded: Decoded | Fault, identity: Identity | null): void
  /**
   * At the end of a chunk: ranges beyond what is kept in memory go out, to be stored with the batch. Not earlier,
   * because the chunk itself may still fill one of them; never while the log is read again.
   */
  settle(): void
  /** from this offset on these rules judge; `outputs` null: that they do is stored already */
  activate(rules: Rules, fromOffset: number, outputs: Outputs | null): void
}

export function createProcessor(
  state: PartitionState,
  out: () => Outputs | null,
  where: Place,
  keys: Keys,
  detectedBy: string,
): Processor {
  const crowded = new Map<Mark, { source: string; runId: string }>()
  const sourceAt = (offset: number) => ({ topic: where.topic, partition: where.partition, offset })

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
    activate(rules, fromOffset, outputs) {
      outputs?.activated.push({ version: rules.version, fromOffset })
      for (const sensor of state.sensors.values())
        changeRules(sensor, rules, where.topic, { source: sourceAt(fromOffset), detectedBy }, outputs)
      state.rules = rules
    },
  }

  function deadLetter(message: Message, fault: Fault, identity: Identity | null): void {
    const source = sourceFromKey(message.key)
    const outputs = out()
    if (identity && source && mayOpenMark(state.marks, source, identity.runId)) {
      const mark = markOf(state.marks, source, identity.runId)
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
      const mark = markOf(state.marks, decoded.source, identity.runId)
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
    for (const reading of decoded.readings) {
      const all = storeReading(message, reading, identity, flags, decoded.isCounted === true, outputs)
      if (decoded.fact) outputs?.facts.push(stated(decoded.fact, message, identity, all))
    }
  }

  /** Answers with its flags. */
  function storeReading(
    message: Message,
    reading: Reading,
    identity: Identity | null,
    identityFlags: number,
    isCounted: boolean,
    outputs: Outputs | null,
  ): number {
    const sensor = sensorOf(reading, message, outputs)
    const judged = judgedBy(sensor, state.rules, where.topic, relearn)
    const arrivedAt = message.appendedAtMs * 1000
    let flags = identityFlags
    if (reading.measuredAt < arrivedAt - CLOCK_BEHIND || reading.measuredAt > arrivedAt + CLOCK_AHEAD) {
      flags |= FLAG.clock
    }
    if (reading.measuredAt < sensor.watermark || reading.measuredAt < arrivedAt - LATE_AFTER)
      flags |= FLAG.late
    if (reading.metadata?.history === true) flags |= FLAG.history
    if (reading.quality < 0.5) flags |= FLAG.badQuality
    if (judged.rules.isOutOfRange(reading.value)) flags |= FLAG.outOfRange

    const level = judged.rules.levelOf(reading.value)
    if ((flags & NOT_LIVE) === 0) {
      sensor.watermark = reading.measuredAt
      judge(sensor, judged, { reading, level, source: sourceAt(message.offset), detectedBy }, outputs)
    }
    if (isShownNext(sensor, reading, flags)) {
      sensor.reading = reading
      sensor.level = level
      sensor.flags = flags
      sensor.offset = message.offset
      sensor.runId = identity ? identity.runId : null
    }
    sensor.count++
    if (!outputs) return flags

    outputs.counters.stored++
    if (flags & FLAG.late) outputs.counters.late++
    if (reading.measuredAt > outputs.newestMeasuredAt && (flags & FLAG.clock) === 0) {
      outputs.newestMeasuredAt = reading.measuredAt
    }
    if (isCounted) return flags // its fact is what is stored
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
    return flags
  }

  function sensorOf(reading: Reading, message: Message, outputs: Outputs | null): SensorState {
    const known = state.sensors.get(reading.sensorId)
    if (!known) {
      const fresh = createSensor(reading, keys.sensor(reading))
      state.sensors.set(reading.sensorId, fresh)
      return fresh
    }
    if (!isDescribedAlike(known.described, reading)) {
      known.sensorKey = keys.sensor(reading)
      const at = { source: sourceAt(message.offset), detectedBy }
      if (!isJudgedAlike(known.described, reading))
        redescribe(known, reading, state.rules, where.topic, at, outputs)
      known.described = reading
    }
    return known
  }

  function relearn(ruleId: string): void {
    state.relearning.set(ruleId, (state.relearning.get(ruleId) ?? 0) + 1)
  }

  function noteRanges(mark: Mark, source: string, runId: string): void {
    if (mark.missing.length > MAX_RANGES) crowded.set(mark, { source, runId })
  }
}

/** A time that cannot be right gives way to that of the log. */
function stated(fact: Fact, message: Message, identity: Identity | null, flags: number): StatedFact {
  return {
    fact: flags & FLAG.clock ? { ...fact, at: message.appendedAtMs * 1000 } : fact,
    runId: identity ? identity.runId : null,
    isFilled: (flags & FLAG.filled) !== 0,
  }
}

/** The newest is shown; a time that cannot be right only where there is nothing better, or it would stay for ever. */
function isShownNext(sensor: SensorState, reading: Reading, flags: number): boolean {
  if (sensor.count === 0) return true
  const wrongNow = sensor.flags & FLAG.clock
  if (wrongNow !== (flags & FLAG.clock)) return wrongNow !== 0
  return reading.measuredAt >= sensor.reading.measuredAt
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
function isJudgedAlike(a: Reading, b: Reading): boolean {
  return a.sensorType === b.sensorType && a.location.machineId === b.location.machineId
}
