/**
 * How rare is a residual of this size? A histogram of sizes on a logarithmic scale that forgets slowly answers with the
 * share of earlier ones at least as large. No bell curve is assumed: sensors have fat tails, a sigma lies about them.
 *
 * The scale hangs on the first size seen (four bins an octave; the window of bins moves up with the largest), so it needs
 * no unit and multiplying all values by a constant changes nothing. Forgetting is by weight: a new size weighs a little more than
 * the one before, and all weights are divided again before they grow large. All tails of a sensor advance together, so
 * weight and total are kept once.
 */
export const BINS = 32 // eight octaves below the largest: what is smaller is never rare
export const BINS_PER_OCTAVE = 4
/** 10,000 readings: long enough to know one in 10,000, short enough to follow a sensor that changes its ways */
const GROWTH = 1 / (1 - 1 / 10_000)
/** a power of two, so that dividing by it keeps every bit */
const RENORMALISE_AT = 2 ** 20
/** no more than this is added, in decades, for being beyond the largest size seen */
const MAX_BEYOND = 2
const NO_TOP = -1e6
/** puts sizes that are once, twice, four times the first one well inside a bin, where rounding can't tip them */
const INSIDE = 0.37

/**
 * Several tails in one array: `head[2 + 2k]`, `head[3 + 2k]` and `masks[k]` belong to tail k. Most bins are empty for long,
 * some for ever: only what is in the others is kept, one behind the other, tail after tail.
 */
export interface Tails {
  /** [0] weight of the next size, [1] sum of all weights so far, then of each tail the top (in bins) and log2 of the first size */
  readonly head: Float64Array
  /** which bins of a tail have something in them; bit 0 is the bin of the largest sizes */
  readonly masks: Uint32Array
  /** what they have, with room for all */
  readonly bins: Float32Array
}

export const headLength = (tails: number) => 2 + 2 * tails

export function resetTails({ head, masks }: Tails): void {
  head.fill(NO_TOP)
  head[0] = 1
  head[1] = 0
  masks.fill(0)
}

/** How many bins of all tails have something in them. */
export function filledBins(masks: Uint32Array): number {
  return binsBefore(masks, masks.length)
}

/** Takes over bins of which the empty ones were kept, too. */
export function fillTails({ masks, bins }: Tails, all: Float32Array): void {
  let end = 0
  for (let k = 0; k < masks.length; k++) {
    masks[k] = 0
    for (let bin = 0; bin < BINS; bin++) {
      const held = all[k * BINS + bin]!
      if (held === 0) continue
      masks[k]! |= 1 << bin
      bins[end++] = held
    }
  }
}

/** −log10 of the share of earlier sizes ≥ `size`; then remembers it. 0 for a size that says nothing (0, or the first). */
export function surpriseOf({ head, masks, bins }: Tails, k: number, size: number): number {
  if (!(size > 0)) return 0
  const top = 2 + 2 * k
  const log = Math.log2(size)
  if (head[top] === NO_TOP) {
    head[top] = 1
    head[top + 1] = log
  }
  const position = (log - head[top + 1]!) * BINS_PER_OCTAVE + INSIDE
  const cell = Math.floor(position)
  const base = binsBefore(masks, k)
  const weight = head[0]!
  const total = head[1]!
  const bin = head[top]! - 1 - cell
  const mask = masks[k]!
  if (bin < 0) {
    const record =
      total > 0
        ? -Math.log10((0.5 * weight) / (total + weight)) +
          beyond(mask, bins, base, total, position - head[top]!)
        : 0
    shiftDown(masks, bins, k, base, -bin)
    head[top] = cell + 1
    add(masks, bins, k, base, 0, weight)
    return record
  }
  if (bin >= BINS) return 0
  let above = 0.5 * weight
  const place = base + ones(mask & ((1 << bin) - 1))
  for (let i = base; i < place; i++) above += bins[i]!
  if (mask & (1 << bin)) above += bins[place]! * (1 - (position - cell))
  add(masks, bins, k, place, bin, weight)
  return above >= total ? 0 : -Math.log10(above / (total + weight))
}

/** After all tails of a reading: one step further in time. */
export function advance({ head, masks, bins }: Tails): void {
  const weight = head[0]!
  head[1]! += weight
  head[0] = weight * GROWTH
  if (weight < RENORMALISE_AT) return
  head[0]! /= RENORMALISE_AT
  head[1]! /= RENORMALISE_AT
  const end = filledBins(masks)
  for (let i = 0; i < end; i++) bins[i]! /= RENORMALISE_AT
}

/** The size that half of the earlier ones stay below; null before anything was seen. For explanations, not for decisions. */
export function usualSize({ head, masks, bins }: Tails, k: number): number | null {
  const top = head[2 + 2 * k]!
  if (top === NO_TOP) return null
  let place = binsBefore(masks, k)
  let above = 0
  for (let i = 0; i < BINS; i++) {
    if (masks[k]! & (1 << i)) above += bins[place++]!
    if (above >= head[1]! / 2) return 2 ** (head[3 + 2 * k]! + (top - i - 0.5 - INSIDE) / BINS_PER_OCTAVE)
  }
  return 0
}

/** Beyond the record a decade is worth as many bins as lie between one in ten and one in a hundred. */
function beyond(mask: number, bins: Float32Array, base: number, total: number, binsAbove: number): number {
  let place = base
  let sum = 0
  let hundredth = -1
  for (let i = 0; i < BINS; i++) {
    if (mask & (1 << i)) sum += bins[place++]!
    if (hundredth < 0 && sum >= 0.01 * total) hundredth = i
    if (sum >= 0.1 * total) return Math.min(MAX_BEYOND, binsAbove / Math.max(1, i - hundredth))
  }
  return 0
}

/** Makes room for larger sizes at the top; what falls off the bottom stays in the total. */
function shiftDown(masks: Uint32Array, bins: Float32Array, k: number, base: number, by: number): void {
  const mask = masks[k]!
  const kept = by < BINS ? (mask << by) >>> 0 : 0
  const gone = ones(mask) - ones(kept)
  if (gone > 0) bins.copyWithin(base + ones(kept), base + ones(mask), filledBins(masks))
  masks[k] = kept
}

/** … to this bin, which is or comes at this place. */
function add(
  masks: Uint32Array,
  bins: Float32Array,
  k: number,
  place: number,
  bin: number,
  weight: number,
): void {
  const bit = 1 << bin
  if ((masks[k]! & bit) === 0) {
    bins.copyWithin(place + 1, place, filledBins(masks))
    bins[place] = 0
    masks[k]! |= bit
  }
  bins[place]! += weight
}

function binsBefore(masks: Uint32Array, k: number): number {
  let count = 0
  for (let i = 0; i < k; i++) count += ones(masks[i]!)
  return count
}

/** Bits that are set. */
function ones(mask: number): number {
  let x = mask - ((mask >>> 1) & 0x55555555)
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333)
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
