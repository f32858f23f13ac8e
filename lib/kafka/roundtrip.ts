import { withDeadline } from '../run.ts'
import { clusterView, type KafkaClients } from './client.ts'
import { partitionOf } from './partitioner.ts'

const ROUND_TRIP_MS = 30_000

/**
 * One message to each partition of a topic of its own, and back: made, read and deleted again, so that no reader of
 * readings ever sees it. Resolves with the milliseconds from the first send to the last arrival.
 */
export async function roundTrip(
  clients: KafkaClients,
  partitions: number,
  replication: number,
): Promise<number> {
  const topic = `connectivity-check-${crypto.randomUUID().slice(0, 8)}`
  const kafka = clients.current()
  const view = clusterView(clients)
  const producer = kafka.producer({ allowAutoTopicCreation: false, idempotent: false, retry: { retries: 2 } })
  const consumer = kafka.consumer({
    groupId: topic,
    allowAutoTopicCreation: false,
    sessionTimeout: 10_000,
    maxWaitTimeInMs: 100,
    retry: { retries: 2 },
  })
  const missing = new Set(Array.from({ length: partitions }, (_, i) => i))
  const exchange = async () => {
    await view.ask(`create ${topic}`, (a) =>
      a.createTopics({
        waitForLeaders: true,
        topics: [{ topic, numPartitions: partitions, replicationFactor: replication }],
      }),
    )
    await Promise.all([producer.connect(), consumer.connect()])
    await consumer.subscribe({ topic, fromBeginning: true })
    const arrived = new Promise<void>((resolve) => {
      void consumer.run({
        autoCommit: false,
        eachMessage: async ({ partition }) => {
          missing.delete(partition)
          if (missing.size === 0) resolve()
        },
      })
    })
    const start = performance.now()
    for (let partition = 0; partition < partitions; partition++) {
      const key = `check-${partition}`
      const value = String(partitionOf(key, partitions))
      await producer.send({ topic, acks: -1, messages: [{ partition, key, value }] })
    }
    await arrived
    return performance.now() - start
  }
  try {
    return await withDeadline(exchange(), ROUND_TRIP_MS, 'send and read back a message a partition')
  } finally {
    await Promise.allSettled([
      withDeadline(consumer.disconnect(), 5000, 'leave the group'),
      withDeadline(producer.disconnect(), 5000, 'close the producer'),
    ])
    await view.ask(`delete ${topic}`, (a) => a.deleteTopics({ topics: [topic] })).catch(() => {})
    await view.ask('delete the group', (a) => a.deleteGroups([topic])).catch(() => {})
    await view.close()
  }
}
