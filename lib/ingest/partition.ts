import type { Moment } from '../alarm/alarm.ts'
import { NO_RULES, type Rules } from '../alarm/rules.ts'
import type { Records } from '../kafka/records.ts'
import { LEVELS, type Identity, type Reading } from '../reading.ts'
import { emptyRow } from './copy.ts'
import { Fault, type Decoded } from './decode.ts'
import { contentDigest, readingDigest } from './digest.ts'
import { FLAG, NOT_LIVE, timeFlags } from './flags.ts'
import { read, readHead, readValue } from './form.ts'
import { changeRules, judge, redescribe } from './judge.ts'
import { createForms } from './known.ts'
import { stated, type Message, type Outputs } from './outputs.ts'
import { markOf, mayOpenMark, sourceFromKey, type Marks } from './mark-book.ts'
import { leaveOpen, MAX_RANGES, place, spill, type Mark } from './marks.ts'
import {
  createSensor,
  describedBy,
  isDescribedAlike,
  isJudgedAlike,
  isShownNext,
  judgedBy,
  showNext,
  type Newest,
  type SensorState,
} from './sensor.ts'

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

/** in place of flags: it was counted, and that is all */
const REPEATED = -1

export function createState(): PartitionState {
  return { sensors: new Map(), marks: new Map(), rules: NO_RULES, relearning: new Map() }
}

export interface Processor {
  process(message: Message, decoded: Decoded | Fault, identity: Identity | null): void
  /**
   * Processes records where they lie as long as their form is known: at most so many, and only below this offset. How
   * many; the first of another form is for the decoder and `process`.
   */
  run(records: Records, most: number, below: number): number
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
  /** what was decoded once may be read by its form: messages of this topic are those of decodeFactory */
  hasForms = true,
): Processor {
  const forms = createForms()
  /** the reading in hand, as it goes into the table: one row for all */
  const row = emptyRow(where.partition, where.topicKey)
  const sample = { at: 0, value: 0, quality: 1 }
  /** what the row was made of: this reading, or, where it came by its form, one that is like it but for the row */
  let like: Reading | null = null
  let isByForm = false
  const crowded = new Map<Mark, { source: string; runId: string }>()
  const sourceAt = (offset: number) => ({ topic: where.topic, partition: where.partition, offset })

  return {
    process(message, decoded, identity) {
      if (decoded instanceof Fault) deadLetter(message, decoded, identity)
      else if (decoded.readings.length > 0) store(message, decoded, identity)
    },
    run(records, most, below) {
      let n = 0
      while (n < most && records.standing && records.offset < below && repeat(records)) {
        records.next()
        n++
      }
      return n
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
      const mark = markOf(state.marks, source, identity.runId, forms.clear)
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
    const { source, readings } = decoded
    const mark = identity && markOf(state.marks, source, identity.runId, forms.clear)
    const flags =
      mark && identity
        ? accept(mark, source, identity, contentDigest(readings), outputs)
        : unidentified(outputs)
    if (flags === REPEATED) return
    if (outputs) outputs.counters.unknown_fields += decoded.unknownFields
    for (const one of readings) {
      const all = storeReading(message, one, identity, flags, decoded.isCounted === true, outputs)
      if (decoded.fact) outputs?.facts.push(stated(decoded.fact, message, identity, all))
    }
    const [only] = readings
    if (!hasForms || !message.headerBytes || !only || readings.length > 1 || only.sensorId !== source) return
    const sensor = state.sensors.get(source)
    const runKey = identity && keys.run(identity.runId)
    if (sensor) forms.learn(message, only, identity, sensor, mark, runKey, decoded.unknownFields)
  }

  /** The same for the record in hand, if its form is known: no object in between. */
  function repeat(records: Records): boolean {
    const form = forms.of(records)
    if (!form) return false
    const { bytes } = records
    const { sensor, mark, identity, described } = form
    if (sensor.described !== described) return false
    if (!readHead(form.form, bytes, records.headersFrom, records.headersTo)) return false
    if (!readValue(form.form, bytes, records.valueFrom, records.valueTo)) return false
    if (mark?.spilled && read.seq <= mark.high) return false // its number may lie in the table
    form.uses++
    const outputs = out()
    let flags: number
    if (mark && identity) {
      identity.seq = read.seq
      const digest = readingDigest(0, read.value, read.measuredAt) >>> 0
      flags = accept(mark, described.sensorId, identity, digest, outputs)
      if (flags === REPEATED) return true
    } else flags = unidentified(outputs)
    if (outputs) outputs.counters.unknown_fields += form.unknownFields
    row.measuredAt = read.measuredAt
    row.value = read.value
    row.offset = records.offset
    row.seq = identity ? read.seq : null
    row.runKey = form.runKey
    row.quality = read.quality
    row.claimedLevel = read.claimed < 0 ? null : read.claimed
    row.metadata = form.metadata
    like = form.like
    isByForm = true
    arrive(sensor, records.appendedAtMs, flags | form.flags, identity, false, outputs)
    return true
  }

  /** What its running number says of a message, as flags. */
  function accept(
    mark: Mark,
    source: string,
    { runId, seq }: Identity,
    digest: number,
    outputs: Outputs | null,
  ): number {
    const is = place(mark, seq, digest)
    if (is.kind === 'repeat') {
      if (outputs) outputs.counters[is.conflict ? 'conflicting' : 'repeated']++
      return REPEATED
    }
    if (is.kind === 'filled') {
      if (outputs) outputs.counters.filled++
      noteRanges(mark, source, runId)
      return FLAG.filled
    }
    if (!is.skipped) return 0
    if (outputs) outputs.counters.missing += is.skipped.to - is.skipped.from + 1
    noteRanges(mark, source, runId)
    return FLAG.gapBefore
  }

  function unidentified(outputs: Outputs | null): number {
    if (outputs) outputs.counters.unidentified++
    return FLAG.unidentified
  }

  function storeReading(
    message: Message,
    one: Reading,
    identity: Identity | null,
    identityFlags: number,
    isCounted: boolean,
    outputs: Outputs | null,
  ): number {
    const sensor = sensorOf(one, message, outputs)
    row.measuredAt = one.measuredAt
    row.value = one.value
    row.offset = message.offset
    row.seq = identity && identity.seq
    row.runKey = identity && outputs && keys.run(identity.runId)
    row.quality = one.quality
    row.claimedLevel = one.claimedLevel === null ? null : LEVELS.indexOf(one.claimedLevel)
    row.metadata = one.metadata && outputs && JSON.stringify(one.metadata)
    like = one
    isByForm = false
    const history = one.metadata?.history === true ? FLAG.history : 0
    return arrive(sensor, message.appendedAtMs, identityFlags | history, identity, isCounted, outputs)
  }

  /** The row moves its sensor and goes out; answers with its flags. */
  function arrive(
    sensor: SensorState,
    appendedAtMs: number,
    flagsBefore: number,
    identity: Identity | null,
    isCounted: boolean,
    outputs: Outputs | null,
  ): number {
    const { measuredAt, value, quality } = row
    const judged = judgedBy(sensor, state.rules, where.topic, relearn)
    let flags = flagsBefore | timeFlags(measuredAt, appendedAtMs * 1000, sensor.watermark)
    if (quality < 0.5) flags |= FLAG.badQuality
    if (judged.isOutOfRange(value)) flags |= FLAG.outOfRange
    const level = judged.levelOf(value)
    row.flags = flags
    row.level = level
    row.sensorKey = sensor.sensorKey
    if ((flags & NOT_LIVE) === 0) {
      sensor.watermark = measuredAt
      sample.at = measuredAt
      sample.value = value
      sample.quality = quality
      judge(sensor, judged, sample, (flags & FLAG.outOfRange) !== 0, momentOf, outputs)
    }
    if (isShownNext(sensor, measuredAt, flags)) {
      const newest = showNext(sensor, held())
      if (isByForm) fill(newest)
      sensor.level = level
      sensor.flags = flags
      sensor.offset = row.offset
      sensor.runId = identity && identity.runId
    }
    sensor.count++
    if (!outputs) return flags
    outputs.counters.stored++
    if (flags & FLAG.late) outputs.counters.late++
    if (measuredAt > outputs.newestMeasuredAt && (flags & FLAG.clock) === 0)
      outputs.newestMeasuredAt = measuredAt
    if (isCounted) return flags // its fact is what is stored
    outputs.touched.add(sensor)
    outputs.copy.append(row)
    return flags
  }

  function momentOf(): Moment {
    return { reading: inHand(), level: row.level, source: sourceAt(row.offset), detectedBy }
  }

  function held(): Reading {
    if (!like) throw new Error('Cannot tell of a reading: none is in hand')
    return like
  }

  function inHand(): Reading {
    return isByForm ? fill({ ...held() }) : held()
  }

  function fill<One extends Newest>(one: One): One {
    one.measuredAt = row.measuredAt
    one.value = row.value
    one.quality = row.quality
    one.claimedLevel = row.claimedLevel === null ? null : (LEVELS[row.claimedLevel] ?? null)
    return one
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
      known.described = describedBy(reading)
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
