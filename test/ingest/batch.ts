import { createRequire } from 'node:module'
import type { Message } from '../../lib/ingest/outputs.ts'
import { walk, type PlainRecords, type Records } from '../../lib/kafka/records.ts'

const require = createRequire(import.meta.url)
const encodeRecord = require('kafkajs/src/protocol/recordBatch/record/v0')
const { RecordBatch: encodeBatch } = require('kafkajs/src/protocol/recordBatch/v0')
const { plainRecords } = require('kafkajs/src/protocol/recordBatch/plainRecords')

/** Messages as the bytes of a record batch, the way a broker hands them out. Their offsets must ascend. */
export async function batchOf(messages: readonly Message[], attributes: object = {}): Promise<Buffer> {
  const [first] = messages
  if (!first) return Buffer.alloc(0)
  const batch = await encodeBatch({
    firstOffset: first.offset,
    firstTimestamp: first.appendedAtMs,
    maxTimestamp: Math.max(...messages.map((m) => m.appendedAtMs)),
    lastOffsetDelta: messages.at(-1)!.offset - first.offset,
    records: messages.map((m) =>
      encodeRecord({
        offsetDelta: m.offset - first.offset,
        timestampDelta: m.appendedAtMs - first.appendedAtMs,
        key: m.key,
        value: m.value,
        headers: m.headers,
      }),
    ),
    ...attributes,
  })
  return Buffer.from(batch.buffer)
}

export function plainOf(bytes: Buffer): PlainRecords {
  return plainRecords(bytes)
}

/** A cursor on these messages, as if they had been fetched. */
export async function fetched(messages: readonly Message[]): Promise<Records> {
  return walk(plainOf(await batchOf(messages)))
}
