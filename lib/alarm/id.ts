/** Namespace of alarm ids; never to change, ids in the journal depend on it. */
const NAMESPACE = Buffer.from('6f1d2c7e9a4b4f0e8c3d5b7a9e1f2d3c', 'hex')

/**
 * The id of an alarm: uuidv5 (RFC 9562 §5.5) of its rule, its sensor and where in the log the episode began. The same log gives
 * the same id on any machine, after any restart.
 */
export function alarmId(
  rule: string,
  sensorId: string,
  source: { topic: string; partition: number; offset: number },
): string {
  const name = `${rule}\n${sensorId}\n${source.topic}\n${source.partition}\n${source.offset}`
  const hash = new Bun.CryptoHasher('sha1').update(NAMESPACE).update(name).digest().subarray(0, 16)
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80
  const hex = Buffer.from(hash).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
