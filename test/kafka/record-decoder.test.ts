import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { createRequire } from 'node:module'

/**
 * The patched record decoder reads what the library's own encoder writes: key, value, headers, times and offsets, byte
 * for byte. (Red when a field is skipped or an offset miscounted.)
 */
const require = createRequire(import.meta.url)
const encodeBatch = require('kafkajs/src/protocol/recordBatch/v0').RecordBatch
const encodeRecord = require('kafkajs/src/protocol/recordBatch/record/v0')
const Decoder = require('kafkajs/src/protocol/decoder')
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder')

const bytes = fc.uint8Array({ maxLength: 300 }).map((b) => Buffer.from(b))
const name = fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('__proto__', 'constructor', 'run-id', ''))
const record = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.array(fc.tuple(name, bytes), { maxLength: 5 }),
  delay: fc.integer({ min: -5_000_000, max: 5_000_000_000 }),
})

test('decoding a batch gives back what was encoded', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 0, max: 2 ** 45 }),
      fc.boolean(),
      async (records, firstOffset, compressed) => {
        const firstTimestamp = 1_795_000_000_000
        const batch = await encodeBatch({
          compression: compressed ? 1 : 0,
          firstOffset,
          firstTimestamp,
          maxTimestamp: firstTimestamp,
          partitionLeaderEpoch: 0,
          lastOffsetDelta: records.length - 1,
          records: records.map((r, i) =>
            encodeRecord({
              offsetDelta: i,
              timestampDelta: r.delay,
              key: r.key,
              value: r.value,
              headers: asObject(r.headers),
            }),
          ),
        })
        const decoded = await decodeBatch(new Decoder(batch.buffer))
        expect(decoded.records.length).toBe(records.length)
        for (const [i, r] of records.entries()) {
          const got = decoded.records[i]
          expect(got.offset).toBe(String(firstOffset + i))
          expect(got.timestamp).toBe(String(firstTimestamp + r.delay))
          expect(got.key).toEqual(r.key)
          expect(got.value).toEqual(r.value)
          for (const [key, value] of Object.entries(asObject(r.headers))) {
            expect(Object.getOwnPropertyDescriptor(got.headers, key)?.value).toEqual(value)
          }
          expect(Object.keys(got.headers).length).toBe(Object.keys(asObject(r.headers)).length)
        }
      },
    ),
    { numRuns: 200 },
  )
})

/** the library takes headers as an object: the last of a name wins, as an own property whatever the name is */
function asObject(headers: readonly (readonly [string, Buffer])[]): Record<string, Buffer> {
  return Object.fromEntries(headers)
}
