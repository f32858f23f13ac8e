import { encodeCheckpoint } from './checkpoint.ts'
import type { PartitionState } from './partition.ts'

/** A claim reads again what came after the last checkpoint: seconds of a slow log, or some thousand messages of a fast one. */
const EVERY_MS = 2000
const MESSAGES = 2000
const AT_LEAST_EVERY_MS = 10_000
/** Making and storing a checkpoint may take a twentieth of the time: with many sensors it is written less often … */
const SHARE = 20
/** … but, however slow the server is, no less often than this: what came since is read again after a claim */
const AT_MOST_EVERY_MS = 30_000

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
  let startedAt: number | null = null

  return {
    isDue(position) {
      if (forced) return true
      const every = position - offset < MESSAGES ? AT_LEAST_EVERY_MS : EVERY_MS
      return offset !== position && now() - at >= Math.max(every, Math.min(costMs * SHARE, AT_MOST_EVERY_MS))
    },
    force() {
      forced = true
    },
    isForced: () => forced,
    encode(state) {
      startedAt = now()
      forced = false
      return encodeCheckpoint(state)
    },
    keptAt(kept) {
      at = now()
      offset = kept
      costMs = startedAt === null ? 0 : at - startedAt
      startedAt = null
    },
  }
}
