/** What the judge says of one invariant. */
export interface Finding {
  id: string
  says: string
  verdict: 'held' | 'violated' | 'not applicable'
  /** so many things were looked at */
  checked: number
  violations: number
  /** the first of them, in words */
  examples: string[]
  /** why nothing could be said, or what was left out */
  note: string | null
}

const EXAMPLES = 8

/** Gathers what is seen. An invariant of which nothing was looked at has not held: it is not applicable. */
export function createFinding(id: string, says: string) {
  const examples: string[] = []
  let checked = 0
  let violations = 0
  let note: string | null = null
  return {
    look(count = 1) {
      checked += count
    },
    violated(example: string, count = 1) {
      violations += count
      if (examples.length < EXAMPLES) examples.push(example)
    },
    note(text: string) {
      note = note === null ? text : `${note}; ${text}`
    },
    done(): Finding {
      const verdict = violations > 0 ? 'violated' : checked > 0 ? 'held' : 'not applicable'
      return {
        id,
        says,
        verdict,
        checked,
        violations,
        examples,
        note: note ?? (checked ? null : 'nothing to look at'),
      }
    },
  }
}

export type Gathering = ReturnType<typeof createFinding>
