import type { Micros } from '../time.ts'

/**
 * The pace of a recording: when a row is due, and whether the pace is one that detectors can know. Detectors learn each
 * sensor's interval, hours and weekdays from event times; a recording stamped anew at another speed has none of them.
 */
export type Speed = number | 'max'

export interface Rhythm {
  /** takes the time of the next row, in the order of the recording */
  see(at: Micros): {
    outOfOrder: boolean
    /** microseconds, where this is ten times the usual and more */ gap: number | null
  }
  /** between rows, microseconds; null until 20 gaps are known, or (at the end) any */
  usual(ended: boolean): Micros | null
}

const GAPS_TO_KNOW = 20
const LONG_GAP = 10

export function createRhythm(): Rhythm {
  const gaps: Micros[] = []
  let latest = -Infinity
  let median: Micros | null = null
  return {
    see(at) {
      const gap = at - latest
      if (gap < 0) return { outOfOrder: true, gap: null }
      latest = at
      if (gap > 0 && gap < Infinity && gaps.length < GAPS_TO_KNOW) {
        gaps.push(gap)
        if (gaps.length === GAPS_TO_KNOW) median = middle(gaps)
      }
      return { outOfOrder: false, gap: median !== null && gap >= LONG_GAP * median ? gap : null }
    },
    usual: (ended) => median ?? (ended && gaps.length > 0 ? middle(gaps) : null),
  }
}

function middle(values: Micros[]): Micros {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN
}

const SHORTEST_MICROS = 50_000
const LONGEST_MICROS = 600_000_000

/** Why detectors cannot know this rhythm, and what to do; null where they can. Only rows stamped anew are live data. */
export function judgeRhythm(usual: Micros | null, speed: Speed): string | null {
  if (speed === 'max')
    return 'rows are stamped as fast as they are sent, so intervals, rates of change, hours and weekdays mean nothing: use --time keep for history, or a speed'
  if (usual === null) return null
  const interval = usual / speed
  const rows = `rows ${usual / 1_000_000} s apart at speed ${speed} become a reading every ${Number((interval / 1_000_000).toPrecision(3))} s`
  if (interval < SHORTEST_MICROS) return `${rows}, faster than plant sensors measure: use a lower speed`
  if (interval > LONGEST_MICROS)
    return `${rows}, so silence is noticed only after an hour and more: use a higher speed`
  if (speed !== 1)
    return `${rows} and a day lasts ${Number((1440 / speed).toPrecision(3))} min, so hours and weekdays of the recording are not those of its stamps`
  return null
}
