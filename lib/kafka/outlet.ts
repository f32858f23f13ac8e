import type { Message, Producer, RecordMetadata } from 'kafkajs'
import { log } from '../log.ts'
import { withDeadline } from '../run.ts'
import { REQUEST_TIMEOUT_MS, type KafkaClients } from './client.ts'

/**
 * The way out to Kafka: one kafkajs producer that all topic-partitions share, replaced while they use it. Its successor
 * connects first and takes over then, so that a partition whose leader is frozen does not hold up the others; what is
 * under way on the old one may finish there.
 */
export interface Outlet {
  /** One attempt. Rejects where the outcome is unknown or a refusal. The answer is the broker's, unjudged. */
  send(topic: string, messages: Message[]): Promise<RecordMetadata[]>
  /** asks for a successor; many may ask at once */
  renew(reason: string): void
  close(): Promise<void>
}

interface Connection {
  producer: Producer
  inFlight: number
  retired: boolean
}

/** A request and, where the leader has moved, a question for metadata before it. */
const SEND_MS = REQUEST_TIMEOUT_MS * 2
/** TCP takes a frozen broker's connection at once, its greeting never comes: the next broker is better than waiting. */
const CONNECT_MS = REQUEST_TIMEOUT_MS + 1000

export function openOutlet(clients: KafkaClients): Outlet {
  let current: Connection | null = null
  let connecting: Promise<void> | null = null
  let closed = false

  async function connect(): Promise<void> {
    const producer = clients.current().producer({
      allowAutoTopicCreation: false,
      // Its idempotent mode loses an acknowledged message when two sends overlap and an answer is lost.
      idempotent: false,
      maxInFlightRequests: undefined, // one a partition is kept by the sender
      metadataMaxAge: 60_000,
      // No retries inside: it would ask the same broker for as long as it is frozen. The sender decides.
      retry: { retries: 0, initialRetryTime: 100, maxRetryTime: 1000, factor: 0.2, multiplier: 2 },
    })
    const fresh: Connection = { producer, inFlight: 0, retired: false }
    try {
      await withDeadline(producer.connect(), CONNECT_MS, 'connect to Kafka')
    } catch (error) {
      retire(fresh)
      clients.rotate()
      throw error
    }
    const old = current
    current = fresh
    if (old) retire(old)
    if (closed) retire(fresh)
  }

  function connectOnce(): Promise<void> {
    connecting ??= connect().finally(() => (connecting = null))
    return connecting
  }

  function retire(connection: Connection): void {
    connection.retired = true
    if (connection.inFlight === 0) void connection.producer.disconnect().catch(() => {})
  }

  return {
    async send(topic, messages) {
      if (!current) await connectOnce()
      const connection = current
      if (!connection || closed) throw new Error('Cannot send: the producer is closed')
      connection.inFlight++
      try {
        return await withDeadline(
          connection.producer.send({ topic, messages, acks: -1, timeout: REQUEST_TIMEOUT_MS }),
          SEND_MS,
          `send to ${topic}`,
        )
      } finally {
        connection.inFlight--
        if (connection.retired && connection.inFlight === 0) retire(connection)
      }
    },
    renew(reason) {
      if (closed || connecting) return
      log.info('kafka.client_renewed', { reason })
      clients.rotate()
      connectOnce().catch((error: unknown) => log.debug('kafka.connect_failed', { error }))
    },
    async close() {
      closed = true
      if (current) retire(current)
    },
  }
}
