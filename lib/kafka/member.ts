import type { Consumer, ConsumerGroupJoinEvent } from 'kafkajs'
import { log } from '../log.ts'
import { stir } from '../run.ts'
import type { ClusterView, KafkaClients } from './client.ts'

/** What becomes of one membership. Told only while the member is the current one: an old one may still stir. */
export interface MemberEvents {
  joined(payload: ConsumerGroupJoinEvent['payload']): void
  rebalancing(memberId: string): void
  fetched(): void
  /** a fetch brought these offsets, and nothing of them is to be read: the library goes on behind them */
  passed(topic: string, partition: number, from: number, to: number): void
  /** it is out and stays out; `mayReturn`: since Kafka did not answer, not by a fault of ours */
  ended(reason: string, mayReturn: boolean): void
}

const SESSION_TIMEOUT_MS = 10_000

/** One membership of a group, over the client that is current now. It is for once: who comes again is a new member. */
export function newMember(
  clients: KafkaClients,
  groupId: string,
  isCurrent: (member: Consumer) => boolean,
  events: MemberEvents,
): Consumer {
  let mayReturn = false
  const member = clients.current().consumer({
    groupId,
    sessionTimeout: SESSION_TIMEOUT_MS,
    rebalanceTimeout: 15_000,
    heartbeatInterval: 1000,
    maxBytesPerPartition: 256 * 1024,
    minBytes: 1,
    maxBytes: 4 * 1024 * 1024,
    maxWaitTimeInMs: 1000, // a fetch returns with the first byte: longer waits cost nothing but time to notice a pause
    metadataMaxAge: 4000, // a frozen leader says nothing: who leads now is asked of the others this often
    allowAutoTopicCreation: false,
    readUncommitted: false,
    retry: {
      retries: 8,
      initialRetryTime: 200,
      maxRetryTime: 2000,
      factor: 0.2,
      multiplier: 2,
      // Asked only where Kafka was the trouble. The library would come back over the same client, to the same broker.
      restartOnFailure: async () => {
        mayReturn = true
        return false
      },
    },
  })
  const whileCurrent =
    <E>(tell: (event: E) => void) =>
    (event: E) => {
      if (isCurrent(member)) tell(event)
    }
  member.on(
    'consumer.group_join',
    whileCurrent(({ payload }) => events.joined(payload)),
  )
  member.on(
    'consumer.rebalancing',
    whileCurrent(({ payload }) => events.rebalancing(payload.memberId)),
  )
  member.on(
    'consumer.fetch',
    whileCurrent(() => {
      events.fetched()
      setImmediate(stir) // after what was fetched is taken
    }),
  )
  member.on(
    'consumer.end_batch_process',
    whileCurrent(({ payload: { topic, partition, batchSize, firstOffset, lastOffset } }) => {
      if (batchSize === 0 && firstOffset !== null)
        events.passed(topic, partition, Number(firstOffset), Number(lastOffset) + 1)
    }),
  )
  member.on(
    'consumer.crash',
    whileCurrent(({ payload }) => events.ended(payload.error.message, mayReturn)),
  )
  return member
}

/**
 * Takes the members of this client id out of the group: whoever takes their place would wait for their sessions to end.
 * Best effort: without it the group finds out by itself, ten seconds later.
 */
export async function removeMembers(view: ClusterView, groupId: string, clientId: string): Promise<void> {
  try {
    await view.ask('take predecessors out of the group', async (admin) => {
      const { groups } = await admin.describeGroups([groupId])
      const theirs = groups.flatMap((g) => g.members).filter((m) => m.clientId === clientId)
      if (theirs.length === 0) return
      await admin.removeGroupMembers(
        groupId,
        theirs.map((m) => m.memberId),
      )
    })
  } catch (error) {
    log.info('group.predecessors_stay', { error: error as Error })
  }
}
