/**
 * High-water marks: which running numbers of a source (sensor or device) of a run have been stored. Numbers above the
 * mark are new; skipped ones below it stay remembered as ranges and may each be filled once; everything else at or
 * below the mark is a repeat.
 */
export interface Mark {
  high: number
  /** numbers below `high` that have not come, ascending, disjoint */
  missing: Range[]
  /** ranges that no longer fit here lie in table sequence_gaps */
  spilled: boolean
  /** content of the last numbers, to tell a repeat from a conflict */
  recent: Uint32Array
}

export interface Range {
  from: number
  to: number
}

export type Place =
  { kind: 'new'; skipped: Range | null } | { kind: 'filled' } | { kind: 'repeat'; conflict: boolean }

/** A re-sent batch repeats at most this many of one source before we can no longer compare contents. */
const RECENT = 32
/** ranges kept in memory for each source and run; more go to the table */
export const MAX_RANGES = 16

export function createMark(): Mark {
  return { high: 0, missing: [], spilled: false, recent: new Uint32Array(RECENT) }
}

/** Says what number `seq` is and moves the mark. `content` is a 32-bit digest of what the reading says. */
export function place(mark: Mark, seq: number, content: number): Place {
  if (seq > mark.high) {
    const skipped = seq > mark.high + 1 ? { from: mark.high + 1, to: seq - 1 } : null
    if (skipped) mark.missing.push(skipped)
    remember(mark, seq, content)
    mark.high = seq
    return { kind: 'new', skipped }
  }
  if (takeOut(mark.missing, seq)) {
    remember(mark, seq, content)
    return { kind: 'filled' }
  }
  const comparable = seq > mark.high - RECENT
  return { kind: 'repeat', conflict: comparable && mark.recent[seq % RECENT] !== content >>> 0 }
}

/** The message with this number is a dead letter: the number stays open, so that a corrected one may still fill it. */
export function leaveOpen(mark: Mark, seq: number): Range | null {
  if (seq <= mark.high) return null
  const skipped = seq > mark.high + 1 ? { from: mark.high + 1, to: seq - 1 } : null
  const last = mark.missing.at(-1)
  if (last && last.to === mark.high)
    last.to = seq // a flood of broken messages is one range
  else mark.missing.push({ from: mark.high + 1, to: seq })
  mark.high = seq
  return skipped
}

/** The oldest ranges beyond what is kept in memory; the caller stores them in sequence_gaps in the same transaction. */
export function spill(mark: Mark): Range[] {
  const excess = mark.missing.length - MAX_RANGES
  if (excess <= 0) return []
  mark.spilled = true
  return mark.missing.splice(0, excess)
}

/** Puts ranges from the table back, so that `place` can decide about an old number. */
export function unspill(mark: Mark, ranges: Range[]): void {
  mark.missing = [...ranges, ...mark.missing].sort((a, b) => a.from - b.from)
  mark.spilled = false
}

export function missingCount(mark: Mark): number {
  return mark.missing.reduce((sum, r) => sum + r.to - r.from + 1, 0)
}

function remember(mark: Mark, seq: number, content: number): void {
  mark.recent[seq % RECENT] = content
}

function takeOut(ranges: Range[], seq: number): boolean {
  const index = ranges.findIndex((r) => r.from <= seq && seq <= r.to)
  const range = ranges[index]
  if (!range) return false
  const rest: Range[] = []
  if (range.from < seq) rest.push({ from: range.from, to: seq - 1 })
  if (seq < range.to) rest.push({ from: seq + 1, to: range.to })
  ranges.splice(index, 1, ...rest)
  return true
}
