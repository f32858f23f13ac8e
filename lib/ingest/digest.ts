import type { Reading } from '../reading.ts'

const bits = new DataView(new ArrayBuffer(8))

/** 32 bits of what a message says (times and values): tells a repeat from a conflict. */
export function contentDigest(readings: readonly Reading[]): number {
  let digest = 0
  for (const r of readings) {
    bits.setFloat64(0, r.value)
    digest = Math.imul(digest ^ bits.getInt32(0), 0x85ebca6b) ^ bits.getInt32(4)
    bits.setFloat64(0, r.measuredAt)
    digest = Math.imul(digest ^ bits.getInt32(0), 0xc2b2ae35) ^ bits.getInt32(4)
    digest = Math.imul(digest ^ (digest >>> 15), 0x27d4eb2f)
  }
  return digest >>> 0
}
