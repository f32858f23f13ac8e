import type { Carried, Measured } from '../fleet/fleet.ts'
import { log } from '../log.ts'
import { sleep } from '../run.ts'
import { createCommitter, type SpoolException, type Totals } from './commit.ts'
import { readFrames, type SpooledMessage } from './frame.ts'
import { createGroup, refusal, type Group, type Refused } from './group.ts'
import { createLines, type Chunk } from './lines.ts'
import { loadRegister } from './register.ts'
import { openStore } from './store.ts'

/**
 * What is accepted and not yet sent, on the disk. `accept` resolves after the commit: from then on a reading survives
 * the process and the power. Writers share commits: an idle spool commits at once, a busy one what has gathered.
 *
 * States: open (accepts) → blocked (the disk refuses, or there is no room and the policy is to wait; `accept` waits, and
 * says nothing that isn't so) → open. Numbers are given in the order of acceptance and never again; the sender takes
 * whole chunks of one topic-partition in order, one batch of it at a time, and a chunk goes only after `done`.
 * A crash in between sends it again: the consumer removes repeats by run and number.
 */
export interface Spool {
  readonly runId: string
  /** memos of messages that were accepted before this process, the newest of each name */
  readonly memos: ReadonlyMap<string, string>
  accept(batch: readonly Measured<Carried>[]): Promise<void>
  /** the oldest unsent messages of a topic-partition; null where there are none or where the last batch is not done */
  take(topic: string, partition: number): Batch | null
  /** Kafka has these, apart from those that it refused for good */
  done(batch: Batch, refused?: readonly { message: SpooledMessage; reason: string }[]): void
  /** topic-partitions that have had something to send */
  lines(): { topic: string; partition: number }[]
  /** calls with the topic-partition of whatever becomes ready to send */
  onReady(listener: (topic: string, partition: number) => void): void
  state(): SpoolState
  /** dead letters that PostgreSQL doesn't have yet, oldest first */
  refusals(limit: number): Refusal[]
  /** PostgreSQL has these */
  forgetRefusals(refusals: readonly Refusal[]): void
  /** resolves when everything accepted so far is sent or given up, or when the signal aborts */
  drained(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export interface Batch {
  topic: string
  partition: number
  chunks: readonly Chunk[]
  messages: readonly SpooledMessage[]
}

export interface Refusal extends Omit<Refused, 'sensors'> {
  refusal: number
}

export interface SpoolState extends Totals {
  spooled: number
  spoolBytes: number
  oldestSpooledAtMs: number | null
  /** why accept waits; null where it doesn't */
  blocked: string | null
}

export interface SpoolOptions {
  directory: string
  producerId: string
  maxBytes: number
  whenFull: 'block' | 'drop-oldest'
  partitionOf: (topic: string, key: string) => number
  /** how long the ledger remembers; longer than the database keeps readings, else what is stored has no origin */
  ledgerMs?: number
  onDropped?: (count: number, topic: string, partition: number) => void
}

/** Busy means: less than this since the last commit. A commit costs the disk a flush, whatever is in it. */
const LINGER_MS = 5
/** Deletions wait for the next commit, but no longer than this: longer than a plant's scan, so that they cost none of their own. */
const DELETE_AFTER_MS = 1500
/** One commit takes at most so many, to keep the others waiting for milliseconds only. */
const GROUP_MESSAGES = 5000
const GROUP_BYTES = 4 * 1024 * 1024
const SEND_MESSAGES = 1000
const SEND_BYTES = 512 * 1024
const RETRY_MS = { first: 200, last: 5000 } // between attempts to commit on a disk that refuses

interface Waiter {
  batch: readonly Measured<Carried>[]
  taken: number
  resolve: () => void
  reject: (error: unknown) => void
}

export function openSpool(options: SpoolOptions): Spool {
  const store = openStore(options.directory, options.producerId)
  const { db, runId } = store
  const commit = createCommitter(db, options.ledgerMs ?? Infinity)
  const register = loadRegister(db, options.partitionOf)
  const lines = createLines()
  const listeners: ((topic: string, partition: number) => void)[] = []
  const totals = db.query<Totals, []>('select accepted, sent, dropped, rejected from totals').get() as Totals
  const payloadOf = db.query<{ payload: Uint8Array }, [number]>('select payload from chunks where chunk = ?')
  const oldestRefusals = db.query<Refusal, [number]>(
    'select refusal, topic, key, seq, reason, message, value, value_bytes as "valueBytes", value_sha256 as "valueSha256" from refused order by refusal limit ?',
  )
  const chunkRows = db.query<Chunk, []>(
    'select chunk, topic, partition, messages, accepted_at as "acceptedAtMs", bytes from chunks order by chunk',
  )
  const memoRows = db.query<{ name: string; text: string }, []>('select name, text from memos').all()
  for (const chunk of chunkRows.iterate()) lines.add({ ...chunk })

  const waiters: Waiter[] = []
  let gone: number[] = []
  let exceptions: SpoolException[] = []
  let refused: Refused[] = []
  let written: number[] = []
  let blocked: string | null = null
  let lastCommitAt = -Infinity
  let writing: Promise<void> | null = null
  let timer: ReturnType<typeof setTimeout> | null = null
  let timerAt = 0
  let closing = false
  const idle: (() => void)[] = []

  const maxBytes = Math.max(options.maxBytes, 1024 * 1024) // one chunk of any size must fit
  const hasRoom = (group: Group) => lines.bytes + group.bytes < maxBytes
  const hasWork = () => waiters.length > 0 || hasChanges()
  const hasChanges = () => gone.length + exceptions.length + refused.length + written.length > 0

  /** Writes in `afterMs`, or earlier where that was asked for already. */
  function wake(afterMs: number): void {
    const at = performance.now() + afterMs
    if (writing || (timer && timerAt <= at)) return
    if (timer) clearTimeout(timer)
    timerAt = at
    timer = setTimeout(() => {
      timer = null
      writing = writeAll().finally(() => {
        writing = null
        if (closing) return
        if (waiters.length > 0 && !blocked) wake(0)
        else if (hasChanges()) wake(DELETE_AFTER_MS)
      })
    }, afterMs)
  }

  /** Commits until nothing waits, or until there is no room. */
  async function writeAll(): Promise<void> {
    while (hasWork()) {
      const group = createGroup(register, runId)
      const served = fill(group)
      if (group.messages === 0 && served.length === 0 && !hasChanges()) return setBlocked('the spool is full')
      try {
        await commitStubbornly(group)
      } catch (error) {
        return [...served, ...waiters.splice(0)].forEach((waiter) => waiter.reject(error))
      }
      if (waiters.length === 0) setBlocked(null)
      for (const waiter of served) waiter.resolve()
      await Bun.sleep(0) // the sender and the timers have their turn between two commits
    }
  }

  /** Moves waiting messages into the group as long as there is room. Returns the waiters that are now served. */
  function fill(group: Group): Waiter[] {
    const served: Waiter[] = []
    for (let waiter = waiters[0]; waiter; waiter = waiters[0]) {
      while (waiter.taken < waiter.batch.length) {
        if (group.messages >= GROUP_MESSAGES || group.bytes >= GROUP_BYTES) return served
        if (!hasRoom(group) && !(options.whenFull === 'drop-oldest' && dropOldest())) return served
        try {
          group.add(waiter.batch[waiter.taken] as Measured<Carried>)
        } catch (error) {
          waiter.reject(error) // what was accepted before it stays accepted
          break
        }
        waiter.taken++
      }
      waiters.shift()
      served.push(waiter)
    }
    return served
  }

  /** A disk that refuses is asked again and again: what can't be written is not accepted, and nobody is told so. */
  async function commitStubbornly(group: Group): Promise<void> {
    const tooLarge = group.refused.flatMap((r) => r.sensors.map((s) => exceptionOf(s, r.seq, 'rejected')))
    for (let waitMs = RETRY_MS.first; ; waitMs = Math.min(waitMs * 2, RETRY_MS.last)) {
      const after = {
        ...totals,
        accepted: totals.accepted + group.messages,
        rejected: totals.rejected + group.refused.length,
      }
      try {
        const chunks = commit({
          group,
          gone,
          exceptions: [...exceptions, ...tooLarge],
          refused: [...refused, ...group.refused],
          written,
          totals: after,
          atMs: Date.now(),
        })
        Object.assign(totals, after)
        gone = []
        exceptions = []
        refused = []
        written = []
        lastCommitAt = performance.now()
        chunks.forEach(lines.add)
        for (const { topic, partition } of chunks) listeners.forEach((tell) => tell(topic, partition))
        if (lines.messages === 0 && waiters.length === 0) idle.splice(0).forEach((resolve) => resolve())
        return
      } catch (error) {
        if (closing) throw error
        setBlocked(`the disk refuses: ${error instanceof Error ? error.message : String(error)}`)
        log.error('spool.commit_failed', { error, waiting: waiters.length, retry_ms: waitMs })
        await sleep(waitMs)
      }
    }
  }

  /** Gives up the oldest chunk that is not on its way; each of its readings is named in the ledger. */
  function dropOldest(): boolean {
    const chunk = lines.dropOldest()
    if (!chunk) return false
    const ranges = new Map<number, SpoolException>()
    for (const { seq, sensors } of messagesOf(chunk)) {
      for (const sensor of sensors) {
        const open = ranges.get(sensor)
        if (open && open.toSeq + 1 === seq) {
          open.toSeq = seq
          continue
        }
        const range = exceptionOf(sensor, seq, 'dropped')
        ranges.set(sensor, range)
        exceptions.push(range)
      }
    }
    gone.push(chunk.chunk)
    totals.dropped += chunk.messages
    options.onDropped?.(chunk.messages, chunk.topic, chunk.partition)
    return true
  }

  function setBlocked(reason: string | null): void {
    if ((reason === null) !== (blocked === null)) {
      if (reason) log.warn('spool.blocked', { reason, spooled: lines.messages, bytes: lines.bytes })
      else log.info('spool.unblocked', { spooled: lines.messages, bytes: lines.bytes })
    }
    blocked = reason
  }

  function messagesOf(chunk: Chunk): SpooledMessage[] {
    const row = payloadOf.get(chunk.chunk)
    if (!row) throw new Error(`Cannot read chunk ${chunk.chunk} of the spool: it is not there`)
    return readFrames(row.payload)
  }

  return {
    runId,
    memos: new Map(memoRows.map(({ name, text }) => [name, text])),
    accept(batch) {
      if (closing) return Promise.reject(new Error('Cannot accept readings: the spool is closed'))
      if (batch.length === 0) return Promise.resolve()
      return new Promise((resolve, reject) => {
        waiters.push({ batch, taken: 0, resolve, reject })
        if (!blocked) wake(Math.max(0, LINGER_MS - (performance.now() - lastCommitAt)))
      })
    },
    take(topic, partition) {
      const chunks = lines.take(topic, partition, SEND_MESSAGES, SEND_BYTES)
      if (!chunks) return null
      return { topic, partition, chunks, messages: chunks.flatMap(messagesOf) }
    },
    done(batch, refusedNow = []) {
      if (closing) return // too late to be written down: it is sent again
      lines.remove(batch.chunks)
      for (const chunk of batch.chunks) gone.push(chunk.chunk)
      totals.sent += batch.messages.length - refusedNow.length
      totals.rejected += refusedNow.length
      for (const { message, reason } of refusedNow) {
        const stream = { topic: batch.topic, key: message.key.toString() }
        refused.push(
          refusal(stream, message.seq, message.sensors, message.value, 'refused_by_broker', reason),
        )
        for (const sensor of message.sensors) exceptions.push(exceptionOf(sensor, message.seq, 'rejected'))
      }
      wake(waiters.length > 0 || idle.length > 0 ? 0 : DELETE_AFTER_MS)
    },
    lines: () => [...lines.all()].map(({ topic, partition }) => ({ topic, partition })),
    onReady(listener) {
      listeners.push(listener)
    },
    state: () => ({
      ...totals,
      spooled: lines.messages,
      spoolBytes: lines.bytes,
      oldestSpooledAtMs: lines.oldestAtMs(),
      blocked,
    }),
    refusals: (limit) => oldestRefusals.all(limit),
    forgetRefusals(done) {
      written.push(...done.map((r) => r.refusal))
      wake(0)
    },
    async drained(signal) {
      if (lines.messages === 0 && waiters.length === 0 && !writing) return
      await new Promise<void>((resolve) => {
        idle.push(resolve)
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    },
    async close() {
      if (closing) return
      closing = true
      if (timer) clearTimeout(timer)
      timer = null
      await writing
      if (hasChanges()) await commitStubbornly(createGroup(register, runId))
      for (const waiter of waiters.splice(0)) {
        waiter.reject(new Error('Cannot accept readings: the spool is closed'))
      }
      store.close()
    },
  }
}

function exceptionOf(
  sensor: number,
  seq: number,
  disposition: SpoolException['disposition'],
): SpoolException {
  return { sensor, fromSeq: seq, toSeq: seq, disposition }
}
