import { COPY_COLUMNS, POSTGRES_EPOCH, SIGNATURE, type ReadingRow } from './copy.ts'

/**
 * The rows of a whole COPY stream (see copy.ts) as values again: a few rows are stored by one statement instead, which
 * costs a third of a COPY with its transaction. Throws where the bytes are no such stream.
 */
export function rowsOf(stream: Buffer): ReadingRow[] {
  if (!stream.subarray(0, SIGNATURE.length).equals(SIGNATURE))
    throw new Error('Cannot read rows: no COPY signature')
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength)
  let at = SIGNATURE.length
  /** steps over a field; where its bytes begin, or null where it holds nothing */
  function field(): number | null {
    const length = view.getInt32(at)
    at += 4 + Math.max(0, length)
    return length === -1 ? null : at - length
  }
  function needed(): number {
    const begin = field()
    if (begin === null)
      throw new Error(`Cannot read rows: nothing in a column that is never null, at byte ${at}`)
    return begin
  }
  const int16 = (begin: number) => view.getInt16(begin)
  const int32 = (begin: number) => view.getInt32(begin)
  const int64 = (begin: number) => Number(view.getBigInt64(begin))
  const optional = <T>(read: (begin: number) => T): T | null => {
    const begin = field()
    return begin === null ? null : read(begin)
  }
  const rows: ReadingRow[] = []
  for (;;) {
    const fields = view.getInt16(at)
    at += 2
    if (fields === -1) break
    if (fields !== COPY_COLUMNS.length) throw new Error(`Cannot read rows: one has ${fields} fields`)
    rows.push({
      measuredAt: int64(needed()) + POSTGRES_EPOCH,
      value: view.getFloat64(needed()),
      offset: int64(needed()),
      seq: optional(int64),
      sensorKey: int32(needed()),
      runKey: optional(int32),
      quality: view.getFloat32(needed()),
      flags: int32(needed()),
      partition: int16(needed()),
      topicKey: int16(needed()),
      level: int16(needed()),
      claimedLevel: optional(int16),
      metadata: optional((begin) => stream.toString('utf8', begin + 1, at)), // behind jsonb's version byte
    })
  }
  if (at !== stream.length) throw new Error(`Cannot read rows: ${stream.length - at} bytes behind the end`)
  return rows
}
