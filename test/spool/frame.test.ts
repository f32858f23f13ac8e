import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { createFrameWriter, readFrames } from '../../lib/spool/frame.ts'
import { decodeLedger, encodeLedger } from '../../lib/spool/ledger.ts'

const message = fc.record({
  key: fc.string({ unit: 'grapheme', maxLength: 64 }),
  value: fc.oneof(fc.string({ unit: 'grapheme', maxLength: 500 }), fc.uint8Array({ maxLength: 500 })),
  seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  sensors: fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxLength: 3 }),
})

test('frames: what is read is what was written', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 50 }), (messages) => {
      const writer = createFrameWriter()
      for (const m of messages) expect(writer.append(m.key, m.value, m.seq, m.sensors)).toBe(true)
      const read = readFrames(writer.payload())
      expect(read.map((r) => ({ ...r, key: [...r.key], value: [...r.value] }))).toEqual(
        messages.map((m) => ({
          ...m,
          key: [...Buffer.from(m.key)],
          value: [...Buffer.from(m.value as string)],
        })),
      )
    }),
  )
})

test('frames: a chunk that was cut off is refused, not half read', () => {
  const writer = createFrameWriter()
  writer.append('key', 'x'.repeat(100), 1, [1])
  const payload = writer.payload()
  expect(() => readFrames(payload.subarray(0, payload.length - 1))).toThrow('Cannot read a chunk')
})

test('ledger rows: what is read is what was written', () => {
  const run = fc.record({
    sensor: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    firstSeq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    hashes: fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 1, maxLength: 20 }),
  })
  fc.assert(
    fc.property(fc.array(run, { maxLength: 20 }), (runs) => {
      expect([...decodeLedger(encodeLedger(runs))]).toEqual(runs)
    }),
  )
})
