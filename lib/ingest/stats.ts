import type { Counters } from './outputs.ts'

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

export function remember(ring: number[], value: number): void {
  if (ring.push(value) > KEPT) ring.shift()
}
