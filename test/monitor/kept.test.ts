import { describe, expect, test } from 'bun:test'
import { keepChanges } from '../../lib/monitor/kept.ts'
import type { Change } from '../../lib/monitor/stream.ts'

const change = (id: number, size = 10): Change => ({ id, event: 'change', data: 'x'.repeat(size) })
const idsSince = (kept: ReturnType<typeof keepChanges>, from: number, newest: number) =>
  kept.since(from, newest)?.map((c) => c.id) ?? null

describe('keepChanges()', () => {
  test('gives what a viewer lacks, nothing where it lacks nothing, null where that is gone', () => {
    const kept = keepChanges()
    for (let id = 1; id <= 70; id++) kept.add(change(id))
    expect(idsSince(kept, 68, 70)).toEqual([69, 70])
    expect(idsSince(kept, 70, 70)).toEqual([])
    expect(idsSince(kept, 9, 70)).toBeNull()
    expect(idsSince(kept, 10, 70)?.length).toBe(60)
    expect(idsSince(kept, 99, 70)).toBeNull()
  })
  test('large changes are kept for a shorter time, the newest always', () => {
    const kept = keepChanges()
    for (let id = 1; id <= 20; id++) kept.add(change(id, 1_000_000))
    expect(idsSince(kept, 17, 20)).toBeNull()
    expect(idsSince(kept, 18, 20)).toEqual([19, 20])
    kept.add(change(21, 9_000_000))
    expect(idsSince(kept, 20, 21)).toEqual([21])
  })
})
