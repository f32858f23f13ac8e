import type { ReadingRow } from '../../lib/ingest/copy.ts'

/** The rows of a binary COPY stream, read by the format's description alone: nothing is shared with its writer. */
export function readRows(bytes: Buffer): ReadingRow[] {
  if (bytes.subarray(0, 19).toString('latin1') !== 'PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0')
    throw new Error('Cannot read rows: no COPY signature')
  const rows: ReadingRow[] = []
  let at = 19
  const field = (): Buffer | null => {
    const length = bytes.readInt32BE(at)
    at += 4
    if (length === -1) return null
    at += length
    return bytes.subarray(at - length, at)
  }
  for (;;) {
    const fields = bytes.readInt16BE(at)
    at += 2
    if (fields === -1) break
    if (fields !== 13) throw new Error(`Cannot read rows: one has ${fields} fields`)
    const [
      measuredAt,
      value,
      offset,
      seq,
      sensorKey,
      runKey,
      quality,
      flags,
      partition,
      topicKey,
      level,
      claimed,
      metadata,
    ] = Array.from({ length: 13 }, field)
    if (metadata && metadata[0] !== 1) throw new Error('Cannot read rows: jsonb is not of version 1')
    rows.push({
      measuredAt: Number(measuredAt!.readBigInt64BE()) + 946_684_800_000_000,
      value: value!.readDoubleBE(),
      offset: Number(offset!.readBigInt64BE()),
      seq: seq ? Number(seq.readBigInt64BE()) : null,
      sensorKey: sensorKey!.readInt32BE(),
      runKey: runKey ? runKey.readInt32BE() : null,
      quality: quality!.readFloatBE(),
      flags: flags!.readInt32BE(),
      partition: partition!.readInt16BE(),
      topicKey: topicKey!.readInt16BE(),
      level: level!.readInt16BE(),
      claimedLevel: claimed ? claimed.readInt16BE() : null,
      metadata: metadata ? metadata.subarray(1).toString() : null,
    })
  }
  if (at !== bytes.length) throw new Error(`Cannot read rows: ${bytes.length - at} bytes behind the end`)
  return rows
}
