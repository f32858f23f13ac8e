/**
 * Rows of table readings in PostgreSQL's binary COPY format, appended straight into one growing buffer: no object a
 * row. Format: "Binary Format" of COPY in the PostgreSQL manual: a field is its length (int32) and its bytes, big endian.
 */
export const COPY_COLUMNS = [
  'measured_at',
  'value',
  'offset',
  'seq',
  'sensor_key',
  'run_key',
  'quality',
  'flags',
  'partition',
  'topic_key',
  'level',
  'claimed_level',
  'metadata',
] as const

export interface ReadingRow {
  /** microseconds since 1970 */
  measuredAt: number
  value: number
  offset: number
  seq: number | null
  sensorKey: number
  runKey: number | null
  quality: number
  flags: number
  partition: number
  topicKey: number
  level: number
  claimedLevel: number | null
  /** JSON text */
  metadata: string | null
}

/** To be filled for each reading: the place of a partition is the same in all its rows. */
export function emptyRow(partition: number, topicKey: number): ReadingRow {
  return {
    measuredAt: 0,
    value: 0,
    offset: 0,
    seq: null,
    sensorKey: 0,
    runKey: null,
    quality: 1,
    flags: 0,
    partition,
    topicKey,
    level: 0,
    claimedLevel: null,
    metadata: null,
  }
}

export const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
const FIXED_BYTES = 160 // more than all fields but metadata take
/** microseconds from 1970 to 2000, PostgreSQL's origin of time */
export const POSTGRES_EPOCH = 946_684_800_000_000
const TWO_32 = 4_294_967_296

export interface CopyBuffer {
  rows: number
  bytes(): number
  append(row: ReadingRow): void
  /** the whole COPY stream; the buffer is empty afterwards */
  finish(): Buffer
}

/** Buffers that have been sent, to be used again: growing a fresh one for each batch costs a fifth of what is written in it. */
const spare: Buffer[] = []
const SPARE = 4
const LARGEST_SPARE = 4 * 1024 * 1024

/** The server has taken these bytes: nobody looks at them any more. */
export function giveBack(sent: Buffer): void {
  if (spare.length < SPARE && sent.byteOffset === 0 && sent.buffer.byteLength <= LARGEST_SPARE)
    spare.push(Buffer.from(sent.buffer))
}

/** Small at first: most batches of a quiet plant are one reading. */
export function createCopyBuffer(initialBytes = 2048): CopyBuffer {
  let buffer = spare.pop() ?? Buffer.allocUnsafeSlow(initialBytes)
  let view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
  let end = SIGNATURE.copy(buffer)

  function reserve(bytes: number): void {
    if (end + bytes <= buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(buffer.length * 2, end + bytes))
    buffer.copy(larger, 0, 0, end)
    buffer = larger
    view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
  }
  function int16(v: number): void {
    view.setInt32(end, 2)
    view.setInt16(end + 4, v)
    end += 6
  }
  function int32(v: number): void {
    view.setInt32(end, 4)
    view.setInt32(end + 4, v)
    end += 8
  }
  function int64(v: number): void {
    const high = Math.floor(v / TWO_32)
    view.setInt32(end, 8)
    view.setInt32(end + 4, high)
    view.setUint32(end + 8, v - high * TWO_32)
    end += 12
  }
  function float64(v: number): void {
    view.setInt32(end, 8)
    view.setFloat64(end + 4, v)
    end += 12
  }
  function float32(v: number): void {
    view.setInt32(end, 4)
    view.setFloat32(end + 4, v)
    end += 8
  }
  function none(): void {
    view.setInt32(end, -1)
    end += 4
  }
  function jsonb(text: string): void {
    const bytes = buffer.write(text, end + 5, 'utf8')
    view.setInt32(end, bytes + 1)
    view.setUint8(end + 4, 1) // version of jsonb's binary form
    end += 5 + bytes
  }

  return {
    rows: 0,
    bytes: () => end,
    append(row) {
      reserve(FIXED_BYTES + (row.metadata === null ? 0 : row.metadata.length * 3))
      view.setInt16(end, COPY_COLUMNS.length)
      end += 2
      int64(row.measuredAt - POSTGRES_EPOCH)
      float64(row.value)
      int64(row.offset)
      if (row.seq === null) none()
      else int64(row.seq)
      int32(row.sensorKey)
      if (row.runKey === null) none()
      else int32(row.runKey)
      float32(row.quality)
      int32(row.flags)
      int16(row.partition)
      int16(row.topicKey)
      int16(row.level)
      if (row.claimedLevel === null) none()
      else int16(row.claimedLevel)
      if (row.metadata === null) none()
      else jsonb(row.metadata)
      this.rows++
    },
    finish() {
      reserve(2)
      view.setInt16(end, -1)
      const whole = buffer.subarray(0, end + 2)
      buffer = Buffer.allocUnsafeSlow(SIGNATURE.length) // most never get another row
      view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
      end = SIGNATURE.copy(buffer)
      this.rows = 0
      return whole
    },
  }
}
