import type { Reading } from './reading.ts'

const scratch = Buffer.alloc(8)

/**
 * 64-bit fingerprint of what a reading says (who, what, where, when, how much, how good). The spool's ledger keeps it
 * when a reading is accepted; `verify` computes it again from the stored row: equal means content equal. Metadata and
 * claims are not part of it.
 */
export function contentHash(r: Reading): bigint {
  const who = `${r.sensorId}\n${r.sensorType}\n${r.unit}\n${r.location.factorySection}\n${r.location.machineId}\n${r.location.zone}\n${r.measuredAt}\n`
  scratch.writeDoubleLE(r.value + 0, 0)
  const value = scratch.readBigUInt64LE(0)
  scratch.writeDoubleLE(Math.fround(r.quality), 0)
  return Bun.hash.wyhash(`${who}${value.toString(16)}\n${scratch.readBigUInt64LE(0).toString(16)}`)
}
