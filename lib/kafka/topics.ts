import { ConfigResourceTypes, type Admin } from 'kafkajs'
import { EXIT, sleep, Stop } from '../run.ts'
import type { TopicPlan } from '../topics.ts'
import type { ClusterView } from './client.ts'

export interface TopicReport {
  topic: string
  created: boolean
  partitions: number
  replication: number
  /** partitions of which a copy is behind or away */
  underReplicated: number[]
  minInSyncReplicas: number
  /** what differs from the plan and breaks a promise: order, durability */
  faults: string[]
  /** what differs otherwise */
  notes: string[]
}

/** Settings on which durability rests; a difference in the others is only told. */
const PROMISES = ['min.insync.replicas', 'unclean.leader.election.enable']
const POLL_MS = 500

/** Waits until as many brokers have joined as a topic needs copies. Throws Stop (69) when the time is over. */
export async function waitForBrokers(
  view: ClusterView,
  needed: number,
  ms: number,
  signal: AbortSignal,
): Promise<string> {
  const end = Date.now() + ms
  for (let seen = 'no answer'; ;) {
    try {
      const { brokers, clusterId } = await view.ask('describe the cluster', (a) => a.describeCluster())
      if (brokers.length >= needed) return clusterId
      seen = `${brokers.length} of ${needed} brokers are there`
    } catch (error) {
      seen = error instanceof Error ? error.message : String(error)
    }
    if (Date.now() > end || signal.aborted) {
      throw new Stop(
        `Cannot reach Kafka: ${seen}: start it (bun run infra), or set KAFKA_BROKERS`,
        EXIT.unavailable,
      )
    }
    await sleep(POLL_MS, signal)
  }
}

/**
 * Asks for the group's offsets until its coordinator answers. On a fresh cluster the first question makes the topic that
 * keeps them, and consumers that join in those seconds would give up and have to be started again.
 */
export async function waitForCoordinator(
  view: ClusterView,
  groupId: string,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  for (const end = Date.now() + ms; ;) {
    try {
      await view.ask('find the coordinator', (a) => a.fetchOffsets({ groupId, topics: [] }))
      return
    } catch (error) {
      if (Date.now() > end || signal.aborted) {
        const seen = error instanceof Error ? error.message : String(error)
        throw new Stop(
          `Cannot use the consumer group "${groupId}": ${seen}: see the logs of the brokers`,
          EXIT.unavailable,
        )
      }
    }
    await sleep(POLL_MS, signal)
  }
}

/** Makes what is missing of the plan; many may do so at once. Returns the names of what this call made. */
export async function createMissing(
  view: ClusterView,
  plan: readonly TopicPlan[],
  replication: number,
): Promise<Set<string>> {
  const existing = await view.ask('list the topics', (a) => a.listTopics())
  const missing = plan.filter((t) => !existing.includes(t.topic))
  const made = new Set<string>()
  for (const t of missing) {
    const fresh = await view.ask(`create ${t.topic}`, (a) => createTopic(a, t, replication), 30_000)
    if (fresh) made.add(t.topic)
  }
  const names = [...made]
  if (names.length > 0) {
    await whenKnown(() => view.ask('find the new topics', (a) => a.fetchTopicMetadata({ topics: names })))
  }
  return made
}

async function createTopic(admin: Admin, t: TopicPlan, replication: number): Promise<boolean> {
  // false where the topic was there already: somebody else has just made it
  return admin.createTopics({
    // The library's wait takes a broker that has not heard of the topic yet for a refusal; whenKnown() waits instead.
    waitForLeaders: false,
    timeout: 10_000,
    topics: [
      {
        topic: t.topic,
        numPartitions: t.partitions,
        replicationFactor: replication,
        configEntries: Object.entries(t.config).map(([name, value]) => ({ name, value })),
      },
    ],
  })
}

/** Compares the plan with what is there. A new topic may take a moment to be known everywhere. */
export async function verifyTopics(
  view: ClusterView,
  plan: readonly TopicPlan[],
  replication: number,
  created: ReadonlySet<string> = new Set(),
): Promise<TopicReport[]> {
  const names = plan.map((t) => t.topic)
  const metadata = await whenKnown(() =>
    view.ask('describe the topics', (a) => a.fetchTopicMetadata({ topics: names })),
  )
  const configs = await whenKnown(() =>
    view.ask('read the topics’ settings', (a) =>
      a.describeConfigs({
        includeSynonyms: false,
        resources: names.map((name) => ({ type: ConfigResourceTypes.TOPIC, name })),
      }),
    ),
  )
  return plan.map((t) => {
    const partitions = metadata.topics.find((m) => m.name === t.topic)?.partitions ?? []
    const entries = configs.resources.find((r) => r.resourceName === t.topic)?.configEntries ?? []
    const settings = new Map(entries.map((e) => [e.configName, e.configValue]))
    return compare(
      t,
      replication,
      created.has(t.topic),
      partitions.map((p) => ({
        partition: p.partitionId,
        replicas: p.replicas.length,
        inSync: p.isr.length,
      })),
      settings,
    )
  })
}

/** 10 s: a broker that has not heard of a new topic yet says that it does not exist; on a busy machine it takes a second. */
const KNOWN_MS = 10_000
const NOT_YET = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE'])

async function whenKnown<T>(describe: () => Promise<T>): Promise<T> {
  for (const end = Date.now() + KNOWN_MS; ;) {
    try {
      return await describe()
    } catch (error) {
      if (!NOT_YET.has((error as { type?: string }).type ?? '') || Date.now() > end) throw error
    }
    await sleep(POLL_MS)
  }
}

export function compare(
  planned: TopicPlan,
  replication: number,
  created: boolean,
  found: readonly { partition: number; replicas: number; inSync: number }[],
  settings: ReadonlyMap<string, string>,
): TopicReport {
  const faults: string[] = []
  const notes: string[] = []
  const seenReplication = Math.min(...found.map((p) => p.replicas))
  if (found.length !== planned.partitions) {
    faults.push(`${found.length} partitions, planned are ${planned.partitions}`)
  }
  if (found.some((p) => p.replicas !== replication)) {
    faults.push(`replication ${seenReplication}, planned is ${replication}`)
  }
  for (const [name, value] of Object.entries(planned.config)) {
    const seen = settings.get(name)
    if (seen === value) continue
    const line = `${name} is ${seen ?? 'not set'}, planned is ${value}`
    if (PROMISES.includes(name)) faults.push(line)
    else notes.push(line)
  }
  return {
    topic: planned.topic,
    created,
    partitions: found.length,
    replication: found.length > 0 ? seenReplication : 0,
    underReplicated: found.filter((p) => p.inSync < p.replicas).map((p) => p.partition),
    minInSyncReplicas: Number(settings.get('min.insync.replicas') ?? 0),
    faults,
    notes,
  }
}
