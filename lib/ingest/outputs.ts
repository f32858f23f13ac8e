import type { ClearedAlarm, RaisedAlarm } from '../alarm/alarm.ts'
import type { RawMessage } from '../kafka/records.ts'
import type { Identity } from '../reading.ts'
import { createCopyBuffer, type CopyBuffer } from './copy.ts'
import type { Fact, Fault } from './decode.ts'
import { FLAG } from './flags.ts'
import type { Range } from './marks.ts'
import type { SensorState } from './sensor.ts'

export type Message = RawMessage

export interface Counters {
  stored: number
  dead_lettered: number
  repeated: number
  conflicting: number
  missing: number
  filled: number
  unidentified: number
  late: number
  unknown_fields: number
}

/** A fact with who said it; `isFilled`: late, for a number that had been skipped. */
export interface StatedFact {
  fact: Fact
  runId: string | null
  isFilled: boolean
}

/** A time that cannot be right gives way to that of the log. */
export function stated(fact: Fact, message: Message, identity: Identity | null, flags: number): StatedFact {
  return {
    fact: flags & FLAG.clock ? { ...fact, at: message.appendedAtMs * 1000 } : fact,
    runId: identity ? identity.runId : null,
    isFilled: (flags & FLAG.filled) !== 0,
  }
}

/** What a batch has to store. */
export interface Outputs {
  copy: CopyBuffer
  counters: Counters
  deadLetters: { message: Message; fault: Fault; identity: Identity | null; source: string | null }[]
  raised: RaisedAlarm[]
  cleared: ClearedAlarm[]
  spilled: { source: string; runId: string; ranges: Range[] }[]
  /** ranges taken back from the table into memory: to be deleted there */
  unspilled: { source: string; runId: string }[]
  /** rule books that came into force, and from which offset on */
  activated: { version: number; fromOffset: number }[]
  touched: Set<SensorState>
  /** what messages said of production lines, in the order of the log */
  facts: StatedFact[]
  newestMeasuredAt: number
}

export function createOutputs(): Outputs {
  return {
    copy: createCopyBuffer(),
    counters: {
      stored: 0,
      dead_lettered: 0,
      repeated: 0,
      conflicting: 0,
      missing: 0,
      filled: 0,
      unidentified: 0,
      late: 0,
      unknown_fields: 0,
    },
    deadLetters: [],
    raised: [],
    cleared: [],
    spilled: [],
    unspilled: [],
    activated: [],
    touched: new Set(),
    facts: [],
    newestMeasuredAt: -Infinity,
  }
}

/**
 * Rows alone cost the same in batches from 5,000 on. What is stored beside them (alarms and their messages: some 15 ms of
 * ours and as much of the server's, whatever their number) is cheaper the fewer batches there are.
 */
const BATCH_ROWS = 30_000
const BATCH_FACTS = 10_000
/** thirty thousand plain rows are 3 MB; metadata may be a quarter of a megabyte a row */
const BATCH_BYTES = 16 * 1024 * 1024
/** dead letters are larger and are inserted one by one: a batch of them takes a tenth of a second or two */
const BATCH_LETTERS = 500
const BATCH_LETTER_BYTES = 8 * 1024 * 1024

/** How many transactions' worth has gathered: one is enough to write, a few are enough to wait. */
export function batchesIn(outputs: Outputs): number {
  const { length } = outputs.deadLetters
  const bytes = outputs.deadLetters.reduce((sum, letter) => sum + (letter.message.value?.length ?? 0), 0)
  return Math.max(
    outputs.copy.rows / BATCH_ROWS + outputs.facts.length / BATCH_FACTS,
    outputs.copy.bytes() / BATCH_BYTES,
    length / BATCH_LETTERS,
    bytes / BATCH_LETTER_BYTES,
  )
}

/** Below this a transaction is mostly round trips. */
const WORTHWHILE = 0.4

/** While the log has many more to give at once (`ahead`), a batch waits until it is worth its transaction. */
export function isWorthwhile(outputs: Outputs, ahead: number): boolean {
  return ahead < WORTHWHILE * BATCH_ROWS || batchesIn(outputs) >= WORTHWHILE
}
