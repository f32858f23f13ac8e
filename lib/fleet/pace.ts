import type { Micros } from '../time.ts'
import type { Clock } from './fleet.ts'
import type { Speed } from './rhythm.ts'

/** Rows of a file without times pass one a second. */
const ROW_WITHOUT_TIME_MICROS = 1_000_000
/** Once so late (the spool blocked) a replay goes on from there like a stopped tape, instead of racing to catch up. */
const MAX_LATE_MICROS = 5_000_000
/** No sleep without an end, and none that a timer's 2^31 ms would cut to nothing. */
const MAX_SLEEP_MS = 60_000

/**
 * Recorded time → the moment a row is due. The first row is due at once; a row older than one before it is due with that
 * one. `live`: rows without a time come when they come.
 */
export interface Pace {
  /** the tape moves on to this row */
  next(at: Micros | null): void
  /** when that row is due; asked again after a wait of the spool, later by that wait */
  due(): Micros
}

export function createPace(speed: Speed, live: boolean, clock: Clock): Pace {
  if (speed === 'max') return { next: () => {}, due: () => -Infinity }
  let anchor = NaN // when the recording's `first` was due
  let first = NaN
  let latest = NaN
  let waits = true
  return {
    next(at) {
      waits = at !== null || !live
      if (!waits) return
      const recorded = at ?? (Number.isNaN(latest) ? 0 : latest + ROW_WITHOUT_TIME_MICROS)
      if (Number.isNaN(first)) {
        anchor = clock.now()
        first = latest = recorded
      }
      latest = Math.max(latest, recorded)
    },
    due() {
      const now = clock.now()
      if (!waits) return now
      const due = anchor + (latest - first) / speed
      if (now - due <= MAX_LATE_MICROS) return due
      anchor += now - due
      return now
    },
  }
}

/** The present moment, a microsecond later than any before. */
export function createStamp(clock: Clock): () => Micros {
  let last = -Infinity
  return () => (last = Math.max(clock.now(), last + 1))
}

/** Resolves once it is due, or when the signal aborts. */
export async function waitUntil(due: Micros, clock: Clock, signal: AbortSignal): Promise<void> {
  for (;;) {
    const waitMs = Math.ceil((due - clock.now()) / 1000)
    if (waitMs <= 0 || signal.aborted) return
    await clock.sleep(Math.min(waitMs, MAX_SLEEP_MS), signal)
  }
}
