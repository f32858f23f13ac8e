import type { Books } from '../alarm/books.ts'
import type { Database } from '../db/connect.ts'
import type { Records } from '../kafka/records.ts'
import { log } from '../log.ts'
import { metrics } from '../metrics.ts'
import { createCheckpointPace } from './checkpoint-pace.ts'
import { claimPartition } from './claim.ts'
import { decodeFactory, type Decoded, type Decoder, type Fault } from './decode.ts'
import { createDecoding } from './decoding.ts'
import { createIntake } from './intake.ts'
import { createDoubt, type LogRange } from './log-end.ts'
import { createRulesInForce } from './in-force.ts'
import { identityOf } from './identity.ts'
import { sensorNumbers, type KeyCache } from './keys.ts'
import type { Range } from './marks.ts'
import { createNotices } from './notices.ts'
import { batchesIn, createOutputs, isWorthwhile, type Message, type Outputs } from './outputs.ts'
import { createProcessor, createState, type PartitionState } from './partition.ts'
import { inSilence, prepare, type Beat } from './prepare.ts'
import { createShowing } from './showing.ts'
import { createSilenceWatch } from './silent.ts'
import { createStats, noteBatch, type WorkerStats } from './stats.ts'
import { readGaps, storeBatch } from './store.ts'
import { createSuspects } from './suspects.ts'
import { createTurns } from './turns.ts'

/**
 * Stores one partition. States:
 *   unclaimed → claim() → owned: take() moves the state in memory, one writer at a time stores what has gathered;
 *   owned → any error while storing → failed: nothing in memory counts any more, `onFailure` asks for a new claim;
 *   any → release() → unclaimed.
 * Invariants: `stored` is next_offset in the database as of our last COMMIT; `position` ≥ `stored` is how far memory
 * is; a checkpoint is only written together with the offset that it belongs to.
 */
export interface Worker {
  /** takes the partition over; resolves to the offset to read from; rejects with the reason why not */
  claim(range: LogRange): Promise<number>
  /** moves by these messages; returns before they are stored */
  take(messages: Message[]): Promise<void>
  /** the same for records as they were fetched, at most so many, of a log up to `high`; resolves to the last one's offset */
  takeRecords(records: Records, most: number, high: number, beat?: Beat): Promise<number>
  /** the log holds nothing to take there: ends of transactions, and what was taken back */
  pass(from: number, to: number): void
  /** rows that wait for the writer: above the bound the caller waits for `drained` */
  isBacklogged(): boolean
  drained(): Promise<void>
  /** does what is due by time alone: newest values, checkpoint, a new rule book, sensors that have gone silent */
  tick(): void
  /** what is gathered is stored, with a checkpoint; afterwards the worker is unclaimed */
  close(): Promise<void>
  /** the partition is somebody else's now: forget everything */
  release(): void
  /** first offset not stored yet, as of our last COMMIT; null while unclaimed */
  nextOffset(): number | null
  readonly stats: WorkerStats
}

export interface WorkerOptions {
  database: Database
  keys: KeyCache
  clusterId: string
  topic: string
  partition: number
  consumerId: string
  decode: Decoder
  books: Books
  alertTopic: string
  maxSensors: number
  /** the log has nothing more for us, and we would know */
  isCaughtUp: () => boolean
  onFailure: (error: unknown) => void
  now: () => number
}

const BACKLOG_BATCHES = 2 // wait while a transaction runs: rows of a few MB a partition, 32 MiB at the most (outputs.ts)

export function createWorker(options: WorkerOptions): Worker {
  const { database, keys, clusterId, topic, partition, consumerId, now } = options
  const place = { clusterId, topic, partition }
  let owned = false
  const doubt = createDoubt(now)
  let epoch = 0
  let stored = 0
  let position = 0
  let state: PartitionState = createState()
  let outputs: Outputs = createOutputs()
  let topicKey = 0
  const showing = createShowing(now)
  let numbers = sensorNumbers(keys)
  let writing: Promise<void> | null = null
  let gathered = 0 // messages in outputs
  let gatheredAt = 0 // when the first row of them was taken
  let alone = false // the last batch went without newest values and checkpoint
  const pace = createCheckpointPace(now)
  const suspects = createSuspects()
  const decoding = createDecoding<Message>(options.decode, suspects.verdict)
  const stats = createStats()
  const inTurn = createTurns()
  const inForce = createRulesInForce(options.books, (...activation) => processor.activate(...activation))
  const silence = createSilenceWatch(options)
  const hold = () => (owned ? { epoch, position } : null)
  const intake = createIntake({ run, take: takeMessages, hold, fail, now })
  const notices = createNotices(database, consumerId, topic, partition)
  const hasForms = options.decode === decodeFactory
  let processor = newProcessor()

  function newProcessor() {
    const out = () => (position < stored ? null : outputs)
    return createProcessor(state, out, { topic, partition, topicKey }, numbers, consumerId, hasForms)
  }

  /** Every question of a claim may be the one that meets a dead connection. */
  async function claim(range: LogRange): Promise<number> {
    // A claim that ends in the middle of the next would let messages into a state half taken over.
    return inTurn(() => takeOver(range)).catch((error: unknown) => {
      database.renewAfter(error)
      throw error
    })
  }

  async function takeOver(range: LogRange): Promise<number> {
    await decoding.goOn()
    write()
    await writing
    const held = owned && position === stored ? { epoch, nextOffset: stored } : null
    owned = false
    if (!held) await keys.load()
    if (!held) numbers = sensorNumbers(keys)
    const topicNumber = await keys.topic(topic)
    const taken = await claimPartition(database.sql, place, consumerId, range, held, doubt)
    if (taken.notice) await notices.tell(taken.notice)
    if (taken.state) {
      taken.state.rules = await inForce.load(taken.rules)
      state = taken.state
      outputs = createOutputs()
      gathered = 0
      showing.restart(state.sensors.values())
      position = taken.readFrom
    }
    if (taken.nextOffset < stored) suspects.forgetAll()
    epoch = taken.epoch
    stored = taken.nextOffset
    topicKey = topicNumber
    processor = newProcessor()
    // Never judged before: the first book is in force from the first message on, also of what is read again.
    if (state.rules.version === 0 && !inForce.isPending()) inForce.takeNewest(state.rules, position, outputs)
    await silence.claimed()
    if (taken.state) pace.keptAt(taken.readFrom)
    owned = true
    log.info('partition.claimed', { topic, partition, epoch, next_offset: stored, read_from: position })
    return position
  }

  function useRules(): void {
    if (owned && position >= stored && inForce.takeNewest(state.rules, position, outputs))
      log.info('rules.activated', { topic, partition, version: state.rules.version, from_offset: position })
  }

  async function takeMessages(messages: Message[], beat: Beat): Promise<void> {
    const mine = epoch
    const wanted = messages.filter((m) => m.offset >= position)
    const { fresh, decoded, pending } = await decoding.decode(wanted)
    const identities = fresh.map((m) => identityOf(m.headers))
    const where = { keys, numbers: numbers.known, maxSensors: options.maxSensors, state, gaps, beat }
    try {
      const fetched = await prepare(where, decoded, identities)
      if (fetched.length > 0) pace.force()
      outputs.unspilled.push(...fetched)
    } catch (error) {
      if (owned && epoch === mine) fail(error)
      return
    }
    useRules()
    for (const [i, message] of fresh.entries()) {
      if (!owned || epoch !== mine) return
      if (message.offset < position) continue
      inForce.follow(message.offset)
      if (outputs.copy.rows === 0) gatheredAt = now()
      position = message.offset // offsets may skip: what decides about suppressing is this message's own
      processor.process(message, decoded[i] as Decoded | Fault, identities[i] ?? null)
      if (position >= stored) gathered++
      position = message.offset + 1
      stats.processed++
      if (suspects.isStoredAlone(position) && position > stored) {
        write()
        await writing
      }
    }
    if (!pending) return
    finish()
    await writing // what came before it is stored
    if (owned && epoch === mine) options.onFailure(pending)
  }

  /** Records of known form move the state where they lie, unless the long way has something to find out. */
  function run(records: Records, most: number): number {
    while (records.standing && records.offset < position) records.next()
    if (!owned || !hasForms || inForce.isPending()) return 0
    if (!records.standing || suspects.isStoredAlone(records.offset + 1)) return 0
    if (outputs.copy.rows === 0) gatheredAt = now()
    position = records.offset
    const isNew = position >= stored
    const count = processor.run(records, most, isNew ? Infinity : stored)
    if (count > 0) position = records.last + 1
    if (isNew) gathered += count
    stats.processed += count
    return count
  }

  function finish(): void {
    processor.settle()
    write()
  }

  async function gaps(source: string, runId: string): Promise<Range[]> {
    // What we spilled ourselves is in the table only after its batch is stored.
    while (owned && (writing || outputs.spilled.length > 0)) {
      write()
      await writing
    }
    return readGaps(database.sql, topic, partition, source, runId)
  }

  function write(): void {
    if (!owned || writing || !isDue()) return
    writing = writeAll().finally(() => {
      writing = null
    })
  }

  function isDue(): boolean {
    if (position < stored) return false // still reading the log again: nothing of it is new
    return position > stored || outputs.activated.length > 0 || showing.isDue() || pace.isDue(position)
  }

  async function writeAll(): Promise<void> {
    while (owned && isDue()) await writeOnce(false)
  }

  async function writeOnce(final: boolean): Promise<void> {
    const mine = epoch
    const started = now()
    const batch = outputs
    const next = position
    const count = gathered // offsets may skip
    gathered = 0
    outputs = createOutputs()
    showing.add(batch.touched)
    if (batch.spilled.length > 0) pace.force()
    // What can wait is left to the next batch, once: no alarm waits for it.
    alone = batch.raised.length > 0 && !alone && !final && !pace.isForced()
    const latest = alone ? [] : showing.take(batch.copy.rows > 0, final)
    const checkpoint = final || (!alone && pace.isDue(position)) ? pace.encode(state) : null
    const waitedMs = batch.copy.rows > 0 ? started - gatheredAt : 0
    try {
      await storeBatch(database.sql, {
        position: { ...place, expected: stored, next, epoch },
        outputs: batch,
        checkpoint,
        latest,
        topicKey,
        detectedBy: consumerId,
        alertTopic: options.alertTopic,
        groups: state.rules.book.groups,
      })
    } catch (error) {
      if (owned && epoch === mine) {
        suspects.note(error, next, count)
        fail(error)
      }
      return
    }
    stored = next
    if (checkpoint) {
      pace.keptAt(next)
      suspects.forgetBefore(next)
    }
    if (latest.length > 0) showing.told()
    const batchMs = now() - started + waitedMs
    metrics.stored(topic, partition, batch, batchMs, noteBatch(stats, batch, batchMs, now()))
    log.debug('batch.stored', { topic, partition, count, next_offset: next, ms: Math.round(now() - started) })
  }

  /** In a transaction of its own, guarded like a batch; no batch is written meanwhile. */
  function watchSilence(): void {
    const mine = epoch
    const guard = { ...place, expected: stored, next: stored, epoch }
    writing = silence
      .check(state, guard)
      .catch((error: unknown) => {
        if (owned && epoch === mine) fail(error)
      })
      .finally(() => {
        writing = null
        write()
      })
  }

  /** Where taking throws, a mark may have moved past what was never put out: memory counts no more. */
  function guarded<T>(taking: Promise<T>): Promise<T> {
    return taking.catch((error: unknown) => {
      if (owned) fail(error)
      throw error
    })
  }

  function fail(error: unknown): void {
    owned = false
    database.renewAfter(error)
    options.onFailure(error)
  }

  return {
    claim,
    take: (messages) => guarded(takeMessages(messages, inSilence)).then(finish),
    async takeRecords(records, most, high, beat = inSilence) {
      const last = await guarded(intake(records, most, beat))
      if (isWorthwhile(outputs, high - position)) finish() // if not, tick() bounds the wait
      return last
    },
    pass(from, to) {
      if (!owned || from > position || to <= position) return
      position = to
      finish()
    },
    isBacklogged: () => batchesIn(outputs) >= (writing ? BACKLOG_BATCHES : 1),
    async drained() {
      await writing
    },
    tick() {
      useRules()
      if (state.relearning.size > 0) notices.tellRelearning(state.relearning)
      write()
      if (owned && !writing && position === stored && options.isCaughtUp()) watchSilence()
    },
    async close() {
      await writing
      if (owned && position >= stored) await writeOnce(true)
      owned = false
    },
    release() {
      owned = false
      decoding.forget()
    },
    nextOffset: () => (owned ? stored : null),
    stats,
  }
}
