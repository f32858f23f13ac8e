import type { Transaction } from '../db/connect.ts'
import type { PartitionOffsets } from '../kafka/client.ts'

/**
 * An operator's act after a topic was re-created or moved to another cluster: storing goes on at the start of the log
 * that is there now. What is stored stays, and so do the high-water marks: a reading that a producer sends again is
 * still a repeat. Returns what was changed, one line a partition.
 */
export async function acceptNewLog(
  tx: Transaction,
  clusterId: string,
  topic: string,
  ranges: readonly PartitionOffsets[],
): Promise<string[]> {
  const lines: string[] = []
  for (const { partition, low } of ranges) {
    const rows = await tx<{ cluster_id: string; next_offset: number }[]>`
      select cluster_id, next_offset from partition_progress where topic = ${topic} and partition = ${partition}
      order by updated_at desc limit 1 for update`
    const before = rows[0]
    if (!before) continue
    await tx`delete from partition_progress where topic = ${topic} and partition = ${partition}
      and cluster_id = ${clusterId} and cluster_id <> ${before.cluster_id}`
    await tx`delete from partition_checkpoints where topic = ${topic} and partition = ${partition}
      and cluster_id = ${clusterId} and cluster_id <> ${before.cluster_id}`
    await tx`update partition_progress set cluster_id = ${clusterId}, next_offset = ${low}, epoch = epoch + 1,
      stopped = null, updated_at = now()
      where topic = ${topic} and partition = ${partition} and cluster_id = ${before.cluster_id}`
    await tx`update partition_checkpoints set cluster_id = ${clusterId}, at_offset = ${low}
      where topic = ${topic} and partition = ${partition} and cluster_id = ${before.cluster_id}`
    // What came into force at offsets of the old log was in force before the new one begins.
    await tx`delete from rule_activations where topic = ${topic} and partition = ${partition}
      and cluster_id = ${clusterId} and cluster_id <> ${before.cluster_id}`
    await tx`update rule_activations set cluster_id = ${clusterId}, from_offset = least(from_offset, ${low})
      where topic = ${topic} and partition = ${partition} and cluster_id = ${before.cluster_id}`
    const line = `${topic}-${partition}: was at offset ${before.next_offset} of cluster ${before.cluster_id}, goes on at ${low} of ${clusterId}`
    // verify reads this: rows stored before are of the log that is gone
    await tx`insert into system_events (source, event, severity, message, details)
      values ('topics', 'log.accepted', 'warning', ${line}, ${JSON.stringify({ topic, partition })}::text::jsonb)`
    lines.push(line)
  }
  return lines
}
