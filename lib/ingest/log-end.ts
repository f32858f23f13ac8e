/** To be tried again with a fresh look at the log. */
export class LogEndsEarly extends Error {
  constructor(
    message: string,
    /** of the claim that found it so */
    readonly epoch: number,
  ) {
    super(message)
  }
}

/** The log is not the one that was being taken: going on would skip or mix readings, so the partition stands still. */
export class LogReplaced extends Error {}

/** A look at the log may be older than a rival's COMMIT, a new leader's high watermark may lag: no longer than this. */
const SURE_AFTER_MS = 15_000

/** How long the log of one partition has seemed to end before what was taken from it, with nobody else at it meanwhile. */
export interface Doubt {
  /** a claim has failed */
  note(error: unknown): void
  /** a claim has succeeded */
  over(): void
  /** epoch of the newest of these claims once the doubt has lasted, else null: who claims next has no rival if its epoch follows */
  lasted(): number | null
}

export function createDoubt(now: () => number): Doubt {
  let since = 0
  let epoch: number | null = null
  return {
    note(error) {
      if (!(error instanceof LogEndsEarly)) return
      if (epoch === null || error.epoch !== epoch + 1) since = now()
      epoch = error.epoch
    },
    over: () => void (epoch = null),
    lasted: () => (now() - since > SURE_AFTER_MS ? epoch : null),
  }
}
