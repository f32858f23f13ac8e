import type { SinkBatch } from './batch.ts'

/** A server that takes batches of readings: Elasticsearch, S3. */
export interface Destination {
  /** kind and place, such as s3:sensor-cold: what the position belongs to */
  readonly name: string
  /** a batch is written when it has so many messages or bytes, or is so old */
  readonly limits: { messages: number; bytes: number; ageMs: number }
  /** Resolves when the server answers and has what it takes (index, bucket); rejects with what is missing. */
  prepare(): Promise<void>
  /**
   * Resolves when the server has taken the batch for good, to what it refused of it for good. Rejects where it has not, or
   * may not have: the very same batch is then written again, which must do no harm.
   */
  write(batch: SinkBatch): Promise<Refusal[]>
}

/** The server will never take this message: a fault of the message, never of the server. */
export interface Refusal {
  offset: number
  reason: string
  message: string
}
