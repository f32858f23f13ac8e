/** The Confluent wire format: a zero byte, the schema's number (int32, big endian), then the Avro bytes. */
export const HEAD_BYTES = 5

/** null: too short, or another first byte: not in this format */
export function schemaIdOf(value: Buffer): number | null {
  return value.length >= HEAD_BYTES && value[0] === 0 ? value.readInt32BE(1) : null
}

export function framed(schemaId: number, avro: Buffer): Buffer {
  const value = Buffer.allocUnsafe(HEAD_BYTES + avro.length)
  value[0] = 0
  value.writeInt32BE(schemaId, 1)
  avro.copy(value, HEAD_BYTES)
  return value
}
