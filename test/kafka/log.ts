import { clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { withDeadline } from '../../lib/run.ts'

export interface Logged {
  partition: number
  offset: number
  key: string
  value: string
  runId: string
  seq: number
}

/** Everything that a topic holds now, by partition in order: read by a group of its own. */
export async function readTopic(brokers: string[], topic: string): Promise<Logged[]> {
  const clients = kafkaClients({ brokers, clientId: 'test-reader' })
  const view = clusterView(clients)
  const ends = new Map((await view.offsets(topic)).map((o) => [o.partition, o.high]))
  await view.close()
  const expected = [...ends.values()].reduce((sum, high) => sum + high, 0)
  const logged: Logged[] = []
  if (expected === 0) return logged
  const consumer = clients.current().consumer({
    groupId: `reader-${crypto.randomUUID()}`,
    sessionTimeout: 10_000,
    maxWaitTimeInMs: 100,
    allowAutoTopicCreation: false,
  })
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const complete = new Promise<void>((resolve) => {
      void consumer.run({
        autoCommit: false,
        eachBatch: async ({ batch }) => {
          for (const m of batch.messages) {
            logged.push({
              partition: batch.partition,
              offset: Number(m.offset),
              key: String(m.key),
              value: String(m.value),
              runId: String(m.headers?.['run-id']),
              seq: Number(String(m.headers?.seq)),
            })
          }
          if (logged.length >= expected) resolve()
        },
      })
    })
    await withDeadline(complete, 25_000, `read ${expected} messages of ${topic}`)
  } finally {
    await consumer.disconnect()
  }
  return logged.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}

/** The first appearance of each message, as a consumer with high-water marks sees the log: key → numbers in order. */
export function withoutRepeats(logged: readonly Logged[]): Map<string, number[]> {
  const marks = new Map<string, number[]>()
  for (const { key, seq } of logged) {
    const seen = marks.get(key) ?? []
    marks.set(key, seen)
    if (seq > (seen.at(-1) ?? 0)) seen.push(seq)
  }
  return marks
}
