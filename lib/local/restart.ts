import { EXIT } from '../run.ts'

/** What a supervisor does about an exit. */
export type Fate =
  | { kind: 'restart'; delayMs: number; failures: number }
  /** it has done what it was for (a fleet with a target) */
  | { kind: 'finished' }
  /** starting again could not help: the configuration must change first */
  | { kind: 'refused' }

const FIRST_DELAY_MS = 250
const LONGEST_DELAY_MS = 30_000
/** Who has run this long has started well; its next failure counts as the first. */
const STEADY_MS = 10_000

/** `failures` counts the exits in a row so far, each after less than 10 s of life; code 128 + n is a death by signal n. */
export function afterExit(exit: { code: number; ranMs: number; failures: number; mayFinish: boolean }): Fate {
  if (exit.code === EXIT.ok && exit.mayFinish) return { kind: 'finished' }
  if (exit.code === EXIT.config || exit.code === EXIT.usage) return { kind: 'refused' }
  const failures = exit.ranMs >= STEADY_MS ? 1 : exit.failures + 1
  return {
    kind: 'restart',
    failures,
    delayMs: Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1)),
  }
}
