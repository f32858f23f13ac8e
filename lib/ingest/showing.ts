import { isShown, type SensorState } from './sensor.ts'

/** with a batch the newest values of a few sensors cost little; a statement of their own waits for a batch */
const WITH_BATCH_MS = 250
const FEW_SENSORS = 100
const ALONE_MS = 1000
/** a statement tells so many and the others wait for the next: after a claim it may be all that the partition has */
const AT_ONCE = 2000
/** Batches that tell values may take a tenth of the time: with many sensors a backlog is stored first … */
const SHARE = 10
/** … but a page is never told less often than this */
const AT_MOST_EVERY_MS = 5000

/** Which sensors' newest readings pages have not been told yet, and when they are. */
export interface Showing {
  add(sensors: Iterable<SensorState>): void
  /** worth a statement of its own */
  isDue(): boolean
  /** those to be told now; they count as told: where the batch fails, the partition is taken over again */
  take(withBatch: boolean, final: boolean): SensorState[]
  /** those taken are stored */
  told(): void
  /** a partition was taken over: these, and nothing that waited before */
  restart(sensors: Iterable<SensorState>): void
}

export function createShowing(now: () => number): Showing {
  let waiting = new Set<SensorState>()
  let takenAt = 0
  let costMs = 0

  const isOver = (ms: number) =>
    waiting.size > 0 && now() - takenAt >= Math.max(ms, Math.min(costMs * SHARE, AT_MOST_EVERY_MS))
  const aloneMs = () => (waiting.size > AT_ONCE ? WITH_BATCH_MS : ALONE_MS)

  return {
    add(sensors) {
      for (const sensor of sensors) if (isShown(sensor)) waiting.add(sensor)
    },
    isDue: () => isOver(aloneMs()),
    take(withBatch, final) {
      if (!final && !isOver(withBatch && waiting.size <= FEW_SENSORS ? WITH_BATCH_MS : aloneMs())) return []
      const told: SensorState[] = []
      for (const sensor of waiting) {
        if (told.length === AT_ONCE) break
        told.push(sensor)
        waiting.delete(sensor)
      }
      takenAt = now()
      return told
    },
    told() {
      costMs = now() - takenAt
    },
    restart(sensors) {
      waiting = new Set([...sensors].filter(isShown))
    },
  }
}
