import type { Database } from '../db/connect.ts'
import { CHECKPOINT_VERSION, decodeCheckpoint, encodeCheckpoint } from '../ingest/checkpoint.ts'
import type { Decoder } from '../ingest/decode.ts'
import { createDecoding } from '../ingest/decoding.ts'
import { Skipped } from '../ingest/intake.ts'
import { createDoubt, type LogRange } from '../ingest/log-end.ts'
import type { Marks } from '../ingest/mark-book.ts'
import type { Message } from '../ingest/outputs.ts'
import { createState } from '../ingest/partition.ts'
import { createTurns } from '../ingest/turns.ts'
import { log } from '../log.ts'
import { metrics } from '../metrics.ts'
import { emptyBatch, take as takeInto, type SinkBatch } from './batch.ts'
import type { Destination, Refusal } from './destination.ts'
import { claimSink, leaveSink, moveSink, planBatch, type SinkClaim, type SinkPlace } from './progress.ts'

/**
 * Takes one partition into a destination. The messages of a batch are gathered; then, one batch after the other:
 *   plan (its end is in PostgreSQL) → write (the server has it) → move (the position is behind it).
 * Whoever claims the partition after a death between plan and move finds the plan and writes that very batch again: the
 * same documents under the same ids, the same object under the same name. A process that was frozen and wakes can write
 * only what has been planned for it, so it writes nothing new either.
 * On any error everything in memory is forgotten, `onFailure` asks for a new claim, and the claim waits for the server.
 */
export interface SinkPartition {
  /** resolves to the offset to read from */
  claim(range: LogRange): Promise<number>
  /** these were asked for `from` this offset on */
  take(messages: Message[], from: number): Promise<void>
  /** the log holds nothing to take there: ends of transactions, and what was taken back */
  pass(from: number, to: number): void
  isBacklogged(): boolean
  drained(): Promise<void>
  /** writes what has waited long enough */
  tick(): void
  release(): void
  /** waits for what is being written, and says goodbye; what is only gathered will be read again */
  close(): Promise<void>
  /** first offset not taken yet; null while it is not ours */
  nextOffset(): number | null
}

export interface SinkPartitionOptions {
  database: Database
  destination: Destination
  place: SinkPlace
  owner: string
  decode: Decoder
  onFailure: (error: unknown) => void
  now: () => number
}

/** full batches that wait while one is being written: bounds memory */
const READY_BATCHES = 1
/** Marks are written this often; the log from there on is read again after a claim. */
const MARKS_EVERY_MS = 2000

interface Ready {
  batch: SinkBatch
  marks: { bytes: Uint8Array; version: number } | null
  since: number
}

export function createSinkPartition(options: SinkPartitionOptions): SinkPartition {
  const { database, destination, place, now } = options
  const { topic, partition } = place
  const kind = destination.name.split(':')[0] ?? destination.name
  const decoding = createDecoding<Message>(options.decode, () => undefined)
  const inTurn = createTurns()
  let owned = false
  let closed = false
  /** what PostgreSQL is being asked, or was last: its row may be ours before we hear of it */
  let claiming: Promise<SinkClaim> | null = null
  let epoch = 0
  let logNumber = 0
  const doubt = createDoubt(now)
  /** next_offset as of our last move */
  let taken = 0
  /** how far memory is */
  let position = 0
  let plannedTo: number | null = null
  let marks: Marks = new Map()
  let marksAt = 0
  let gathering = emptyBatch(topic, partition, 0)
  let since = 0
  let ready: Ready[] = []
  let writing: Promise<void> | null = null

  async function takeOver(range: LogRange): Promise<number> {
    await decoding.goOn()
    owned = false
    await writing
    await destination.prepare()
    if (closed) throw new Error(`Cannot claim ${topic}-${partition}: this sink is stopping`)
    claiming = claimSink(database.sql, place, options.owner, range, doubt)
    const claimed = await claiming.catch((error: unknown) => {
      database.renewAfter(error)
      throw error
    })
    if (claimed.gone > 0) log.error('log.gap', { topic, partition, sink: place.sink, messages: claimed.gone })
    const restored = claimed.marks && decodeCheckpoint(claimed.marks.bytes, claimed.marks.version)
    marks = restored?.state.marks ?? new Map()
    epoch = claimed.epoch
    logNumber = claimed.log
    taken = claimed.nextOffset
    plannedTo = claimed.plannedTo
    // Marks of a version that we cannot read: begun anew, from as far back as the log goes.
    position = Math.min(claimed.marks && !restored ? range.low : claimed.marksOffset, taken)
    marksAt = now()
    ready = []
    gathering = emptyBatch(topic, partition, taken, logNumber)
    owned = !closed
    log.info('sink.claimed', {
      topic,
      partition,
      sink: place.sink,
      epoch,
      next_offset: taken,
      planned_to: plannedTo,
    })
    return position
  }

  async function take(messages: Message[], from: number): Promise<void> {
    if (!owned) return
    if (from > position) return fail(new Skipped(`offsets ${position} to ${from - 1} were not handed over`))
    const mine = epoch
    const { fresh, decoded, pending } = await decoding.decode(messages.filter((m) => m.offset >= position))
    for (const [i, message] of fresh.entries()) {
      const is = decoded[i]
      if (!owned || epoch !== mine || !is) return
      if (message.offset < position) continue
      // The last message of a plan may be gone from the log: what follows it is another batch's.
      if (plannedTo !== null && message.offset >= plannedTo) close(plannedTo)
      if (gathering.to === gathering.from) since = now()
      takeInto(marks, message, is, message.offset < taken ? null : gathering)
      position = message.offset + 1
      if (isFull()) close(position)
    }
    if (!pending) return
    if (owned && epoch === mine) fail(pending)
  }

  function pass(from: number, to: number): void {
    if (!owned || from > position || to <= position) return
    if (plannedTo !== null && to >= plannedTo) close(plannedTo)
    if (gathering.to === gathering.from) since = now()
    position = to
    gathering.to = Math.max(gathering.to, to)
  }

  /** A plan is kept to the letter; without one the limits decide. */
  function isFull(): boolean {
    if (plannedTo !== null) return position >= plannedTo
    const { to, from, bytes } = gathering
    return to - from >= destination.limits.messages || bytes >= destination.limits.bytes
  }

  /** The batch gathered so far ends before `to`, with the marks as they are at that moment. */
  function close(to: number): void {
    gathering.to = to
    const due = now() - marksAt >= MARKS_EVERY_MS
    if (due) marksAt = now()
    const encoded = due
      ? { bytes: encodeCheckpoint({ ...createState(), marks }), version: CHECKPOINT_VERSION }
      : null
    ready.push({ batch: gathering, marks: encoded, since })
    gathering = emptyBatch(topic, partition, to, logNumber)
    plannedTo = null
    write()
  }

  function write(): void {
    if (writing || !owned || ready.length === 0) return
    writing = writeAll().finally(() => {
      writing = null
      write()
    })
  }

  async function writeAll(): Promise<void> {
    for (let next = ready.shift(); next && owned; next = ready.shift()) {
      const mine = epoch
      try {
        await writeOne(next)
      } catch (error) {
        if (owned && epoch === mine) fail(error)
        return
      }
    }
  }

  async function writeOne({ batch, marks: encoded, since: began }: Ready): Promise<void> {
    const { log: number, from, to, counters, letters } = batch
    const step = { log: number, from, to, epoch, counters, letters, marks: encoded }
    if (batch.entries.length > 0) {
      await planBatch(database.sql, place, step)
      for (const refusal of await destination.write(batch)) refuse(batch, refusal)
    }
    await moveSink(database.sql, place, step)
    taken = to
    metrics.sunk(kind, topic, partition, counters, (now() - began) / 1000)
    log.debug('sink.written', { topic, partition, sink: place.sink, from, to, readings: counters.stored })
  }

  function fail(error: unknown): void {
    owned = false
    ready = []
    database.renewAfter(error)
    options.onFailure(error)
  }

  return {
    // A claim that ends in the middle of the next would let messages into a state half taken over.
    claim: (range) => inTurn(() => takeOver(range)),
    take,
    pass,
    isBacklogged: () => ready.length >= READY_BATCHES && writing !== null,
    async drained() {
      await writing
    },
    tick() {
      const waits = gathering.to > gathering.from && now() - since >= destination.limits.ageMs
      if (owned && waits && plannedTo === null && ready.length === 0) close(position)
    },
    release() {
      owned = false
      decoding.forget()
    },
    async close() {
      owned = false
      closed = true
      await writing
      // A claim that PostgreSQL grants after the goodbye would take it back.
      const last = await claiming?.catch(() => null)
      const latest = last?.epoch ?? epoch
      if (latest > 0)
        await leaveSink(database.sql, place, latest).catch((error: Error) =>
          log.warn('sink.no_goodbye', { topic, partition, sink: place.sink, error }),
        )
    },
    nextOffset: () => (owned ? taken : null),
  }
}

function refuse(batch: SinkBatch, { offset, reason, message }: Refusal): void {
  const entry = batch.entries.find((e) => e.offset === offset)
  if (!entry) return
  batch.counters.stored -= entry.decoded.readings.length
  batch.counters.dead_lettered++
  const who = { runId: entry.identity?.runId ?? null, seq: entry.identity?.seq ?? null }
  batch.letters.push({ offset, reason, message, source: entry.decoded.source, ...who })
}
