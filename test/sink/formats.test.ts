import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { formats } from '../../lib/sink/formats.ts'
import { rowsOf, toReading, type Row } from '../../lib/sink/row.ts'
import { fromDocument, toDocument } from '../../lib/sink/document.ts'
import { contentHash } from '../../lib/hash.ts'
import { readingsOf } from '../../lib/device.ts'
import { decodeFactory, Fault } from '../../lib/ingest/decode.ts'
import type { SinkBatch } from '../../lib/sink/batch.ts'
import { emptyBatch } from '../../lib/sink/batch.ts'
import { logOf } from '../ingest/log.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 12 }).map((t) => t.toWellFormed())
const row: fc.Arbitrary<Row> = fc.record({
  timestamp: fc
    .integer({ min: 0, max: 4e9 })
    .map((s) => new Date(s * 1000).toISOString().replace('.000Z', '.123456Z')),
  sensor_id: text,
  sensor_type: text,
  factory_section: text,
  machine_id: text,
  zone: text,
  value: fc.double({ noNaN: true, min: -9e15, max: 9e15 }).map((v) => v + 0),
  unit: text,
  quality: fc.double({ noNaN: true, min: 0, max: 1 }).map((v) => v + 0),
  alert_level: fc.option(fc.constantFrom('normal', 'critical')),
  metadata: fc.option(
    fc.dictionary(
      text.filter((k) => k !== '__proto__'),
      fc.oneof(text, fc.integer(), fc.boolean()),
    ),
  ),
  topic: text,
  partition: fc.nat(1000),
  offset: fc.nat(Number.MAX_SAFE_INTEGER),
  run_id: fc.option(text),
  seq: fc.option(fc.nat(Number.MAX_SAFE_INTEGER)),
  appended_at: fc.constant('2026-11-21T12:00:00.000000Z'),
})

describe.each(['ndjson', 'parquet'] as const)('%s', (name) => {
  const format = formats[name]
  test('gives back every row, and the same rows are the same bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 30 }), async (rows) => {
        const bytes = await format.encode(rows)
        expect(Buffer.from(await format.encode(rows)).equals(Buffer.from(bytes))).toBe(true)
        expect(await format.decode(bytes)).toEqual(
          rows.map((r) => ({ ...r, metadata: r.metadata && { ...r.metadata } })),
        )
      }),
      { numRuns: 20 },
    )
  })
})

/** Two messages of a plant and one of a device. */
function batch(): SinkBatch {
  const made = emptyBatch('sensor-data', 1, 0)
  for (const message of logOf([
    { seq: 1, at: 0.123, value: 21.5 },
    { seq: null, at: 1, metadata: { batch: 7 } },
  ])) {
    const decoded = decodeFactory(message.value)
    if (decoded instanceof Fault) throw new Error(decoded.message)
    made.entries.push({
      offset: message.offset,
      appendedAtMs: message.appendedAtMs,
      identity: message.offset === 0 ? { runId: 'run-1', seq: 1 } : null,
      decoded,
    })
  }
  const readings = readingsOf({ id: 'dev-1', ts: 1_700_000_000_123_456, temperature: 46.5, humidity: 33.25 })
  const decoded = { source: 'dev-1', readings: [...readings], unknownFields: 0 }
  made.entries.push({ offset: 2, appendedAtMs: 5000, identity: { runId: 'run-2', seq: 9 }, decoded })
  return made
}

test('a document keeps the content of the readings it was made of; so does a row', () => {
  const made = batch()
  const hashes = made.entries.map((entry) => entry.decoded.readings.map(contentHash))
  const stored = made.entries.map((entry) => JSON.parse(JSON.stringify(toDocument(made, entry))))
  expect(stored.map((document) => fromDocument(document).map(contentHash))).toEqual(hashes)
  expect(rowsOf(made).map((r) => contentHash(toReading(r)))).toEqual(hashes.flat())
})

test('a device’s message is one document, found by each of its quantities', () => {
  const made = batch()
  const [plain, , device] = made.entries.map((entry) => toDocument(made, entry))
  expect(device).toMatchObject({
    sensor_id: 'dev-1',
    temperature: 46.5,
    humidity: 33.25,
    run_id: 'run-2',
    seq: 9,
  })
  expect(device?.channels).toHaveLength(2)
  expect(plain).toMatchObject({
    sensor_id: 'temp-1',
    sensor_type: 'temperature',
    value: 21.5,
    temperature: 21.5,
  })
  expect(plain?.channels).toBeUndefined()
})
