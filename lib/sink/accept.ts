import type { Transaction } from '../db/connect.ts'
import type { PartitionOffsets } from '../kafka/client.ts'

/**
 * The same act for the sinks. What they have written stays: from here on their documents and objects name the log that
 * they are of, so none takes the place of one of the logs before. Returns what was changed, one line a sink and partition.
 */
export async function acceptInSinks(
  tx: Transaction,
  clusterId: string,
  topic: string,
  ranges: readonly PartitionOffsets[],
): Promise<string[]> {
  const lines: string[] = []
  for (const { partition, low } of ranges) {
    const rows = await tx<{ sink: string; cluster_id: string; next_offset: number; log: number }[]>`
      select sink, cluster_id, next_offset, log from sink_progress where topic = ${topic} and partition = ${partition}
      order by sink, updated_at desc for update`
    for (const [sink, known] of Map.groupBy(rows, (row) => row.sink)) {
      const [before] = known
      if (!before) continue
      const log = Math.max(...known.map((row) => row.log)) + 1
      await tx`delete from sink_progress where sink = ${sink} and topic = ${topic} and partition = ${partition}
        and cluster_id = ${clusterId} and cluster_id <> ${before.cluster_id}`
      await tx`update sink_progress set cluster_id = ${clusterId}, log = ${log}, next_offset = ${low}, planned_to = null,
        marks_offset = ${low}, epoch = epoch + 1, stopped = null, updated_at = now()
        where sink = ${sink} and topic = ${topic} and partition = ${partition} and cluster_id = ${before.cluster_id}`
      lines.push(
        `${topic}-${partition} in ${sink}: was at offset ${before.next_offset} of cluster ${before.cluster_id}, goes on at ${low} of ${clusterId}`,
      )
    }
  }
  return lines
}
