/**
 * How rare is a residual of this size? A histogram of sizes on a logarithmic scale that forgets slowly answers with the
 * share of earlier ones at least as large. No bell curve is assumed: sensors have fat tails, a sigma lies about them.
 *
 * The scale hangs on the largest size seen (four bins an octave, the top moves up when needed), so it needs no unit and
 * multiplying all values by a constant changes nothing. Forgetting is by weight: a new size weighs a little more than
 * the one before, and all weights are divided again before they grow large. All tails of a sensor advance together, so
 * weight and total are kept once.
 */
export const BINS = 48
const BINS_PER_OCTAVE = 4
/** 5,000 readings: long enough to know what one in 10,000 looks like, short enough to follow a sensor that changes its ways */
const GROWTH = 1 / (1 - 1 / 5000)
const RENORMALISE_AT = 2 ** 40
const NO_TOP = -1e6

/** Several tails in one array: `tops[k]` and `bins[k * BINS …]` belong to tail k. */
export interface Tails {
  /** [0] weight of the next size, [1] sum of all weights so far, [2 + k] the top of tail k, in bins */
  readonly head: Float64Array
  /** bin 0 of each tail holds the largest sizes */
  readonly bins: Float32Array
}

export const headLength = (tails: number) => 2 + tails

export function resetTails({ head, bins }: Tails): void {
  head.fill(NO_TOP)
  head[0] = 1
  head[1] = 0
  bins.fill(0)
}

/** −log10 of the share of earlier sizes ≥ `size`; then remembers it. 0 for a size that says nothing (0, or the first). */
export function surpriseOf({ head, bins }: Tails, k: number, size: number): number {
  if (!(size > 0)) return 0
  const position = Math.log2(size) * BINS_PER_OCTAVE
  const cell = Math.floor(position)
  const base = k * BINS
  const weight = head[0]!
  const total = head[1]!
  if (head[2 + k] === NO_TOP) head[2 + k] = cell + 1
  let bin = head[2 + k]! - 1 - cell
  let above = 0
  if (bin < 0) {
    shiftDown(bins, base, -bin)
    head[2 + k] = cell + 1
    bin = 0
  } else if (bin >= BINS) {
    above = total
  } else {
    for (let i = base; i < base + bin; i++) above += bins[i]!
    above += bins[base + bin]! * (1 - (position - cell))
  }
  if (bin < BINS) bins[base + bin]! += weight
  return total > 0 ? -Math.log10((above + 0.5 * weight) / (total + weight)) : 0
}

/** After all tails of a reading: one step further in time. */
export function advance({ head, bins }: Tails): void {
  const weight = head[0]!
  head[1]! += weight
  head[0] = weight * GROWTH
  if (weight < RENORMALISE_AT) return
  head[0]! /= RENORMALISE_AT
  head[1]! /= RENORMALISE_AT
  for (let i = 0; i < bins.length; i++) bins[i]! /= RENORMALISE_AT
}

/** Makes room for larger sizes at the top; what falls off the bottom stays in the total. */
function shiftDown(bins: Float32Array, base: number, by: number): void {
  if (by < BINS) bins.copyWithin(base + by, base, base + BINS - by)
  bins.fill(0, base, base + Math.min(by, BINS))
}
