import { Partitioners, type Producer } from 'kafkajs'
import { withDeadline } from '../run.ts'
import type { KafkaClients } from './client.ts'

/**
 * Sends a few messages and resolves when each is acknowledged: for alarms and dead letters. Readings go through the
 * spool instead. One topic-partition a send, because a send over two may resolve although one was never written.
 */
export interface Publisher {
  publish(topic: string, messages: Outgoing[]): Promise<void>
  close(): Promise<void>
}

export interface Outgoing {
  key: string | Buffer | null
  value: string | Buffer | null
  headers: OutgoingHeaders
  /** where it has to go, whatever its key says */
  partition?: number
}

/** a list where a name is repeated */
export type OutgoingHeaders = Record<string, string | Buffer | (string | Buffer)[]>

/** 4.5 s: one request time-out, and below the 5 s after which PostgreSQL ends the relay's open transaction. */
const PUBLISH_MS = 4500

export function createPublisher(clients: KafkaClients): Publisher {
  let producer: Promise<Producer> | null = null
  const partitioner = Partitioners.DefaultPartitioner()

  async function connect(): Promise<Producer> {
    const fresh = clients.current().producer({
      allowAutoTopicCreation: false,
      idempotent: false,
      retry: { retries: 0 },
    })
    await fresh.connect()
    return fresh
  }

  function drop(): void {
    const old = producer
    producer = null
    clients.rotate()
    void old?.then((p) => p.disconnect()).catch(() => {})
  }

  async function send(topic: string, messages: Outgoing[]): Promise<void> {
    producer ??= connect()
    const p = await producer
    const partitions = await partitionsOf(clients, topic)
    const byPartition = Map.groupBy(messages, (message) =>
      partitioner({ topic, partitionMetadata: partitions, message }),
    )
    for (const [partition, list] of byPartition) {
      const answer = await p.send({ topic, acks: -1, messages: list.map((m) => ({ ...m, partition })) })
      const only = answer.length === 1 ? answer[0] : undefined
      if (!only || only.partition !== partition || only.errorCode !== 0) {
        throw new Error(
          `Cannot publish to ${topic}-${partition}: the answer does not name it: ${JSON.stringify(answer)}`,
        )
      }
    }
  }

  return {
    async publish(topic, messages) {
      try {
        await withDeadline(send(topic, messages), PUBLISH_MS, `publish to ${topic}`)
      } catch (error) {
        drop()
        throw error
      }
    },
    async close() {
      const p = producer
      producer = null
      await p?.then((x) => withDeadline(x.disconnect(), 3000, 'close the publisher')).catch(() => {})
    },
  }
}

type PartitionMetadata = Parameters<
  ReturnType<typeof Partitioners.DefaultPartitioner>
>[0]['partitionMetadata']
const known = new Map<string, PartitionMetadata>()

/** Partition counts do not change while we run. */
async function partitionsOf(clients: KafkaClients, topic: string): Promise<PartitionMetadata> {
  const cached = known.get(topic)
  if (cached) return cached
  const admin = clients.current().admin()
  await admin.connect()
  try {
    const metadata = await admin.fetchTopicMetadata({ topics: [topic] })
    const partitions = metadata.topics[0]?.partitions ?? []
    known.set(topic, partitions)
    return partitions
  } finally {
    await admin.disconnect()
  }
}
