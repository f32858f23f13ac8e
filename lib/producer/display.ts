import type { Carried, Measured } from '../fleet/fleet.ts'
import { log } from '../log.ts'

/**
 * Where Kafka is missing, what is measured is shown on standard output, beside being kept in the spool. Whether it is
 * missing is not known in the first moments: what comes then is held back until it is.
 */
export interface Display {
  take(batch: readonly Measured<Carried>[], reachable: boolean | null): void
  /** nothing follows: what is held back is shown unless Kafka is there */
  end(reachable: boolean | null): void
}

/** of what is held back the oldest goes: all of it is in the spool */
const HELD = 1000

export function createDisplay(
  shown: (measured: Measured<Carried>) => string | null,
  write: (line: string) => void = (line) => void process.stdout.write(line + '\n'),
): Display {
  let held: string[] = []
  let missing = false

  function show(reachable: boolean | null): void {
    if (reachable && missing)
      log.info('kafka.back', { message: 'Kafka answers: what the spool has kept is sent' })
    if (!reachable && !missing)
      log.warn('kafka.missing', {
        message:
          'Kafka does not answer: readings are shown on standard output, and kept in the spool until it does',
      })
    missing = !reachable
    if (missing) held.forEach(write)
    held = []
  }

  return {
    take(batch, reachable) {
      for (const measured of batch) {
        const text = shown(measured)
        if (text !== null) held.push(text)
      }
      if (reachable === null) held.splice(0, Math.max(0, held.length - HELD))
      else if (held.length > 0 || reachable === missing) show(reachable)
    },
    end(reachable) {
      if (held.length > 0) show(reachable)
    },
  }
}
