import { Fault, type Decoded } from '../ingest/decode.ts'
import { identityOf } from '../ingest/identity.ts'
import { markOf, mayOpenMark, sourceFromKey, type Marks } from '../ingest/mark-book.ts'
import { leaveOpen, place, type Mark, type Range } from '../ingest/marks.ts'
import { contentDigest } from '../ingest/digest.ts'
import type { Message } from '../ingest/outputs.ts'
import type { Identity } from '../reading.ts'
import type { SinkCounters, SinkLetter } from './progress.ts'

/** One message that goes into the sink. */
export interface Entry {
  offset: number
  /** when the broker appended it, milliseconds since 1970: the log's own clock */
  appendedAtMs: number
  identity: Identity | null
  decoded: Decoded
}

/** Messages `from` to before `to` of one partition, as a sink writes them: a function of the log, not of the hour. */
export interface SinkBatch {
  topic: string
  partition: number
  /** how many logs of the topic came before this one: it was made anew, and that was accepted */
  log: number
  from: number
  to: number
  entries: Entry[]
  letters: SinkLetter[]
  counters: SinkCounters
  /** of the messages' values */
  bytes: number
}

/** open ranges of one source and run that are kept; an older gap can no longer be filled in the sink */
const MAX_OPEN = 1000

export function emptyBatch(topic: string, partition: number, from: number, log = 0): SinkBatch {
  const counters = { stored: 0, dead_lettered: 0, repeated: 0, missing: 0, filled: 0 }
  return { topic, partition, log, from, to: from, entries: [], letters: [], counters, bytes: 0 }
}

/**
 * Moves the marks by one message, as the consumer does for PostgreSQL, and puts it where it belongs: into the batch, among
 * its letters, or nowhere where a producer has sent it before. Without a batch the marks alone are moved.
 */
export function take(
  marks: Marks,
  message: Message,
  decoded: Decoded | Fault,
  batch: SinkBatch | null,
): void {
  const identity = identityOf(message.headers)
  if (batch) batch.to = message.offset + 1
  if (decoded instanceof Fault) {
    const source = sourceFromKey(message.key)
    if (identity && source && mayOpenMark(marks, source, identity.runId)) {
      const mark = markOf(marks, source, identity.runId)
      count(batch, 'missing', leaveOpen(mark, identity.seq))
      forgetOldest(mark)
    }
    if (!batch) return
    batch.counters.dead_lettered++
    const { reason, message: why } = decoded
    const who = { runId: identity?.runId ?? null, seq: identity?.seq ?? null }
    batch.letters.push({ offset: message.offset, reason, message: why, source, ...who })
    return
  }
  if (decoded.readings.length === 0 || decoded.isCounted) return // signs of life are counted in PostgreSQL alone
  if (identity) {
    const mark = markOf(marks, decoded.source, identity.runId)
    const is = place(mark, identity.seq, contentDigest(decoded.readings))
    if (is.kind === 'repeat') {
      if (batch) batch.counters.repeated++
      return
    }
    if (is.kind === 'filled' && batch) batch.counters.filled++
    if (is.kind === 'new') count(batch, 'missing', is.skipped)
    forgetOldest(mark)
  }
  if (!batch) return
  batch.counters.stored += decoded.readings.length
  batch.bytes += message.value?.length ?? 0
  batch.entries.push({ offset: message.offset, appendedAtMs: message.appendedAtMs, identity, decoded })
}

function count(batch: SinkBatch | null, name: 'missing', range: Range | null): void {
  if (batch && range) batch.counters[name] += range.to - range.from + 1
}

function forgetOldest(mark: Mark): void {
  if (mark.missing.length > MAX_OPEN) mark.missing.splice(0, mark.missing.length - MAX_OPEN)
}
