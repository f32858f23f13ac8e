import { sleep } from '../run.ts'
import type { Headers } from './records.ts'
import type { KafkaClients } from './client.ts'

export interface LogMessage {
  offset: number
  /** the log's own clock, milliseconds since 1970 */
  appendedAtMs: number
  key: Buffer | null
  value: Buffer | null
  headers: Headers | undefined
}

/** How long reading may go on without one new message. */
const SILENT_MS = 15_000

/**
 * Reads offsets `from` (inclusive) to `to` (exclusive) of one partition, outside any group of ours, and gives each
 * message to `take`. Offsets that the log no longer has are skipped; ends at `to` or at the end of the log.
 */
export async function readLogRange(
  clients: KafkaClients,
  topic: string,
  partition: number,
  from: number,
  to: number,
  take: (message: LogMessage) => void,
): Promise<void> {
  if (to <= from) return
  const groupId = `reader-${crypto.randomUUID()}`
  const consumer = clients
    .current()
    .consumer({ groupId, allowAutoTopicCreation: false, maxWaitTimeInMs: 200 })
  let done = false
  let movedAt = Date.now()
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    consumer.on('consumer.group_join', ({ payload }) => {
      const others = (payload.memberAssignment[topic] ?? []).filter((p) => p !== partition)
      if (others.length > 0) consumer.pause([{ topic, partitions: others }])
      consumer.seek({ topic, partition, offset: String(from) })
    })
    // Told of fetches that bring nothing to read, too: the last offsets may be the end of a transaction.
    consumer.on('consumer.end_batch_process', ({ payload }) => {
      if (payload.partition !== partition) return
      movedAt = Date.now()
      if (Number(payload.lastOffset) >= to - 1) done = true
    })
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        if (batch.partition !== partition) return
        for (const message of batch.messages) {
          const offset = Number(message.offset)
          const { key, value, headers } = message
          const appendedAtMs = Number(message.timestamp)
          if (offset >= from && offset < to) take({ offset, appendedAtMs, key, value, headers })
        }
      },
    })
    while (!done && Date.now() - movedAt < SILENT_MS) await sleep(50)
  } finally {
    await consumer.disconnect().catch(() => {})
    const admin = clients.current().admin()
    await admin
      .connect()
      .then(() => admin.deleteGroups([groupId]))
      .catch(() => {})
      .finally(() => admin.disconnect())
  }
}
