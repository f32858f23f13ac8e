import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createCopyBuffer, type ReadingRow } from '../../lib/ingest/copy.ts'
import { rowsOf } from '../../lib/ingest/rows.ts'

const int16 = fc.integer({ min: -32_768, max: 32_767 })
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const row: fc.Arbitrary<ReadingRow> = fc.record({
  measuredAt: fc.maxSafeInteger().map((us) => Math.max(us, Number.MIN_SAFE_INTEGER + 946_684_800_000_000)),
  value: fc.double({ noNaN: true }),
  offset: fc.maxSafeNat(),
  seq: fc.option(fc.maxSafeNat()),
  sensorKey: int32,
  runKey: fc.option(int32),
  quality: fc.double({ noNaN: true, min: 0, max: 1 }).map(Math.fround),
  flags: int32,
  partition: int16,
  topicKey: int16,
  level: int16,
  claimedLevel: fc.option(int16),
  metadata: fc.option(fc.json({ stringUnit: 'grapheme' })),
})

describe('createCopyBuffer()', () => {
  test('writes what a reader of the format reads, whatever grows in between', () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 20 }), fc.integer({ min: 32, max: 500 }), (rows, bytes) => {
        const copy = createCopyBuffer(bytes)
        for (const one of rows) copy.append(one)
        expect(copy.rows).toBe(rows.length)
        expect(rowsOf(copy.finish())).toEqual(rows)
      }),
      { numRuns: 500 },
    )
  })

  test('is empty after finish(), and does not touch what it gave away', () => {
    const copy = createCopyBuffer(64)
    const [one, two] = fc.sample(row, { numRuns: 2, seed: 1 }) as [ReadingRow, ReadingRow]
    copy.append(one)
    const first = copy.finish()
    expect(copy.rows).toBe(0)
    copy.append(two)
    expect(rowsOf(first)).toEqual([one])
    expect(rowsOf(copy.finish())).toEqual([two])
    expect(rowsOf(copy.finish())).toEqual([])
  })
})
