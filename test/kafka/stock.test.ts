import { afterAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createRequire } from 'node:module'
import { stockKafkajs } from './stock.ts'

/** Our patched library beside the one that is published, on random input: the same bytes out, the same records in. */
const require = createRequire(import.meta.url)
const stock = stockKafkajs()
afterAll(() => stock.remove())

const libraries = [(path: string) => require(`kafkajs/src/${path}`), stock.load].map((load) => ({
  Batch: load('consumer/batch'),
  Decoder: load('protocol/decoder'),
  decodeBatch: load('protocol/recordBatch/v0/decoder'),
  decodeMessages: load('protocol/requests/fetch/v4/decodeMessages'),
  Record: load('protocol/recordBatch/record/v0'),
  RecordBatch: load('protocol/recordBatch/v0').RecordBatch,
}))
const [ours, theirs] = libraries as [(typeof libraries)[0], (typeof libraries)[0]]

const COMPRESSED = 1
const TRANSACTIONAL = 0x10
const CONTROL = 0x20

const bytes = fc.uint8Array({ maxLength: 300, size: 'max' }).map((b) => Buffer.from(b))
const textOrBytes = fc.oneof(fc.string({ maxLength: 200, unit: 'binary', size: 'max' }), bytes)
/** A header by the name of what every object has, as `constructor`, is the one difference (below). */
const name = fc
  .oneof(fc.string({ maxLength: 20 }), fc.constantFrom('run-id', 'seq', ''))
  .filter((one) => !(one in {}))
const headers = fc.dictionary(
  name,
  fc.oneof(textOrBytes, fc.array(textOrBytes, { minLength: 1, maxLength: 3 })),
  {
    maxKeys: 4,
  },
)
const records = fc.array(
  fc.record({
    skip: fc.oneof(fc.constant(0), fc.nat(2 ** 12)),
    timestampDelta: fc.oneof(
      fc.nat(200),
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      fc.integer({ min: -(2 ** 45), max: 2 ** 45 }),
    ),
    key: fc.option(textOrBytes),
    value: fc.option(textOrBytes),
    headers: fc.option(headers, { nil: undefined }),
  }),
  { minLength: 1, maxLength: 20 },
)
const batches = fc.record({
  records,
  compression: fc.constantFrom(0, COMPRESSED),
  transactional: fc.boolean(),
  producerId: fc.integer({ min: -1, max: 3 }),
  producerEpoch: fc.nat(10),
  firstSequence: fc.nat(1000),
})
const logs = fc.record({
  base: fc.integer({ min: 0, max: 2 ** 45 }),
  batches: fc.array(batches, { minLength: 1, maxLength: 4 }),
})
type Log = typeof logs extends fc.Arbitrary<infer T> ? T : never

/** Each batch of the log as this library writes it, one offset after the other. */
async function written({ Record, RecordBatch }: typeof ours, log: Log): Promise<Buffer[]> {
  const all: Buffer[] = []
  let firstOffset = log.base
  for (const { records, ...options } of log.batches) {
    let offsetDelta = -1
    const encoded = records.map(({ skip, ...record }) =>
      Record({ ...record, offsetDelta: (offsetDelta += 1 + skip) }),
    )
    const batch = await RecordBatch({
      ...options,
      firstOffset,
      firstTimestamp: 1.79e12,
      maxTimestamp: 1.79e12 + 7,
      lastOffsetDelta: offsetDelta,
      records: encoded,
    })
    all.push(Buffer.from(batch.buffer))
    firstOffset += offsetDelta + 1
  }
  return all
}

/** CRC-32C (Castagnoli), bit by bit: slow, and nobody's code but this. */
function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of data) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}

test('what is encoded is the same to the byte, and its checksum is right', async () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283) // the check value of the algorithm
  await fc.assert(
    fc.asyncProperty(logs, async (log) => {
      const [mine, published] = [await written(ours, log), await written(theirs, log)]
      expect(mine).toEqual(published)
      for (const batch of mine) expect(batch.readUInt32BE(17)).toBe(crc32c(batch.subarray(21)))
    }),
    { numRuns: 200 },
  )
})

test('what is decoded is the same: plain, compressed, of a transaction, names twice in a record', async () => {
  await fc.assert(
    fc.asyncProperty(logs, async (log) => {
      for (const batch of await written(theirs, log)) {
        const [mine, published] = await Promise.all(
          [ours, theirs].map(({ decodeBatch, Decoder }) => decodeBatch(new Decoder(batch))),
        )
        expect(mine).toEqual(published)
      }
    }),
    { numRuns: 200 },
  )
})

test('a header by the name of what every object has is itself, where the published library adds a function', async () => {
  const records = [{ skip: 0, timestampDelta: 0, key: null, value: null, headers: { constructor: 'x' } }]
  const options = { compression: 0, transactional: false, producerId: 0, producerEpoch: 0, firstSequence: 0 }
  const [batch] = await written(theirs, { base: 0, batches: [{ ...options, records }] } as unknown as Log)
  const [mine, published] = await Promise.all(
    [ours, theirs].map(({ decodeBatch, Decoder }) => decodeBatch(new Decoder(batch))),
  )
  expect(mine.records[0].headers).toEqual({ constructor: Buffer.from('x') })
  expect(published.records[0].headers.constructor).toEqual([Object, Buffer.from('x')])
})

describe('a fetched batch', () => {
  const QUESTIONS = ['isEmpty', 'isEmptyIncludingFiltered', 'isEmptyDueToFiltering', 'isEmptyControlRecord']
  const PLACES = ['firstOffset', 'lastOffset', 'offsetLag', 'offsetLagLow']

  test('answers the same wherever the fetch began, with control records in it and aborted transactions', async () => {
    const seen = { plain: 0, hidden: 0 }
    const marks = fc.array(fc.boolean(), { minLength: 4, maxLength: 4 })
    const aborts = fc.uniqueArray(fc.integer({ min: 0, max: 3 }), { maxLength: 2 })
    await fc.assert(
      fc.asyncProperty(logs, marks, aborts, fc.nat(), async (log, isControl, aborted, place) => {
        const parts = await written(theirs, log)
        const ends = log.batches.map((b) => b.records.reduce((n, r) => n + 1 + r.skip, 0))
        const starts = ends.map((_, i) => log.base + ends.slice(0, i).reduce((a, b) => a + b, 0))
        for (const [i, part] of parts.entries()) {
          if (isControl[i] && log.batches[i]?.transactional && place % 2 === 0) markControl(part)
        }
        const all = Buffer.concat(parts)
        const from = log.base + (place % (ends.reduce((a, b) => a + b, 0) + 1))
        const abortedTransactions = aborted.map((id) => ({
          producerId: String(id),
          firstOffset: String(starts[id % starts.length]),
        }))
        const [mine, published] = await Promise.all(
          [ours, theirs].map((library) => fetched(library, all, from, abortedTransactions)),
        )
        expect(mine.messages).toEqual(published.messages)
        const asked = published.isEmptyIncludingFiltered() ? QUESTIONS : [...QUESTIONS, ...PLACES]
        for (const question of asked)
          expect([question, mine[question]()]).toEqual([question, published[question]()])
        if (mine.records) seen.plain++
        if (published.isEmptyDueToFiltering()) seen.hidden++
      }),
      { numRuns: 400 },
    )
    expect(seen.plain).toBeGreaterThan(10)
    expect(seen.hidden).toBeGreaterThan(5)
  })

  async function fetched(
    library: typeof ours,
    all: Buffer,
    from: number,
    abortedTransactions: { producerId: string; firstOffset: string }[],
  ) {
    const size = Buffer.alloc(4)
    size.writeInt32BE(all.length)
    const messages = await library.decodeMessages(new library.Decoder(Buffer.concat([size, all])))
    const data = { partition: 0, highWatermark: '9007199254740000', abortedTransactions, messages }
    return new library.Batch('t', String(from), data)
  }

  function markControl(batch: Buffer): void {
    batch.writeInt16BE(batch.readInt16BE(21) | TRANSACTIONAL | CONTROL, 21)
  }
})
