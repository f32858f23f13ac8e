import { expect, test } from 'bun:test'
import { judgeForeign } from '../../lib/verify/foreign.ts'
import type { StoredRow } from '../../lib/verify/stored.ts'

const row = (offset: number, hash: bigint, more: Partial<StoredRow> = {}): StoredRow => ({
  runId: null,
  seq: null,
  sensorId: 'temp-1',
  topic: 'sensor-data',
  partition: 0,
  offset,
  hash,
  ...more,
})
const log = async () =>
  new Map<number, readonly bigint[] | null>([
    [3, null],
    [4, [40n]],
    [5, [50n]],
  ])

test('rows without identity are held against their place in the log; what it no longer has cannot be told', async () => {
  const rows = [row(3, 30n), row(4, 40n), row(4, 40n), row(5, 51n), row(6, 60n)]
  expect(await judgeForeign(rows, log)).toEqual({ rows: 5, duplicated: 1, phantom: 2, unjudged: 1 })
})

test('a row of a log that was replaced says nothing about the new one', async () => {
  const rows = [row(5, 51n, { isOfOlderLog: true }), row(5, 50n)]
  expect(await judgeForeign(rows, log)).toEqual({ rows: 2, duplicated: 0, phantom: 0, unjudged: 1 })
})
