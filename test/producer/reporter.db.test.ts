import { beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { closeSql, connect } from '../../lib/db/connect.ts'
import { writeDeadLetter } from '../../lib/producer/health.ts'
import { createRate } from '../../lib/producer/reporter.ts'
import { database, postgres, STACK_MS } from '../stack.ts'

setDefaultTimeout(30_000)

beforeAll(async () => {
  await postgres()
}, STACK_MS)

test('a refused message is one dead letter, also when it is written twice', async () => {
  const { url } = await database()
  const sql = connect(url, { name: 'test', role: 'producer', max: 1 })
  const refusal = {
    refusal: 1,
    topic: 'sensor-data',
    key: 'temp-sensor-001',
    seq: 7,
    reason: 'too_large' as const,
    message: 'Cannot send the message: it has 300000 bytes, at most 262144 are taken',
    value: Buffer.from('{"value":1}'),
    valueBytes: 300_000,
    valueSha256: Buffer.alloc(32, 1),
  }
  const who = { producerId: 'plant', runId: 'run-1', clusterId: null }
  await writeDeadLetter(sql, who, refusal)
  await writeDeadLetter(sql, who, refusal)
  await writeDeadLetter(sql, who, { ...refusal, seq: 8 })
  await closeSql(sql)
  const owner = connect(url, { name: 'test', max: 1 })
  const rows = await owner`select * from dead_letters order by seq`
  await closeSql(owner)
  expect(rows.map((r) => [r.sensor_id, r.seq, r.partition, r.offset])).toEqual([
    ['temp-sensor-001', 7, null, null],
    ['temp-sensor-001', 8, null, null],
  ])
  expect(rows[0]).toMatchObject({
    run_id: 'run-1',
    reason: 'too_large',
    detected_by: 'plant',
    value_bytes: 300_000,
    headers: { 'run-id': 'run-1', seq: '7' },
  })
})

test('createRate() tells the growth a second over its window', () => {
  const rate = createRate(10_000)
  expect(rate(500, 0)).toBe(0)
  for (let s = 1; s <= 20; s++) expect(rate(500 + s * 100, s * 1000)).toBeCloseTo(100)
  for (let s = 21; s <= 30; s++) rate(2500, s * 1000)
  expect(rate(2500, 31_000)).toBe(0)
})
