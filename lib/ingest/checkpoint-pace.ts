import { encodeCheckpoint } from './checkpoint.ts'
import type { PartitionState } from './partition.ts'

/** A claim reads again what came after the last checkpoint: seconds of a slow log, or some thousand messages of a fast one. */
const EVERY_MS = 2000
const MESSAGES = 2000
const AT_LEAST_EVERY_MS = 10_000
/** A checkpoint may take a twentieth of the time: with many sensors it is written less often. */
const SHARE = 20

/** When a partition's next checkpoint is due. */
export interface CheckpointPace {
  isDue(position: number): boolean
  /** the next batch writes one, however soon */
  force(): void
  isForced(): boolean
  encode(state: PartitionState): Buffer
  /** it is stored, or was restored: the state as of this offset */
  keptAt(offset: number): void
}

export function createCheckpointPace(now: () => number): CheckpointPace {
  let at = 0
  let offset = -1
  let costMs = 0
  let forced = false

  return {
    isDue(position) {
      if (forced) return true
      const every = position - offset < MESSAGES ? AT_LEAST_EVERY_MS : EVERY_MS
      return offset !== position && now() - at >= Math.max(every, costMs * SHARE)
    },
    force() {
      forced = true
    },
    isForced: () => forced,
    encode(state) {
      const started = performance.now()
      const bytes = encodeCheckpoint(state)
      costMs = performance.now() - started
      forced = false
      return bytes
    },
    keptAt(kept) {
      at = now()
      offset = kept
    },
  }
}
