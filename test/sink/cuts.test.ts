import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { decodeFactory } from '../../lib/ingest/decode.ts'
import type { Marks } from '../../lib/ingest/mark-book.ts'
import { emptyBatch, take, type SinkBatch } from '../../lib/sink/batch.ts'
import { objectName } from '../../lib/sink/s3.ts'
import { logOf, type Sent } from '../ingest/log.ts'

/** The log cut into batches at these offsets, each taken with the marks as the last one left them. */
function cut(sent: readonly Sent[], at: readonly number[]): SinkBatch[] {
  const marks: Marks = new Map()
  const batches = [emptyBatch('sensor-data', 0, 0)]
  for (const message of logOf(sent)) {
    if (at.includes(message.offset)) batches.push(emptyBatch('sensor-data', 0, message.offset))
    take(marks, message, decodeFactory(message.value), batches.at(-1) as SinkBatch)
  }
  return batches
}

const offsets = (batches: readonly SinkBatch[]) => batches.flatMap((b) => b.entries.map((e) => e.offset))

test('repeats of a producer are dropped, a number that comes late fills its gap, and everything is counted', () => {
  const sent = [1, 2, 2, 5, 1, 3, 3, null].map((seq, at) => ({ seq, at }))
  const [batch] = cut(sent, [])
  expect(offsets([batch as SinkBatch])).toEqual([0, 1, 3, 5, 7])
  expect(batch?.counters).toEqual({ stored: 5, dead_lettered: 0, repeated: 3, missing: 2, filled: 1 })
})

test('a broken message leaves its number open: sent again, it is taken, once', () => {
  const sent: Sent[] = [
    { seq: 1, at: 0 },
    { seq: 2, at: 1, value: 'broken' },
    { seq: 3, at: 2 },
    { seq: 2, at: 3 },
    { seq: 2, at: 4 },
  ]
  const [batch] = cut(sent, [])
  expect(offsets([batch as SinkBatch])).toEqual([0, 2, 3])
  expect(batch?.letters).toMatchObject([
    { offset: 1, reason: 'schema', source: 'temp-1', runId: 'run-1', seq: 2 },
  ])
  expect(batch?.counters).toMatchObject({ stored: 3, dead_lettered: 1, repeated: 1, filled: 1 })
})

test('however the log is cut into batches, the same messages are taken', () => {
  const seq = fc.option(fc.integer({ min: 1, max: 12 }))
  fc.assert(
    fc.property(fc.array(seq, { maxLength: 40 }), fc.array(fc.nat(40), { maxLength: 8 }), (seqs, cuts) => {
      const sent = seqs.map((one, at) => ({ seq: one, at }))
      expect(offsets(cut(sent, cuts))).toEqual(offsets(cut(sent, [])))
    }),
  )
})

test('an object is named by topic, day of the log, partition and first offset', () => {
  const [batch] = cut([{ seq: 1, at: 86_390 }], [])
  expect(objectName({ ...(batch as SinkBatch), from: 1234 })).toBe(
    'sensor-data/2026-01-01/0/00000000000000001234',
  )
})
