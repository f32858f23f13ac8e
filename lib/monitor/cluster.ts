import type { ClusterView } from '../kafka/client.ts'

/** What Kafka itself says, from one poll in the background; no page and no API call ever asks a broker. */
export interface Cluster {
  cluster_id: string
  controller: number | null
  brokers: Broker[]
  topics: TopicState[]
  group: Group | null
}

export interface Broker {
  id: number
  host: string
  port: number
  is_controller: boolean
}

export interface TopicState {
  topic: string
  partitions: PartitionState[]
}

export interface PartitionState {
  partition: number
  leader: number | null
  replicas: number[]
  isr: number[]
  low: number | null
  high: number | null
}

export interface Group {
  group_id: string
  state: string
  protocol: string
  members: { member_id: string; client_id: string; client_host: string }[]
}

/** The end offsets alone: cheap, asked every second. A topic that nobody created yet has no entry. */
export type Ends = Map<string, { partition: number; low: number; high: number }[]>

export async function askEnds(view: ClusterView, topics: readonly string[]): Promise<Ends> {
  const ends: Ends = new Map()
  const answers = await Promise.allSettled(topics.map((topic) => view.offsets(topic)))
  answers.forEach((answer, i) => {
    const topic = topics[i]
    if (topic !== undefined && answer.status === 'fulfilled') ends.set(topic, answer.value)
  })
  const refused = answers.find((a) => a.status === 'rejected')
  // All refused: Kafka is away. Some: those topics are unknown, which the panel of topics shows.
  if (ends.size === 0 && refused) throw refused.reason
  return ends
}

/** Brokers, controller, replicas and the group: changes rarely, asked every few seconds. */
export async function askCluster(
  view: ClusterView,
  topics: readonly string[],
  groupId: string,
): Promise<Cluster> {
  const [cluster, existing] = await Promise.all([
    view.ask('describe the cluster', (admin) => admin.describeCluster()),
    view.ask('list the topics', (admin) => admin.listTopics()),
  ])
  const known = topics.filter((t) => existing.includes(t))
  const [metadata, groups] = await Promise.all([
    known.length === 0
      ? null
      : view.ask('read the replicas of the topics', (admin) =>
          admin.fetchTopicMetadata({ topics: [...known] }),
        ),
    // A group whose coordinator is being elected is no reason to know nothing of the rest.
    view.ask('describe the consumer group', (admin) => admin.describeGroups([groupId])).catch(() => null),
  ])
  const group = groups?.groups[0]
  return {
    cluster_id: cluster.clusterId,
    controller: cluster.controller,
    brokers: cluster.brokers
      .map((b) => ({
        id: b.nodeId,
        host: b.host,
        port: b.port,
        is_controller: b.nodeId === cluster.controller,
      }))
      .sort((a, b) => a.id - b.id),
    topics: (metadata?.topics ?? [])
      .map((t) => ({
        topic: t.name,
        partitions: t.partitions
          .map((p) => ({
            partition: p.partitionId,
            leader: p.leader < 0 ? null : p.leader,
            replicas: p.replicas,
            isr: p.isr,
            low: null,
            high: null,
          }))
          .sort((a, b) => a.partition - b.partition),
      }))
      .sort((a, b) => a.topic.localeCompare(b.topic)),
    group: group
      ? {
          group_id: group.groupId,
          state: group.state,
          protocol: group.protocol,
          members: group.members.map((m) => ({
            member_id: m.memberId,
            client_id: m.clientId,
            client_host: m.clientHost,
          })),
        }
      : null,
  }
}
