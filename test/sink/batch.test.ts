import { expect, test } from 'bun:test'
import { decodeHeartbeat, decodeLine } from '../../lib/ingest/decode-line.ts'
import { encodeHeartbeat, encodeLineReading } from '../../lib/line.ts'
import { emptyBatch, take } from '../../lib/sink/batch.ts'

test('readings of lines go into a sink; signs of life, which are counted in PostgreSQL alone, do not, and the position moves over both', () => {
  const at = { sensorId: 'S1-1', tier: '1.1', at: 1e15 }
  const line = { ...at, factoryId: 'F1', sodaName: 'Cola', reading: 1, count: 1, total: 2 }
  const batch = emptyBatch('t', 0, 0)
  const message = (offset: number, value: string) => ({
    offset,
    appendedAtMs: 1e12,
    key: Buffer.from('S1-1'),
    value: Buffer.from(value),
    headers: undefined,
  })
  const reading = encodeLineReading(line)
  const life = encodeHeartbeat({ ...at, status: 'active' })
  take(new Map(), message(0, reading), decodeLine(Buffer.from(reading)), batch)
  take(new Map(), message(1, life), decodeHeartbeat(Buffer.from(life)), batch)
  expect(batch.entries.map((entry) => entry.offset)).toEqual([0])
  expect(batch.to).toBe(2)
})
