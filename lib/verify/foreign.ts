import type { StoredRow } from './stored.ts'

/**
 * Rows of producers that send no identity: all that can be said is that the log has such a message at that place.
 * `readLog` gives the content hashes of what the log says there: null for an offset that it no longer has.
 */
export interface ForeignVerdict {
  rows: number
  duplicated: number
  phantom: number
  /** older than what the log still has, or of a log that was replaced: cannot be told */
  unjudged: number
}

export type ReadLog = (
  topic: string,
  partition: number,
  offsets: readonly number[],
) => Promise<Map<number, readonly bigint[] | null>>

export async function judgeForeign(rows: readonly StoredRow[], readLog: ReadLog): Promise<ForeignVerdict> {
  const verdict: ForeignVerdict = { rows: rows.length, duplicated: 0, phantom: 0, unjudged: 0 }
  const places = Map.groupBy(rows, (r) => `${r.topic}\n${r.partition}`)
  const look = async (list: StoredRow[]): Promise<void> => {
    const { topic, partition } = list[0] as StoredRow
    const said = await readLog(topic, partition, [...new Set(list.map((r) => r.offset))])
    const seen = new Set<string>()
    for (const row of list) {
      if (row.isOfOlderLog) {
        verdict.unjudged++
        continue
      }
      const hashes = said.get(row.offset)
      const identity = `${row.offset} ${row.sensorId}`
      if (hashes === null) verdict.unjudged++
      else if (!hashes?.includes(row.hash)) verdict.phantom++
      else if (seen.has(identity)) verdict.duplicated++
      seen.add(identity)
    }
  }
  await Promise.all(places.values().map(look)) // each joins a group of its own, which takes seconds
  return verdict
}
