import type { Reading } from '../reading.ts'
import type { Micros } from '../time.ts'

const bits = new DataView(new ArrayBuffer(8))

/** 32 bits of what a message says (times and values): tells a repeat from a conflict. */
export function contentDigest(readings: readonly Reading[]): number {
  let digest = 0
  for (const r of readings) digest = readingDigest(digest, r.value, r.measuredAt)
  return digest >>> 0
}

/** The digest with one more reading in it, as a signed number. */
export function readingDigest(digest: number, value: number, measuredAt: Micros): number {
  bits.setFloat64(0, value)
  let d = Math.imul(digest ^ bits.getInt32(0), 0x85ebca6b) ^ bits.getInt32(4)
  bits.setFloat64(0, measuredAt)
  d = Math.imul(d ^ bits.getInt32(0), 0xc2b2ae35) ^ bits.getInt32(4)
  return Math.imul(d ^ (d >>> 15), 0x27d4eb2f)
}
