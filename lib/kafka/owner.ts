import type { LogSeen } from './client.ts'
import type { Records } from './records.ts'

/** Whoever takes what the member of a group reads: it is asked for one partition at a time. */
export interface PartitionOwner {
  /** resolves to the offset to read from; rejected claims are tried again, with back-off, until they succeed or the assignment goes */
  claim(topic: string, partition: number, range: LogSeen): Promise<number>
  /** takes at most so many records; resolves to the offset of the last one; calls `beat` where it takes longer */
  take(
    topic: string,
    partition: number,
    records: Records,
    most: number,
    highWatermark: number,
    beat: () => Promise<void>,
  ): Promise<number>
  /** the log holds nothing to take there: ends of transactions, and what was taken back */
  pass(topic: string, partition: number, from: number, to: number): void
  isBacklogged(topic: string, partition: number): boolean
  drained(topic: string, partition: number): Promise<void>
  release(topic: string, partition: number): void
  /** true for a claim error after which the partition stands still until a person has decided */
  isFinal(error: unknown): boolean
}
