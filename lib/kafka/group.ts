import type { Consumer, EachBatchPayload } from 'kafkajs'
import { log } from '../log.ts'
import { DeadlineError, sleep, withDeadline } from '../run.ts'
import { list, walk, type Headers, type PlainRecords, type Records } from './records.ts'
import { clusterView, type ClusterView, type KafkaClients, type PartitionOffsets } from './client.ts'

/**
 * One member of the consumer group. Offsets live in PostgreSQL, so every assignment goes through the same steps:
 *   GROUP_JOIN → pause all at once (its listener runs before the first fetch) → `claim` each partition → seek → resume.
 * kafkajs has no hook for revoked partitions and may re-join without telling; what was gained and lost is therefore the
 * difference of successive assignments, and the database fences whoever is late.
 */
export interface PartitionOwner {
  /** resolves to the offset to read from; rejected claims are tried again, with back-off, until they succeed or the assignment goes */
  claim(topic: string, partition: number, range: PartitionOffsets): Promise<number>
  /** takes at most so many records; resolves to the offset of the last one */
  take(
    topic: string,
    partition: number,
    records: Records,
    most: number,
    highWatermark: number,
  ): Promise<number>
  isBacklogged(topic: string, partition: number): boolean
  drained(topic: string, partition: number): Promise<void>
  release(topic: string, partition: number): void
  /** true for a claim error after which the partition stands still until a person has decided */
  isFinal(error: unknown): boolean
}

export interface RawMessage {
  offset: number
  appendedAtMs: number
  key: Buffer | null
  value: Buffer | null
  headers: Headers | undefined
  /** the same headers as they came; missing where nobody kept them */
  headerBytes?: Buffer
}

export interface TopicPartition {
  topic: string
  partition: number
}

export interface Unclaimed extends TopicPartition {
  /** milliseconds since 1970 */
  since: number
  reason: string
  /** it is Kafka that does not answer, not the database */
  kafka: boolean
}

export interface Rebalance {
  type: 'rebalance_start' | 'rebalance_complete'
  /** milliseconds from the start (or from the request to join) to the new assignment */
  durationMs: number | null
  assigned: TopicPartition[]
  gained: TopicPartition[]
  lost: TopicPartition[]
  memberId: string
  isLeader: boolean
}

export interface GroupOptions {
  clients: KafkaClients
  groupId: string
  topics: string[]
  /**
   * members with this client id are taken out of the group first: they are dead, or must be treated so, since this
   * process takes their place. Else every partition would stand still until their sessions end. null: nobody is
   */
  takesPlaceOf: string | null
  owner: PartitionOwner
  onRebalance: (event: Rebalance) => void
  /** kafkajs has given up, or nothing moves although there is something to read: the process should end and start afresh */
  onDead: (reason: string) => void
}

export interface Group {
  start(): Promise<void>
  /** asks for the partition anew after its owner failed to store */
  reclaim(topic: string, partition: number, delayMs: number): void
  assigned(): TopicPartition[]
  /** milliseconds since a fetch ended, with or without messages */
  fetchedMsAgo(): number
  /** assigned, but not (yet) taken over: nothing of these is being read */
  unclaimed(): Unclaimed[]
  /** lag tools read offsets from Kafka: told after PostgreSQL, best effort */
  commit(offsets: (TopicPartition & { offset: number })[]): Promise<void>
  /** leaves the group after the running batches */
  stop(): Promise<void>
  view: ClusterView
}

const SESSION_TIMEOUT_MS = 10_000
const CHUNK = 1000 // messages between two chances to send a heartbeat
/** a partition that stands still until somebody decides looks this often whether that has happened */
const ASK_PEOPLE_MS = 10_000
const CLAIM_BACKOFF_MS = [100, 200, 500, 1000, 2000, 5000]
/** twice the session: by then a healthy member has fetched, or has been told that it is out */
const SILENCE_MS = 20_000
/** Kafka would not tell where an assigned partition begins and ends: by then every broker was asked more than once */
const UNCLAIMED_MS = 30_000
const WATCH_EVERY_MS = 2000

export function createGroup(options: GroupOptions): Group {
  const { owner, topics } = options
  const view = clusterView(options.clients)
  const stopping = new AbortController()
  let assignment = new Map<string, TopicPartition>()
  let generation = 0
  const unclaimed = new Map<string, Unclaimed>()
  let rebalanceStartedAt: number | null = null
  let fetchedAt = Date.now()
  let watch: ReturnType<typeof setInterval> | null = null
  const consumer: Consumer = options.clients.current().consumer({
    groupId: options.groupId,
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
    retry: { retries: 8, initialRetryTime: 200, maxRetryTime: 2000, factor: 0.2, multiplier: 2 },
  })

  consumer.on('consumer.group_join', ({ payload }) => {
    const next = new Map<string, TopicPartition>()
    for (const [topic, partitions] of Object.entries(payload.memberAssignment)) {
      for (const partition of partitions) next.set(`${topic}-${partition}`, { topic, partition })
    }
    if (next.size > 0) consumer.pause(byTopic([...next.values()]))
    const gained = [...next].filter(([id]) => !assignment.has(id)).map(([, tp]) => tp)
    const lost = [...assignment].filter(([id]) => !next.has(id)).map(([, tp]) => tp)
    for (const tp of lost) owner.release(tp.topic, tp.partition)
    assignment = next
    generation++
    fetchedAt = Date.now()
    unclaimed.clear()
    for (const [id, tp] of next)
      unclaimed.set(id, { ...tp, since: Date.now(), reason: 'being claimed', kafka: false })
    options.onRebalance({
      type: 'rebalance_complete',
      durationMs: rebalanceStartedAt === null ? payload.duration : Date.now() - rebalanceStartedAt,
      assigned: [...next.values()],
      gained,
      lost,
      memberId: payload.memberId,
      isLeader: payload.isLeader,
    })
    rebalanceStartedAt = null
    for (const tp of next.values()) void claimLoop(tp, generation, 0)
  })
  consumer.on('consumer.rebalancing', ({ payload }) => {
    rebalanceStartedAt ??= Date.now()
    const assigned = [...assignment.values()]
    options.onRebalance({
      type: 'rebalance_start',
      durationMs: null,
      assigned,
      gained: [],
      lost: [],
      memberId: payload.memberId,
      isLeader: false,
    })
  })
  consumer.on('consumer.fetch', () => {
    fetchedAt = Date.now()
  })
  consumer.on('consumer.crash', ({ payload }) => {
    if (!stopping.signal.aborted) options.onDead(`kafkajs gave up: ${payload.error.message}`)
  })

  async function claimLoop(tp: TopicPartition, mine: number, delayMs: number): Promise<void> {
    await sleep(delayMs, stopping.signal)
    const id = `${tp.topic}-${tp.partition}`
    for (let attempt = 0; mine === generation && !stopping.signal.aborted; attempt++) {
      let kafka = true
      try {
        const range = await rangeOf(tp)
        if (mine !== generation) return
        kafka = false
        const offset = await owner.claim(tp.topic, tp.partition, range)
        if (mine !== generation || stopping.signal.aborted) return
        consumer.seek({ ...tp, offset: String(offset) })
        consumer.resume(byTopic([tp]))
        unclaimed.delete(id)
        return
      } catch (error) {
        const since = unclaimed.get(id)?.since ?? Date.now()
        if (mine === generation) unclaimed.set(id, { ...tp, since, reason: (error as Error).message, kafka })
        const waitsForPeople = owner.isFinal(error)
        if (!waitsForPeople) log.warn('partition.claim_failed', { ...tp, attempt, error: error as Error })
        await sleep(
          waitsForPeople
            ? ASK_PEOPLE_MS
            : (CLAIM_BACKOFF_MS[Math.min(attempt, CLAIM_BACKOFF_MS.length - 1)] ?? 5000),
          stopping.signal,
        )
      }
    }
  }

  async function rangeOf(tp: TopicPartition): Promise<PartitionOffsets> {
    const range = (await view.offsets(tp.topic)).find((o) => o.partition === tp.partition)
    if (!range)
      throw new Error(`Cannot claim ${tp.topic}-${tp.partition}: the cluster does not know this partition`)
    return range
  }

  async function eachBatch({
    batch,
    heartbeat,
    isRunning,
    isStale,
    resolveOffset,
  }: EachBatchPayload): Promise<void> {
    const { topic, partition } = batch
    const high = Number(batch.highWatermark)
    const records = recordsOf(batch as Fetched)
    while (records.standing) {
      if (!isRunning() || isStale() || stopping.signal.aborted) return
      const last = await owner.take(topic, partition, records, CHUNK, high)
      while (owner.isBacklogged(topic, partition) && isRunning() && !stopping.signal.aborted) {
        await withDeadline(owner.drained(topic, partition), 1000, 'drain the writer').catch(
          (error: unknown) => {
            if (!(error instanceof DeadlineError)) throw error
          },
        )
        await heartbeat()
      }
      if (!isStale()) resolveOffset(String(last))
      await heartbeat()
    }
  }

  /** Best effort: without it the group finds out by itself, ten seconds later. */
  async function removePredecessors(): Promise<void> {
    const { groupId, takesPlaceOf } = options
    if (takesPlaceOf === null) return
    try {
      await view.ask('take predecessors out of the group', async (admin) => {
        const { groups } = await admin.describeGroups([groupId])
        const theirs = groups.flatMap((g) => g.members).filter((m) => m.clientId === takesPlaceOf)
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

  function watchProgress(): void {
    for (const u of unclaimed.values()) {
      if (u.kafka && Date.now() - u.since > UNCLAIMED_MS) {
        options.onDead(
          `${u.topic}-${u.partition} could not be claimed for ${UNCLAIMED_MS / 1000} s: ${u.reason}`,
        )
      }
    }
    if (Date.now() - fetchedAt > SILENCE_MS) options.onDead(`no fetch has ended for ${SILENCE_MS / 1000} s`)
  }

  return {
    view,
    async start() {
      await consumer.connect()
      await removePredecessors()
      await consumer.subscribe({ topics, fromBeginning: true })
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: 3,
        eachBatch,
      })
      fetchedAt = Date.now()
      watch = setInterval(watchProgress, WATCH_EVERY_MS)
    },
    reclaim(topic, partition, delayMs) {
      const tp = assignment.get(`${topic}-${partition}`)
      if (!tp || stopping.signal.aborted) return
      consumer.pause(byTopic([tp]))
      unclaimed.set(`${topic}-${partition}`, {
        ...tp,
        since: Date.now(),
        reason: 'being claimed',
        kafka: false,
      })
      void claimLoop(tp, generation, delayMs)
    },
    assigned: () => [...assignment.values()],
    fetchedMsAgo: () => Date.now() - fetchedAt,
    unclaimed: () => [...unclaimed.values()],
    async commit(offsets) {
      if (offsets.length === 0 || stopping.signal.aborted) return
      await consumer
        .commitOffsets(
          offsets.map((o) => ({ topic: o.topic, partition: o.partition, offset: String(o.offset) })),
        )
        .catch((error: Error) => log.debug('offsets.commit_failed', { error }))
    },
    async stop() {
      if (watch) clearInterval(watch)
      stopping.abort()
      // 10 s: the running batch and leaving the group; a broker that is away must not hold us longer
      await withDeadline(consumer.disconnect(), 10_000, 'leave the group').catch((error: Error) =>
        log.warn('group.leave_failed', { error }),
      )
      await view.close()
    },
  }
}

/** What kafkajs has beside its documented fields: the offset that it had asked for, and with our patch the bytes. */
type Fetched = EachBatchPayload['batch'] & { fetchedOffset?: string; records?: PlainRecords }

/** Plain records stay the bytes that they are; what the library has decoded already is taken as it is. */
function recordsOf(batch: Fetched): Records {
  const from = Number(batch.fetchedOffset)
  if (batch.records) return walk(batch.records, from)
  return list(
    batch.messages.map((m) => ({
      offset: Number(m.offset),
      appendedAtMs: Number(m.timestamp),
      key: m.key,
      value: m.value,
      headers: m.headers,
    })),
    from,
  )
}

function byTopic(places: TopicPartition[]): { topic: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>()
  for (const { topic, partition } of places) topics.set(topic, [...(topics.get(topic) ?? []), partition])
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }))
}
