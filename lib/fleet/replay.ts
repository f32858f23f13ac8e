import { statSync } from 'node:fs'
import { basename } from 'node:path'
import { log } from '../log.ts'
import { encodeFactoryMessage, sensorId, type Location, type Reading } from '../reading.ts'
import { EXIT, Stop } from '../run.ts'
import { formatMicros, type Micros } from '../time.ts'
import { wallClock, type Clock, type Fleet, type Measured } from './fleet.ts'
import { readText } from './input.ts'
import { createObjectDecoder } from './objects.ts'
import { createPace, createStamp, waitUntil } from './pace.ts'
import type { RecordingDecoder, RecordingOptions, Row } from './recording.ts'
import { createRhythm, judgeRhythm, type Speed } from './rhythm.ts'
import { createTableDecoder } from './table.ts'

export interface ReplayOptions {
  topic: string
  /** a path, or `-` for standard input */
  file: string
  /** without it: by the name's ending, else by the first character */
  format?: 'csv' | 'ndjson' | null
  /** default: the file's name without its ending, or `stdin` */
  sensorId?: string | null
  /** a lower-case word; default replay */
  sensorType?: string
  unit?: string
  location: Location
  timeColumn?: string | null
  valueColumns?: readonly string[] | null
  /** one character, or `tab`; without it found in the file */
  separator?: string | null
  /** recorded time passes so many times as fast; max: no waiting */
  speed: Speed
  /** shift: each row is stamped with the moment it is sent; keep: its own times, stored as history that alarms nobody */
  time: 'shift' | 'keep'
  clock?: Clock
  /** bytes in place of the file's */
  input?: ReadableStream<Uint8Array>
}

export interface Replay extends Fleet {
  /** what has been read so far */
  summary(): ReplaySummary
}

export interface ReplaySummary {
  /** rows of which a reading was sent */
  rows: number
  readings: number
  /** rows and single values that could not be read */
  bad: number
  /** columns without a value */
  empty: number
  outOfOrder: number
  /** pauses ten times the usual and more */
  gaps: number
  /** the recording's own times */
  from: string | null
  to: string | null
}

/** Readings at most in a batch, so that a spool transaction stays short. */
const MAX_BATCH = 1000
/** Bad rows are told one by one, with line and reason, up to this number: a wrong file must not fill a disk with its log. */
const MAX_TOLD = 100

/** A recording as a fleet, in constant memory at any length. Throws Stop where the options cannot be followed. */
export function createReplay(options: ReplayOptions): Replay {
  const { file, speed, clock = wallClock } = options
  const recording = checkOptions(options)
  const keepsTime = options.time === 'keep'
  const review = createReview(file, speed, keepsTime)

  async function* batches(signal: AbortSignal): AsyncGenerator<Measured[]> {
    const pace = createPace(speed, file === '-', clock)
    const stamp = createStamp(clock)
    let batch: Measured[] = []
    for await (const rows of readRows(signal)) {
      for (const row of review.take(rows)) {
        pace.next(row.at)
        if (batch.length >= MAX_BATCH || (batch.length > 0 && pace.due() > clock.now())) {
          yield batch
          batch = []
        }
        await waitUntil(pace.due(), clock, signal)
        if (signal.aborted) return
        const at = keepsTime ? null : stamp()
        for (const reading of row.readings) batch.push(measured(reading, at))
        review.sent(row)
      }
      if (batch.length > 0) yield batch
      batch = []
    }
    if (!signal.aborted) review.finish()
  }

  async function* readRows(signal: AbortSignal): AsyncGenerator<Row[]> {
    const input = options.input ?? (file === '-' ? Bun.stdin : Bun.file(file)).stream()
    let decoder: RecordingDecoder | null = null
    let start = ''
    let notices = 0
    for await (const piece of readText(input, signal)) {
      start += piece
      if (!decoder && start.trim() === '') continue
      const rows: Row[] = decoder ? decoder.push(piece) : (decoder = decoderFor(start)).push(start)
      for (const notice of decoder.notices().slice(notices)) log.warn('replay.columns', { file, notice })
      notices = decoder.notices().length
      yield rows
      start = ''
    }
    if (decoder && !signal.aborted) yield decoder.end()
  }

  function decoderFor(start: string): RecordingDecoder {
    const byName = /\.(ndjson|jsonl|json)$/i.test(file) ? 'ndjson' : /\.(csv|tsv)$/i.test(file) ? 'csv' : null
    const format = options.format ?? byName ?? (start.trimStart().startsWith('{') ? 'ndjson' : 'csv')
    return format === 'ndjson' ? createObjectDecoder(recording) : createTableDecoder(recording)
  }

  /** `at` null: the reading keeps its time and is history; else it is live, whatever it was when recorded. */
  function measured(recorded: Reading, at: Micros | null): Measured {
    const { history: _history, ...own } = recorded.metadata ?? {}
    const metadata = at === null ? { ...own, history: true } : Object.keys(own).length > 0 ? own : null
    const reading = { ...recorded, measuredAt: at ?? recorded.measuredAt, metadata }
    return {
      topic: options.topic,
      key: reading.sensorId,
      reading,
      encode: (id) => encodeFactoryMessage(reading, id),
    }
  }

  return { name: 'replay', sensorType: recording.sensorType, summary: review.summary, readings: batches }
}

/** Counts what is read and tells what a person should know: bad rows, pauses, a rhythm that detectors cannot know. */
function createReview(file: string, speed: Speed, keepsTime: boolean) {
  const rhythm = createRhythm()
  const counts = { rows: 0, readings: 0, bad: 0, empty: 0, outOfOrder: 0, gaps: 0 }
  let from = Infinity
  let to = -Infinity
  let told = 0
  let judged = keepsTime

  function tell(event: string, fields: Record<string, unknown>): void {
    told++
    if (told <= MAX_TOLD) log.warn(event, { file, ...fields })
    if (told === MAX_TOLD) log.warn('replay.silenced', { file, reason: 'further ones are counted only' })
  }

  function judge(ended: boolean): void {
    const usual = rhythm.usual(ended)
    if (judged || (usual === null && speed !== 'max')) return
    judged = true
    const reason = judgeRhythm(usual, speed)
    if (reason) log.warn('replay.rhythm_unknown', { file, reason })
  }

  function isSendable(row: Row): boolean {
    const timeless = keepsTime && row.at === null && row.readings.length > 0
    const faults = timeless ? [...row.faults, 'has no time that could be kept'] : row.faults
    for (const reason of faults) tell('replay.bad_row', { line: row.line, reason })
    counts.bad += faults.length
    counts.empty += row.empty
    return row.readings.length > 0 && !timeless
  }

  function seeTime(row: Row): void {
    if (row.at === null) return
    from = Math.min(from, row.at)
    to = Math.max(to, row.at)
    const { outOfOrder, gap } = rhythm.see(row.at)
    if (outOfOrder) counts.outOfOrder++
    if (gap === null) return
    counts.gaps++
    if (!keepsTime) tell('replay.gap', { line: row.line, seconds: gap / 1_000_000 })
  }

  const summary = (): ReplaySummary => ({
    ...counts,
    from: from === Infinity ? null : formatMicros(from),
    to: from === Infinity ? null : formatMicros(to),
  })

  return {
    summary,
    /** the rows to send, before the first of them waits for its time */
    take(rows: Row[]): Row[] {
      const sendable = rows.filter(isSendable)
      sendable.forEach(seeTime)
      judge(false)
      return sendable
    },
    sent(row: Row): void {
      counts.rows++
      counts.readings += row.readings.length
    },
    finish(): void {
      judge(true)
      log.info('replay.finished', { file, ...summary() })
    },
  }
}

/** Everything that can be said before the file is read; all faults in one message. */
function checkOptions(o: ReplayOptions): RecordingOptions {
  const faults: string[] = []
  const refuse = (wrong: boolean, fault: string) => wrong && faults.push(fault)
  const separator = o.separator === 'tab' || o.separator === '\\t' ? '\t' : (o.separator ?? null)
  const sensorType = o.sensorType ?? 'replay'
  const stat = o.file === '-' || o.input ? undefined : statSync(o.file, { throwIfNoEntry: false })
  refuse(o.file !== '-' && !o.input && !stat, 'there is no such file')
  refuse(stat?.isDirectory() === true, 'it is a folder, name one file')
  refuse(
    separator !== null && (separator.length !== 1 || /["\r\n]/.test(separator)),
    `--separator must be one character or tab: got ${JSON.stringify(separator)}`,
  )
  refuse(
    o.speed !== 'max' && !(o.speed > 0 && o.speed < Infinity),
    `--speed must be a number above 0 or max: got ${o.speed}`,
  )
  refuse(
    typeof o.sensorId === 'string' && !sensorId.safeParse(o.sensorId).success,
    `--sensor-id must be 1 to 64 of the characters A-Z a-z 0-9 . _ : -: got ${JSON.stringify(o.sensorId)}`,
  )
  refuse(
    !/^[a-z][a-z0-9_.-]{0,31}$/.test(sensorType),
    `--sensor-type must be a lower-case word of at most 32 characters: got ${JSON.stringify(sensorType)}`,
  )
  refuse((o.unit ?? '').length > 16, `--unit must have at most 16 characters: got ${JSON.stringify(o.unit)}`)
  if (faults.length > 0) throw new Stop(`Cannot replay ${o.file}: ${faults.join('; ')}`, EXIT.usage)
  return {
    sensorId: o.sensorId ?? (o.file === '-' ? 'stdin' : basename(o.file).replace(/(?<=.)\.[^.]*$/, '')),
    sensorType,
    unit: o.unit ?? '',
    location: o.location,
    timeColumn: o.timeColumn ?? null,
    valueColumns: o.valueColumns ?? null,
    separator,
  }
}
