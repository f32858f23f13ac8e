import type { Change } from './stream.ts'

/** The newest changes of a feed, for viewers that come back: a minute of them, and no more than so much memory. */
export interface Kept {
  add(change: Change): void
  /** what a viewer of that version lacks; null: too long ago */
  since(from: number, newest: number): Change[] | null
}

/** A minute of changes: longer than any reconnect that is worth resuming. */
const MOST_CHANGES = 60
/** Where a thousand sensors change every second this is five seconds; whoever was away for longer gets everything anew. */
const MOST_CHARACTERS = 2_000_000

export function keepChanges(): Kept {
  const kept: Change[] = []
  let characters = 0
  return {
    add(change) {
      kept.push(change)
      characters += change.data.length
      while (kept.length > MOST_CHANGES || (characters > MOST_CHARACTERS && kept.length > 1))
        characters -= kept.shift()?.data.length ?? 0
    },
    since(from, newest) {
      if (from === newest) return []
      const start = kept.findIndex((change) => change.id === from + 1)
      return start === -1 ? null : kept.slice(start)
    },
  }
}
