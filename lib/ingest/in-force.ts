import type { Books } from '../alarm/books.ts'
import type { Rules } from '../alarm/rules.ts'
import type { RulesInForce } from './claim.ts'
import type { Outputs } from './outputs.ts'

/**
 * Which rule book judges at which offset of a partition. What is recorded is followed while the log is read again; a newer
 * book comes into force where the reading of news stands, and that is recorded with the batch.
 */
export interface InForce {
  /** after a claim: the book as of the checkpoint */
  load(recorded: RulesInForce): Promise<Rules>
  isPending(): boolean
  /** recorded activations up to this offset */
  follow(offset: number): void
  /** true where a newer book came into force at this position */
  takeNewest(now: Rules, position: number, outputs: Outputs): boolean
}

export function createRulesInForce(
  books: Books,
  activate: (rules: Rules, fromOffset: number, outputs: Outputs | null) => void,
): InForce {
  let pending: { rules: Rules; fromOffset: number }[] = []

  function follow(offset: number): void {
    while (pending[0] && pending[0].fromOffset <= offset) {
      const next = pending.shift()
      if (next) activate(next.rules, next.fromOffset, null)
    }
  }

  return {
    async load({ version, then }) {
      const later = []
      for (const { version: next, fromOffset } of then)
        later.push({ rules: await books.version(next), fromOffset })
      pending = later
      return books.version(version)
    },
    isPending: () => pending.length > 0,
    follow,
    takeNewest(now, position, outputs) {
      const before = pending.findLast((p) => p.fromOffset <= position)?.rules ?? now
      follow(position)
      const newest = books.latest()
      if (newest.version <= before.version) return false
      activate(newest, position, outputs)
      return true
    },
  }
}
