import { z } from 'zod'
import * as answers from '../answers/live.ts'
import { sinkList } from '../answers/sinks.ts'
import { endpoint, type AnyEndpoint } from '../endpoint.ts'
import * as present from '../present.ts'
import type { Snapshot } from '../snapshot.ts'

/** The six paths that every dashboard of this plant has had, from the snapshot: they ask nobody. */
export function liveEndpoints(current: () => Snapshot): AnyEndpoint[] {
  const live = <A>(path: string, summary: string, answer: z.ZodType<A>, view: (s: Snapshot) => A) =>
    endpoint({ method: 'get', path, tag: 'live', summary, answer, handle: () => view(current()) })
  return [
    live(
      '/api/system-status',
      'Verdict, members, rebalances and the state of every part',
      answers.systemStatus,
      present.presentSystemStatus,
    ),
    live(
      '/api/consumer-health',
      'Consumers, their partitions and heartbeats',
      answers.consumerHealth,
      present.presentConsumerHealth,
    ),
    live(
      '/api/producer-health',
      'Producers and their message rates',
      answers.producerHealth,
      present.presentProducerHealth,
    ),
    live(
      '/api/partition-assignment',
      'Who works on which partition, how far, how late',
      answers.partitionAssignment,
      present.presentPartitionAssignment,
    ),
    live(
      '/api/sinks',
      'Other destinations of the same readings (Elasticsearch, S3): how far each is',
      sinkList,
      present.presentSinks,
    ),
    live(
      '/api/real-time-metrics',
      'Rates, latency and the last ten minutes',
      answers.realTimeMetrics,
      present.presentRealTimeMetrics,
    ),
    endpoint({
      method: 'get',
      path: '/api/recent-alerts',
      tag: 'live',
      summary: 'Open and recent alarms, and rebalances',
      query: z.object({ limit: z.coerce.number().int().min(1).max(500).default(50) }),
      answer: answers.recentAlerts,
      handle: ({ query }) => present.presentRecentAlerts(current(), query.limit),
    }),
  ]
}
