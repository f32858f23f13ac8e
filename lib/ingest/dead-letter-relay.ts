import type { Publish, Relay, RelayMessage } from '../alarm/relay.ts'
import type { Database, Transaction } from '../db/connect.ts'
import { log } from '../log.ts'
import { asRead, type KeptHeaders } from './headers.ts'

/**
 * Dead letters on the topic named after the one they came from (sensor.raw.dlt …): key and value as read, the headers
 * as read, and beside them why and where from in the names that Kafka Connect gives, so that its tools understand them.
 * Topic, partition and offset of origin tell a repeat.
 */
interface Letter {
  dead_letter_id: number
  topic: string
  partition: number
  offset: number
  reason: string
  message: string
  key: Buffer | null
  value: Buffer | null
  rest: Buffer | null
  headers: KeptHeaders
  detected_by: string
}

const PAGE = 20 // each may have a MiB
/** A topic that does not take its letters (it was never made) does not hold up the others'. */
const AGAIN_MS = 10_000
/** together in one send; a larger one goes alone */
const SEND_BYTES = 256 * 1024

export function deadLetterRelay(database: Pick<Database, 'sql'>, publish: Publish, group: string): Relay {
  const away = new Map<string, number>()

  async function send(tx: Transaction, topic: string, letters: readonly Letter[]): Promise<void> {
    for (const batch of batches(letters)) {
      await publish(
        `${topic}.dlt`,
        batch.map((letter) => toMessage(letter, group)),
      )
    }
    const ids = JSON.stringify(letters.map((l) => l.dead_letter_id))
    await tx`update dead_letters set relayed_at = now(), rest = null
      where dead_letter_id in (select value::bigint from jsonb_array_elements_text(${ids}::text::jsonb))`
  }

  return {
    name: 'dead letters',
    channel: 'dead_letters',
    async waits() {
      const one = await database.sql`
        select from dead_letters where relayed_at is null and "offset" is not null limit 1`
      return one.length > 0
    },
    async page(tx) {
      for (const [topic, until] of away) if (until < Date.now()) away.delete(topic)
      const letters = await tx<Letter[]>`
        select dead_letter_id, topic, partition, "offset", reason, message, key, value, rest, headers, detected_by
        from dead_letters where relayed_at is null and "offset" is not null
          and topic not in (select jsonb_array_elements_text(${JSON.stringify([...away.keys()])}::text::jsonb))
        order by dead_letter_id limit ${PAGE}`
      for (const [topic, list] of Map.groupBy(letters, (l) => l.topic)) {
        try {
          await send(tx, topic, list)
        } catch (error) {
          away.set(topic, Date.now() + AGAIN_MS)
          log.warn('dead_letters.not_published', { topic: `${topic}.dlt`, error: error as Error })
          return true // the others' in a transaction of their own: this one has waited long enough
        }
      }
      return letters.length === PAGE
    },
  }
}

function* batches(letters: readonly Letter[]): Generator<Letter[]> {
  let batch: Letter[] = []
  let bytes = 0
  for (const letter of letters) {
    const size = (letter.value?.length ?? 0) + (letter.rest?.length ?? 0)
    if (batch.length > 0 && bytes + size > SEND_BYTES) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(letter)
    bytes += size
  }
  if (batch.length > 0) yield batch
}

function toMessage(letter: Letter, group: string): RelayMessage {
  const { key, value, rest } = letter
  return {
    key,
    value: value && rest ? Buffer.concat([value, rest]) : value,
    headers: {
      ...asRead(letter.headers),
      '__connect.errors.topic': letter.topic,
      '__connect.errors.partition': String(letter.partition),
      '__connect.errors.offset': String(letter.offset),
      '__connect.errors.connector.name': group,
      '__connect.errors.task.id': letter.detected_by,
      '__connect.errors.stage': 'VALUE_CONVERTER',
      '__connect.errors.class.name': `decode ${letter.topic}`,
      '__connect.errors.exception.class.name': letter.reason,
      '__connect.errors.exception.message': letter.message,
      'dead-letter-id': String(letter.dead_letter_id),
    },
  }
}
