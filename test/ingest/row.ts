import type { ReadingRow } from '../../lib/ingest/copy.ts'

/** A row with something in almost every column. */
export const row: ReadingRow = {
  measuredAt: Date.UTC(2026, 0, 1) * 1000 + 123_456,
  value: 42.48,
  offset: 7,
  seq: 3,
  sensorKey: 1,
  runKey: 2,
  quality: 0.75,
  flags: 5,
  partition: 2,
  topicKey: 1,
  level: 1,
  claimedLevel: null,
  metadata: '{"note":"°"}',
}
