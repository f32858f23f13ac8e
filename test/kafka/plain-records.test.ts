import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createRequire } from 'node:module'
import { keepHeaders } from '../../lib/ingest/headers.ts'
import { identityOf } from '../../lib/ingest/identity.ts'
import type { Message } from '../../lib/ingest/outputs.ts'
import { walk } from '../../lib/kafka/records.ts'
import { batchOf, plainOf } from '../ingest/batch.ts'

/**
 * Record batches that stay bytes until somebody asks: our patch of the library finds them, our cursor walks over them. Both
 * are held to the library's decoder of batches, which stock.test.ts holds to the published one.
 */
const require = createRequire(import.meta.url)
const Batch = require('kafkajs/src/consumer/batch')
const Decoder = require('kafkajs/src/protocol/decoder')
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder')
const decodeMessages = require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages')

const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const APPEND_TIME = 0x8

const bytes = fc.uint8Array({ maxLength: 200, size: 'max' }).map((b) => Buffer.from(b))
const name = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.constantFrom('__proto__', 'constructor', 'run-id', 'seq'),
)
const drafts = fc.array(
  fc.record({
    skip: fc.nat(3),
    delay: fc.integer({ min: -5_000_000, max: 5_000_000_000 }),
    key: fc.option(bytes),
    value: fc.option(bytes),
    headers: fc.array(fc.tuple(name, fc.oneof(bytes, fc.array(bytes, { minLength: 2, maxLength: 3 }))), {
      maxLength: 4,
    }),
  }),
  { minLength: 1, maxLength: 20 },
)

/** Batches one after another, as a log has them: offsets ascend, with gaps where compaction has been. */
const logs = fc
  .tuple(fc.integer({ min: 0, max: 2 ** 45 }), fc.array(drafts, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([base, batches, stamped]) => {
    let offset = base
    const messages = batches.map((batch) =>
      batch.map(({ skip, delay, headers, ...rest }): Message => {
        offset += 1 + skip
        return { ...rest, offset, appendedAtMs: 1.79e12 + delay, headers: Object.fromEntries(headers) }
      }),
    )
    return { messages, stamped }
  })

async function bytesOf({ messages, stamped }: { messages: Message[][]; stamped: boolean }): Promise<Buffer> {
  const batches = await Promise.all(messages.map((m) => batchOf(m)))
  if (stamped) for (const batch of batches) batch.writeInt16BE(APPEND_TIME, 21)
  return Buffer.concat(batches)
}

async function decodedByTheLibrary(all: Buffer): Promise<any[]> {
  const decoder = new Decoder(all)
  const records = []
  while (decoder.canReadBytes(61)) records.push(...(await decodeBatch(decoder)).records)
  return records
}

/** what the fetch of the library makes of these bytes */
const messagesOf = (all: Buffer) => {
  const size = Buffer.alloc(4)
  size.writeInt32BE(all.length)
  return decodeMessages(new Decoder(Buffer.concat([size, all])))
}

const batchFrom = async (all: Buffer, fetchedOffset: number) =>
  new Batch('t', String(fetchedOffset), {
    partition: 0,
    highWatermark: '9007199254740000',
    abortedTransactions: [],
    messages: await messagesOf(all),
  })

describe('plain records', () => {
  test('are decoded to what the library decodes', async () => {
    await fc.assert(
      fc.asyncProperty(logs, async (log) => {
        const all = await bytesOf(log)
        expect((await batchFrom(all, 0)).messages).toEqual(await decodedByTheLibrary(all))
      }),
      { numRuns: 100 },
    )
  })

  test('are walked over with the same keys, values, headers, times and offsets', async () => {
    await fc.assert(
      fc.asyncProperty(logs, async (log) => {
        const all = await bytesOf(log)
        const walked = []
        for (const records = walk(plainOf(all)); records.standing; records.next())
          walked.push(records.message())
        expect(
          walked.map(({ headerBytes: _bytes, headers, ...m }) => ({ ...m, headers: own(headers) })),
        ).toEqual(
          (await decodedByTheLibrary(all)).map((m) => ({
            offset: Number(m.offset),
            appendedAtMs: Number(m.timestamp),
            key: m.key,
            value: m.value,
            headers: own(m.headers),
          })),
        )
      }),
      { numRuns: 100 },
    )
  })

  test('a batch of them tells what an undecoded one tells: wherever the fetch began', async () => {
    await fc.assert(
      fc.asyncProperty(logs, fc.nat(), async (log, place) => {
        const all = await bytesOf(log)
        const decoded = await decodedByTheLibrary(all)
        const at = Number(decoded[place % decoded.length].offset) + (place % 3) - 1
        const data = { partition: 0, highWatermark: '9007199254740000', abortedTransactions: [] }
        const plain = await batchFrom(all, at)
        const eager = new Batch('t', String(at), { ...data, messages: decoded })
        expect(plain.records).toBeDefined()
        for (const question of QUESTIONS)
          expect([question, plain[question]()]).toEqual([question, eager[question]()])
        expect(plain.records.length).toBe(eager.messages.length)
        expect(plain.messages).toEqual(eager.messages)
        const walked = []
        for (const records = walk(plain.records); records.standing; records.next())
          walked.push(records.offset)
        expect(walked).toEqual(eager.messages.map((m: { offset: string }) => Number(m.offset)))
      }),
      { numRuns: 200 },
    )
  })

  test('a batch that the fetch cut off is left for the next fetch', async () => {
    const [first, second] = [message(5), message(6)]
    const all = Buffer.concat([await batchOf([first]), await batchOf([second])])
    for (const missing of [1, 40, 61, 70]) {
      const cut = await batchFrom(all.subarray(0, all.length - missing), 5)
      expect(cut.messages.map((m: { offset: string }) => m.offset)).toEqual(['5'])
    }
  })

  test.each([
    [1, 'compressed', { compression: 1 }, null],
    [2, 'of a transaction', {}, TRANSACTIONAL],
    [3, 'a control batch', {}, TRANSACTIONAL | CONTROL],
  ])(
    '%d. %s: nothing is plain, and the library decodes as ever',
    async (_number, _what, options, attributes) => {
      const odd = await batchOf([message(6)], options)
      if (attributes !== null) odd.writeInt16BE(attributes, 21)
      const all = Buffer.concat([await batchOf([message(5)]), odd])
      const batch = await batchFrom(all, 5)
      expect(batch.records).toBeUndefined()
      const isControl = attributes !== null && (attributes & CONTROL) !== 0
      expect(batch.messages.map((m: { offset: string }) => m.offset)).toEqual(isControl ? ['5'] : ['5', '6'])
      expect(batch.lastOffset()).toBe('6')
    },
  )

  test('aborted messages stay hidden', async () => {
    const aborted = await batchOf([message(6)])
    aborted.writeInt16BE(TRANSACTIONAL, 21)
    aborted.writeBigInt64BE(77n, 43)
    const all = Buffer.concat([await batchOf([message(5)]), aborted])
    const batch = new Batch('t', '5', {
      partition: 0,
      highWatermark: '9',
      abortedTransactions: [{ producerId: '77', firstOffset: '6' }],
      messages: await messagesOf(all),
    })
    expect(batch.messages.map((m: { offset: string }) => m.offset)).toEqual(['5'])
  })

  test('a header without a value is no identity, and no reason to stop', async () => {
    const batch = await batchOf([
      { ...message(5), headers: { 'run-id': Buffer.from('r'), seq: Buffer.alloc(0) } },
    ])
    batch[batch.length - 1] = 1 // length −1 instead of 0: our own client cannot send such a one, others can
    const { headers } = walk(plainOf(batch)).message()
    expect(headers?.seq).toBeNull()
    expect((await batchFrom(batch, 5)).messages[0].headers.seq).toBeNull()
    expect(identityOf(headers)).toBeNull()
    expect(keepHeaders(headers).kept).toEqual({ 'run-id': 'r', seq: '' })
  })

  test('bytes that are none end in a RangeError, never in a loop', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        fc.integer({ min: 1, max: 50 }),
        (junk, count) => {
          const buffer = Buffer.from(junk)
          const batch = { from: 0, end: buffer.length, count, base: 0, firstTimestamp: 0, appendedAt: null }
          let steps = 0
          try {
            for (const r = walk({ buffer, length: count, batches: [batch] }); r.standing; r.next()) {
              r.message()
              steps++
            }
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError)
          }
          expect(steps).toBeLessThanOrEqual(count)
        },
      ),
      { numRuns: 2000 },
    )
  })
})

const QUESTIONS = [
  'isEmpty',
  'isEmptyIncludingFiltered',
  'isEmptyDueToFiltering',
  'isEmptyControlRecord',
  'isEmptyDueToLogCompactedMessages',
  'firstOffset',
  'lastOffset',
  'offsetLag',
  'offsetLagLow',
]

function message(offset: number): Message {
  return { offset, appendedAtMs: 1.79e12, key: Buffer.from('k'), value: Buffer.from('v'), headers: {} }
}

/** header names may be those of prototypes */
function own(headers: Message['headers']): [string, unknown][] {
  return Object.entries(headers ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
}
