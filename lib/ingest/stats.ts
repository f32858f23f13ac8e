import type { Counters, Outputs } from './outputs.ts'

/** What a worker can say of its last batches. */
export interface WorkerStats {
  processed: number
  /** milliseconds of the last batches, from hand-over to COMMIT */
  batchMs: number[]
  /** milliseconds from measurement to COMMIT of the last batches' newest reading */
  endToEndMs: number[]
  stored: number
  counters: Partial<Counters>
}

const KEPT = 256

export function createStats(): WorkerStats {
  return { processed: 0, batchMs: [], endToEndMs: [], stored: 0, counters: {} }
}

/** A batch is stored; answers how old its newest reading is by now, in milliseconds. */
export function noteBatch(stats: WorkerStats, batch: Outputs, batchMs: number, now: number): number | null {
  const endToEndMs = Number.isFinite(batch.newestMeasuredAt) ? now - batch.newestMeasuredAt / 1000 : null
  remember(stats.batchMs, batchMs)
  if (endToEndMs !== null) remember(stats.endToEndMs, endToEndMs)
  stats.stored += batch.counters.stored
  return endToEndMs
}

function remember(ring: number[], value: number): void {
  if (ring.push(value) > KEPT) ring.shift()
}
