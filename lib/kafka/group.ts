import type { Consumer, ConsumerGroupJoinEvent, EachBatchPayload } from 'kafkajs'
import { log } from '../log.ts'
import { DeadlineError, sleep, withDeadline } from '../run.ts'
import { newMember, removeMembers } from './member.ts'
import type { PartitionOwner } from './owner.ts'
import { recordsOf } from './records.ts'
import { clusterView, type ClusterView, type KafkaClients, type LogSeen } from './client.ts'

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
  /** kafkajs has stopped for good, or nothing moves although there is something to read: only a fresh process helps */
  onDead: (reason: string) => void
}

export interface Group {
  start(): Promise<void>
  /** asks for the partition anew after its owner failed to store */
  reclaim(topic: string, partition: number, delayMs: number): void
  assigned(): TopicPartition[]
  /** out of the group since Kafka does not answer: why. null: in it */
  away(): string | null
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

const CHUNK = 1000 // messages between two chances to send a heartbeat
/** a partition that stands still until somebody decides looks this often whether that has happened */
const ASK_PEOPLE_MS = 10_000
const CLAIM_BACKOFF_MS = [100, 200, 500, 1000, 2000, 5000]
/** twice the session: by then a healthy member has fetched, or has been told that it is out */
const SILENCE_MS = 20_000
/** Kafka would not tell where an assigned partition begins and ends: by then every broker was asked more than once */
const UNCLAIMED_MS = 30_000
/** between two tries to get into the group again; a coordinator that died is replaced within its broker session, 9 s */
const AGAIN_BACKOFF_MS = [200, 500, 1000, 2000]
const WATCH_EVERY_MS = 2000
/** one such try: a broker that says nothing (4 s), a second one, and the rebalance (15 s) */
const AGAIN_MS = 45_000

/**
 * One member of the consumer group. Offsets live in PostgreSQL, so every assignment goes through the same steps:
 *   GROUP_JOIN → pause all at once (its listener runs before the first fetch) → `claim` each partition → seek → resume.
 * kafkajs has no hook for revoked partitions and may re-join without telling; what was gained and lost is therefore the
 * difference of successive assignments, and the database fences whoever is late.
 */
export function createGroup(options: GroupOptions): Group {
  const { owner, topics } = options
  const view = clusterView(options.clients)
  const stopping = new AbortController()
  let assignment = new Map<string, TopicPartition>()
  let generation = 0
  const unclaimed = new Map<string, Unclaimed>()
  /** of each claimed partition the offset that is to be read next */
  const reached = new Map<string, number>()
  let rebalanceStartedAt: number | null = null
  let fetchedAt = Date.now()
  let watch: ReturnType<typeof setInterval> | null = null
  let away: string | null = null
  let tries = 0
  let triedAt = 0
  let consumer = enroll()

  function enroll(): Consumer {
    return newMember(options.clients, options.groupId, (member) => member === consumer, {
      joined,
      rebalancing,
      fetched: () => (fetchedAt = Date.now()),
      passed,
      ended(reason, mayReturn) {
        if (stopping.signal.aborted) return
        if (mayReturn) void comeAgain(reason)
        else options.onDead(`kafkajs gave up: ${reason}`)
      },
    })
  }

  function joined(payload: ConsumerGroupJoinEvent['payload']): void {
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
    for (const tp of next.values()) claim(tp, 0)
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
    away = null
    tries = 0
  }

  function rebalancing(memberId: string, lost: TopicPartition[] = []): void {
    rebalanceStartedAt ??= Date.now()
    options.onRebalance({
      type: 'rebalance_start',
      durationMs: null,
      assigned: [...assignment.values()],
      gained: [],
      lost,
      memberId,
      isLeader: false,
    })
  }

  async function enter(): Promise<void> {
    await consumer.connect()
    if (options.takesPlaceOf !== null) await removeMembers(view, options.groupId, options.takesPlaceOf)
    await consumer.subscribe({ topics, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: 3,
      eachBatch,
    })
  }

  /** The broker that answers for the group is away: what was ours is not any more, until we are in again. */
  async function comeAgain(reason: string): Promise<void> {
    const lost = [...assignment.values()]
    assignment = new Map()
    generation++
    unclaimed.clear()
    for (const tp of lost) owner.release(tp.topic, tp.partition)
    if (away === null) rebalancing('', lost)
    away = reason
    log.warn('group.left', { reason, lost, tries })
    for (let isIn = false; !isIn;) {
      await sleep(AGAIN_BACKOFF_MS[Math.min(tries++, AGAIN_BACKOFF_MS.length - 1)] ?? 2000, stopping.signal)
      if (stopping.signal.aborted) return
      triedAt = Date.now()
      options.clients.rotate()
      const mine = (consumer = enroll())
      try {
        await enter()
        isIn = true // or out once more, and the next to come again is on its way
      } catch (error) {
        if (mine !== consumer) return
        away = (error as Error).message
        void mine.disconnect().catch(() => {})
      }
    }
  }

  function claim(tp: TopicPartition, delayMs: number): void {
    const id = `${tp.topic}-${tp.partition}`
    unclaimed.set(id, { ...tp, since: Date.now(), reason: 'being claimed', kafka: false })
    void claimLoop(tp, generation, delayMs)
  }

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
        reached.set(id, offset)
        consumer.resume(byTopic([tp]))
        unclaimed.delete(id)
        return
      } catch (error) {
        const since = unclaimed.get(id)?.since ?? Date.now()
        if (mine === generation) unclaimed.set(id, { ...tp, since, reason: (error as Error).message, kafka })
        const waitsForPeople = owner.isFinal(error)
        if (!waitsForPeople) log.warn('partition.claim_failed', { ...tp, attempt, error: error as Error })
        const backoff = CLAIM_BACKOFF_MS[Math.min(attempt, CLAIM_BACKOFF_MS.length - 1)] ?? 5000
        await sleep(waitsForPeople ? ASK_PEOPLE_MS : backoff, stopping.signal)
      }
    }
  }

  function reclaim(topic: string, partition: number, delayMs: number): void {
    const tp = assignment.get(`${topic}-${partition}`)
    if (!tp || stopping.signal.aborted) return
    consumer.pause(byTopic([tp]))
    claim(tp, delayMs)
  }

  async function rangeOf(tp: TopicPartition): Promise<LogSeen> {
    const range = (await view.offsets(tp.topic)).find((o) => o.partition === tp.partition)
    if (!range)
      throw new Error(`Cannot claim ${tp.topic}-${tp.partition}: the cluster does not know this partition`)
    return { ...range, firstSince: (ms) => view.firstSince(tp.topic, tp.partition, ms) }
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
    const records = recordsOf(batch)
    const id = `${topic}-${partition}`
    const asked = records.last + 1
    if (asked < (reached.get(id) ?? 0) && !unclaimed.has(id) && !isStale()) {
      // Our place is not there any more, and the library began anew at the first: the claim looks what is.
      log.warn('log.went_back', { topic, partition, from: reached.get(id), to: asked })
      reclaim(topic, partition, 0)
      return
    }
    const beat = () => heartbeat().catch(() => {}) // the one below says it again
    while (records.standing) {
      if (!isRunning() || isStale() || stopping.signal.aborted) return
      const last = await owner.take(topic, partition, records, CHUNK, high, beat)
      while (owner.isBacklogged(topic, partition) && isRunning() && !stopping.signal.aborted) {
        await withDeadline(owner.drained(topic, partition), 1000, 'drain the writer').catch(
          (error: unknown) => {
            if (!(error instanceof DeadlineError)) throw error
          },
        )
        await heartbeat()
      }
      if (!isStale()) {
        resolveOffset(String(last))
        reached.set(id, last + 1)
      }
      await heartbeat()
    }
    if (!isStale()) passed(topic, partition, records.last + 1, Number(batch.lastOffset()) + 1)
  }

  function passed(topic: string, partition: number, from: number, to: number): void {
    const id = `${topic}-${partition}`
    const next = reached.get(id)
    if (next === undefined || unclaimed.has(id) || from > next || to <= next) return
    owner.pass(topic, partition, from, to)
    reached.set(id, to)
  }

  function watchProgress(): void {
    for (const u of unclaimed.values()) {
      if (u.kafka && Date.now() - u.since > UNCLAIMED_MS) {
        options.onDead(
          `${u.topic}-${u.partition} could not be claimed for ${UNCLAIMED_MS / 1000} s: ${u.reason}`,
        )
      }
    }
    const silentMs = Date.now() - Math.max(fetchedAt, triedAt)
    if (silentMs > (away === null ? SILENCE_MS : AGAIN_MS)) {
      options.onDead(away ?? `no fetch has ended for ${SILENCE_MS / 1000} s`)
    }
  }

  return {
    view,
    async start() {
      await enter()
      fetchedAt = Date.now()
      watch = setInterval(watchProgress, WATCH_EVERY_MS)
    },
    reclaim,
    assigned: () => [...assignment.values()],
    away: () => away,
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

function byTopic(places: TopicPartition[]): { topic: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>()
  for (const { topic, partition } of places) topics.set(topic, [...(topics.get(topic) ?? []), partition])
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }))
}
