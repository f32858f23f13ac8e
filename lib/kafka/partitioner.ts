import type { Config } from '../config.ts'
import { topicPlan } from '../topics.ts'

/**
 * Which partition a key belongs to: as every Kafka client decides it by default (murmur2 of the key's bytes, sign bit
 * off, modulo the number of partitions), so that other producers put the same sensor into the same partition.
 * Written with 32-bit integers; callers keep the answer beside the key.
 */
export function partitionOf(key: string | Uint8Array, partitions: number): number {
  const bytes = typeof key === 'string' ? Buffer.from(key) : key
  return (murmur2(bytes) & 0x7fffffff) % partitions
}

/** Which partition of its topic a key goes to by the plan, whichever fleet runs. */
export function plannedPartition(config: Config): (topic: string, key: string) => number {
  const plan = topicPlan({ ...config, FLEET: 'all' })
  const partitions = new Map(plan.map((t) => [t.topic, t.partitions]))
  return (topic, key) => partitionOf(key, partitions.get(topic) ?? 1)
}

const SEED = 0x9747b28c
const M = 0x5bd1e995
const R = 24

/** MurmurHash2, 32 bit, after Austin Appleby, with the seed of Kafka's Java client. */
export function murmur2(data: Uint8Array): number {
  const length = data.length
  let h = SEED ^ length
  let i = 0
  for (; i + 4 <= length; i += 4) {
    let k = byte(data, i) | (byte(data, i + 1) << 8) | (byte(data, i + 2) << 16) | (byte(data, i + 3) << 24)
    k = Math.imul(k, M)
    k = Math.imul(k ^ (k >>> R), M)
    h = Math.imul(h, M) ^ k
  }
  const rest = length - i
  if (rest === 3) h ^= byte(data, i + 2) << 16
  if (rest >= 2) h ^= byte(data, i + 1) << 8
  if (rest >= 1) h = Math.imul(h ^ byte(data, i), M)
  h = Math.imul(h ^ (h >>> 13), M)
  return h ^ (h >>> 15)
}

function byte(data: Uint8Array, at: number): number {
  return data[at] ?? 0
}
