import type { z } from 'zod'
import { stateOf } from '../alarm/lifecycle.ts'
import type {
  alert,
  consumerHealth,
  partitionAssignment,
  producerHealth,
  realTimeMetrics,
  recentAlerts,
  systemStatus,
} from './answers/live.ts'
import type { sinkList } from './answers/sinks.ts'
import { groupVerdict } from './lag.ts'
import type { AlertRow } from './questions/alerts.ts'
import { worst, type Section } from './section.ts'
import type { Snapshot } from './snapshot.ts'

/** Snapshot → the six answers of the live API. Pure: what costs anything was done by the sampler. */
const state = ({ status, as_of, error }: Section<unknown>) => ({ status, as_of, error })

export function presentSystemStatus(s: Snapshot): z.infer<typeof systemStatus> {
  return {
    verdict: s.verdict,
    status: {
      consumers: members(s.consumers.data ?? []),
      producers: members(s.producers.data ?? []),
    },
    rebalancing_events: (s.rebalances.data ?? []).slice(0, 20),
    sections: {
      consumers: state(s.consumers),
      producers: state(s.producers),
      partitions: state(s.partitions),
      rebalancing_events: state(s.rebalances),
      alerts: state(s.alerts),
      sensors: state(s.sensors),
      storage: state(s.storage),
      kafka: state(s.kafka),
    },
    group: s.kafka.data?.group
      ? {
          group_id: s.kafka.data.group.group_id,
          state: s.kafka.data.group.state,
          members: s.kafka.data.group.members.length,
          verdict: groupVerdict((s.partitions.data ?? []).map((p) => p.verdict)),
        }
      : null,
    brokers: s.brokers,
    alerts: s.alerts.data?.counts ?? null,
    storage: s.storage.data,
    at: s.at,
  }
}

export function presentConsumerHealth(s: Snapshot): z.infer<typeof consumerHealth> {
  return { ...state(s.consumers), consumers: s.consumers.data ?? [], at: s.at }
}

export function presentProducerHealth(s: Snapshot): z.infer<typeof producerHealth> {
  return { ...state(s.producers), producers: s.producers.data ?? [], at: s.at }
}

export function presentPartitionAssignment(s: Snapshot): z.infer<typeof partitionAssignment> {
  return {
    ...state(s.partitions),
    assignments: s.partitions.data ?? [],
    partition_activity: partitionActivity(s),
    at: s.at,
  }
}

export function presentSinks(s: Snapshot): z.infer<typeof sinkList> {
  return { ...state(s.sinks), sinks: s.sinks.data ?? [], at: s.at }
}

export function presentRealTimeMetrics(s: Snapshot): z.infer<typeof realTimeMetrics> {
  return {
    ...worst(s.consumers, s.producers, s.partitions),
    consumer_throughput: (s.consumers.data ?? []).map((c) => ({
      consumer_id: c.consumer_id,
      status: c.status,
      messages_per_second: c.messages_per_second,
      total_messages_processed: c.total_messages_processed,
      lag: c.lag,
      processing_ms_mean: c.processing_ms_mean,
      processing_ms_p99: c.processing_ms_p99,
      end_to_end_ms_p50: c.end_to_end_ms_p50,
      end_to_end_ms_p99: c.end_to_end_ms_p99,
      errors: c.errors,
    })),
    producer_throughput: (s.producers.data ?? []).map((p) => ({
      producer_id: p.producer_id,
      sensor_type: p.sensor_type,
      status: p.status,
      messages_per_second: p.messages_per_second,
      expected_per_second: p.expected_per_second,
      total_messages_sent: p.total_messages_sent,
      spooled: p.spooled,
      errors: p.errors,
    })),
    partition_activity: partitionActivity(s),
    flow: s.flow.data,
    sections: {
      consumers: state(s.consumers),
      producers: state(s.producers),
      partitions: state(s.partitions),
    },
    at: s.at,
  }
}

export function presentRecentAlerts(s: Snapshot, limit: number): z.infer<typeof recentAlerts> {
  return {
    ...worst(s.alerts, s.rebalances),
    alerts: (s.alerts.data?.list ?? []).slice(0, limit).map((a) => presentAlert(a, Date.parse(s.at))),
    rebalancing_events: (s.rebalances.data ?? []).slice(0, limit),
    counts: s.alerts.data?.counts ?? null,
    sections: { alerts: state(s.alerts), rebalancing_events: state(s.rebalances) },
    at: s.at,
  }
}

export function presentAlert(a: AlertRow, now: number): z.infer<typeof alert> {
  return { ...a, state: stateOf(a, now) }
}

function partitionActivity(s: Snapshot) {
  return Object.fromEntries(
    (s.partitions.data ?? []).map((p) => [
      `${p.topic}-${p.partition}`,
      {
        topic: p.topic,
        partition: p.partition,
        messages_per_second: p.messages_per_second,
        stored: p.stored,
        lag: p.lag,
        lag_seconds: p.lag_seconds,
        end_offset: p.end_offset,
        next_offset: p.next_offset,
      },
    ]),
  )
}

function members(list: readonly { status: string }[]) {
  const by: Record<string, number> = {}
  for (const { status } of list) by[status] = (by[status] ?? 0) + 1
  return {
    total: list.length,
    active: by.active ?? 0,
    stale: by.stale ?? 0,
    dead: by.dead ?? 0,
    by_status: by,
  }
}
