import { MAX_VALUE_BYTES } from '../reading.ts'

/**
 * How messages lie in a chunk, one after the other, little endian:
 * value length u32 · key length u16 · number of readings u16 · seq f64 · sensor number u32 each · key · value.
 */
export interface SpooledMessage {
  key: Buffer
  value: Buffer
  /** running number of this key on this topic */
  seq: number
  /** the sensors, by their numbers in this spool, that have a reading in it */
  sensors: number[]
}

const HEAD_BYTES = 16
const START_BYTES = 64 * 1024

export interface FrameWriter {
  readonly messages: number
  readonly bytes: number
  /** false, and nothing written, where the value is larger than any consumer looks into */
  append(key: string, value: string | Uint8Array, seq: number, sensors: readonly number[]): boolean
  /** a copy of what was written */
  payload(): Buffer
}

export function createFrameWriter(): FrameWriter {
  let buffer = Buffer.allocUnsafe(START_BYTES)
  let end = 0
  let messages = 0

  const makeRoom = (bytes: number) => {
    if (end + bytes <= buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, end + bytes))
    buffer.copy(larger, 0, 0, end)
    buffer = larger
  }

  return {
    get messages() {
      return messages
    },
    get bytes() {
      return end
    },
    append(key, value, seq, sensors) {
      if (value.length > MAX_VALUE_BYTES) return false
      const text = typeof value === 'string'
      makeRoom(HEAD_BYTES + sensors.length * 4 + key.length * 3 + (text ? value.length * 3 : value.length))
      let at = end + HEAD_BYTES
      for (const sensor of sensors) at = buffer.writeUInt32LE(sensor, at)
      const keyBytes = buffer.write(key, at)
      at += keyBytes
      const valueBytes = text ? buffer.write(value, at) : value.length
      if (valueBytes > MAX_VALUE_BYTES) return false
      if (!text) buffer.set(value, at)
      buffer.writeUInt32LE(valueBytes, end)
      buffer.writeUInt16LE(keyBytes, end + 4)
      buffer.writeUInt16LE(sensors.length, end + 6)
      buffer.writeDoubleLE(seq, end + 8)
      end = at + valueBytes
      messages++
      return true
    },
    payload: () => Buffer.from(buffer.subarray(0, end)),
  }
}

/** The messages of a chunk, as views into it. Throws where the chunk is not what was written. */
export function readFrames(payload: Uint8Array): SpooledMessage[] {
  const buffer = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  const messages: SpooledMessage[] = []
  let at = 0
  while (at < buffer.length) {
    const valueBytes = buffer.readUInt32LE(at)
    const keyBytes = buffer.readUInt16LE(at + 4)
    const count = buffer.readUInt16LE(at + 6)
    const seq = buffer.readDoubleLE(at + 8)
    at += HEAD_BYTES
    const sensors: number[] = []
    for (let i = 0; i < count; i++, at += 4) sensors.push(buffer.readUInt32LE(at))
    const valueAt = at + keyBytes
    const end = valueAt + valueBytes
    if (end > buffer.length)
      throw new Error(`Cannot read a chunk: a message ends at ${end} of ${buffer.length}`)
    messages.push({ key: buffer.subarray(at, valueAt), value: buffer.subarray(valueAt, end), seq, sensors })
    at = end
  }
  return messages
}
