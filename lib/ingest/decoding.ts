import { SchemaPending } from '../avro/reader.ts'
import type { Decoded, Decoder, Fault } from './decode.ts'

/**
 * Decodes a partition's messages in order. Where what says how to decode one cannot be had now (the schema registry is
 * away), the partition stands before that message: nothing goes past it until `goOn` finds that it can be decoded.
 */
export interface Decoding<Message> {
  /** none while it stands; `pending`: why the message after the last of these cannot be decoded */
  decode(messages: readonly Message[]): Promise<Chunk<Message>>
  /** Throws SchemaPending while it still has to stand. */
  goOn(): Promise<void>
  /** the partition is somebody else's now */
  forget(): void
}

export interface Chunk<Message> {
  fresh: readonly Message[]
  decoded: (Decoded | Fault)[]
  pending: SchemaPending | null
}

export function createDecoding<Message extends { offset: number; value: Buffer | null }>(
  decode: Decoder,
  verdict: (offset: number) => Fault | undefined,
): Decoding<Message> {
  let before: Message | null = null
  return {
    async decode(messages) {
      if (before) return { fresh: [], decoded: [], pending: null }
      await decode.learn?.(messages.map((m) => m.value))
      const decoded: (Decoded | Fault)[] = []
      let pending: SchemaPending | null = null
      for (const message of messages) {
        try {
          decoded.push(verdict(message.offset) ?? decode(message.value))
        } catch (error) {
          if (!(error instanceof SchemaPending)) throw error
          pending = error
          before = message
          break
        }
      }
      return { fresh: messages.slice(0, decoded.length), decoded, pending }
    },
    async goOn() {
      if (!before) return
      await decode.learn?.([before.value])
      decode(before.value)
      before = null
    },
    forget() {
      before = null
    },
  }
}
