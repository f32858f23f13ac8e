import { z } from 'zod'
import { ALARM_STATES } from '../../alarm/lifecycle.ts'

/**
 * The shape of every answer, checked in tests and development, and the source of /openapi.json. Times are ISO 8601 UTC.
 * Fields are only ever added.
 */
const time = z.iso.datetime()
const amount = z.number()
const maybe = amount.nullable()
const topicPartition = z.object({ topic: z.string(), partition: z.int() })

export const sectionState = z.object({
  status: z
    .enum(['ok', 'stale', 'error'])
    .meta({ description: 'whether the data below are fresh, old, or the newest attempt failed' }),
  as_of: time.nullable().meta({ description: 'when the data were last read; null: never' }),
  error: z.object({ title: z.string(), detail: z.string(), since: time }).nullable(),
})

export const consumer = z
  .object({
    consumer_id: z.string(),
    status: z.enum([
      'starting',
      'active',
      'standby',
      'paused',
      'stopping',
      'stopped',
      'failed',
      'stale',
      'dead',
    ]),
    assigned_partitions: z.array(topicPartition),
    last_heartbeat: time,
    heartbeat_age_s: amount,
    connected: z.boolean(),
    total_messages_processed: amount,
    messages_per_second: maybe,
    lag: maybe,
    instance_id: z.string(),
    started_at: time,
    host: z.string(),
    pid: z.int().nullable(),
    processing_ms_mean: maybe,
    processing_ms_p99: maybe,
    end_to_end_ms_p50: maybe,
    end_to_end_ms_p99: maybe,
    errors: amount,
    last_error: z.string().nullable(),
    last_error_at: time.nullable(),
    paused_reason: z.string().nullable(),
    beats: z.array(z.boolean()),
  })
  .meta({ id: 'Consumer' })

export const producer = z
  .object({
    producer_id: z.string(),
    sensor_type: z.string().nullable(),
    status: z.enum([
      'starting',
      'active',
      'blocked',
      'stopping',
      'stopped',
      'finished',
      'failed',
      'stale',
      'dead',
    ]),
    last_heartbeat: time,
    heartbeat_age_s: amount,
    connected: z.boolean(),
    total_messages_sent: amount,
    total_messages_accepted: amount,
    messages_per_second: maybe,
    expected_per_second: maybe,
    fleet: z.string(),
    run_id: z.string(),
    started_at: time,
    host: z.string(),
    pid: z.int().nullable(),
    spooled: amount,
    spool_bytes: amount,
    oldest_spooled_at: time.nullable(),
    dropped: amount,
    rejected: amount,
    errors: amount,
    last_error: z.string().nullable(),
    last_error_at: time.nullable(),
    kafka_reachable: z.boolean().nullable(),
  })
  .meta({ id: 'Producer' })

export const rebalancingEvent = z
  .object({
    event_id: amount,
    at: time,
    group_id: z.string(),
    consumer_id: z.string(),
    event_type: z.enum(['rebalance_start', 'rebalance_complete', 'partition_assigned', 'partition_revoked']),
    generation: z.int().nullable(),
    assigned: z.array(topicPartition),
    gained: z.array(topicPartition),
    lost: z.array(topicPartition),
    duration_ms: maybe,
    details: z.unknown(),
  })
  .meta({ id: 'RebalancingEvent' })

export const assignment = z
  .object({
    topic: z.string(),
    partition: z.int(),
    consumer_id: z.string().nullable().meta({ description: 'who works on it now; null: nobody' }),
    last_owner: z.string().nullable(),
    leader: z.int().nullable(),
    replicas: z.array(z.int()),
    isr: z.array(z.int()),
    low_offset: maybe,
    end_offset: maybe.meta({ description: 'from Kafka, live' }),
    next_offset: maybe.meta({ description: 'from PostgreSQL: the first offset that is not stored' }),
    lag: maybe.meta({ description: 'messages waiting' }),
    lag_seconds: maybe.meta({ description: 'how long the oldest of them has been waiting' }),
    verdict: z.enum(['OK', 'WARN', 'STALL', 'STOP', 'REWIND']),
    rule: z.int(),
    epoch: maybe,
    claimed_at: time.nullable(),
    updated_at: time.nullable(),
    messages_per_second: maybe,
    stored: amount,
    dead_lettered: amount,
    repeated: amount,
    conflicting: amount,
    missing: amount,
    filled: amount,
    unidentified: amount,
    late: amount,
    stopped: z.string().nullable(),
  })
  .meta({ id: 'Assignment' })

const activity = z.record(
  z.string().meta({ description: 'topic-partition' }),
  z.object({
    topic: z.string(),
    partition: z.int(),
    messages_per_second: maybe,
    stored: amount,
    lag: maybe,
    lag_seconds: maybe,
    end_offset: maybe,
    next_offset: maybe,
  }),
)

export const alert = z
  .object({
    alert_id: z.string(),
    timestamp: time,
    sensor_id: z.string(),
    sensor_type: z.string(),
    anomaly_type: z.string(),
    severity: z.enum(['low', 'medium', 'high', 'critical']),
    state: z.enum(ALARM_STATES),
    sensor_value: maybe,
    sensor_unit: z.string(),
    sensor_alert_level: z.string(),
    location: z.object({ factory_section: z.string(), machine_id: z.string(), zone: z.string() }).partial(),
    detected_by: z.string(),
    description: z.string(),
    rule_id: z.string(),
    rule_version: z.int(),
    late: z.boolean(),
    topic: z.string(),
    partition: z.int(),
    offset: amount,
    active: z.boolean(),
    cleared_at: time.nullable(),
    peak_value: maybe,
    acknowledged: z.boolean(),
    acknowledged_at: time.nullable(),
    acknowledged_by: z.string().nullable(),
    acknowledge_comment: z.string().nullable(),
    shelved_until: time.nullable(),
    shelved_by: z.string().nullable(),
    shelve_reason: z.string().nullable(),
    latching: z.boolean(),
    returned_at: time.nullable(),
    suppressed: z.enum(['shelved', 'out_of_service', 'group', 'waiting']).nullable(),
    group_id: z.string().nullable(),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'Alert' })

const verdict = z.object({
  word: z.enum(['OK', 'DEGRADED', 'DOWN', 'WAITING']),
  reason: z.string(),
  reasons: z.array(z.object({ word: z.enum(['DEGRADED', 'DOWN']), where: z.string(), text: z.string() })),
})

const members = z.object({
  total: amount,
  active: amount,
  stale: amount,
  dead: amount,
  by_status: z.record(z.string(), amount),
})

export const systemStatus = z
  .object({
    verdict,
    status: z.object({ consumers: members, producers: members }),
    rebalancing_events: z.array(rebalancingEvent),
    sections: z.record(z.string(), sectionState),
    group: z
      .object({
        group_id: z.string(),
        state: z.string(),
        members: amount,
        verdict: z.enum(['OK', 'WARN', 'ERR']),
      })
      .nullable(),
    brokers: z.array(
      z.object({
        id: z.int(),
        host: z.string(),
        port: z.int(),
        is_controller: z.boolean(),
        state: z.enum(['up', 'unreachable', 'gone']),
        since: time,
      }),
    ),
    alerts: z.object({ active: amount, unacknowledged: amount, shelved: amount }).nullable(),
    storage: z
      .object({
        version: z.string(),
        schema_version: amount,
        database_bytes: amount,
        readings_bytes: amount,
        reading_partitions: amount,
        rollup_bytes: amount,
        rolled_up_to: time.nullable(),
        connections: amount,
        dead_letters: amount,
        outbox_unsent: amount,
        outbox_oldest_age_s: maybe,
      })
      .nullable(),
    at: time,
  })
  .meta({ id: 'SystemStatus' })

export const consumerHealth = sectionState
  .extend({ consumers: z.array(consumer), at: time })
  .meta({ id: 'ConsumerHealth' })
export const producerHealth = sectionState
  .extend({ producers: z.array(producer), at: time })
  .meta({ id: 'ProducerHealth' })
export const partitionAssignment = sectionState
  .extend({ assignments: z.array(assignment), partition_activity: activity, at: time })
  .meta({ id: 'PartitionAssignment' })

export const realTimeMetrics = sectionState
  .extend({
    consumer_throughput: z.array(
      z.object({
        consumer_id: z.string(),
        status: z.string(),
        messages_per_second: maybe,
        total_messages_processed: amount,
        lag: maybe,
        processing_ms_mean: maybe,
        processing_ms_p99: maybe,
        end_to_end_ms_p50: maybe,
        end_to_end_ms_p99: maybe,
        errors: amount,
      }),
    ),
    producer_throughput: z.array(
      z.object({
        producer_id: z.string(),
        sensor_type: z.string().nullable(),
        status: z.string(),
        messages_per_second: maybe,
        expected_per_second: maybe,
        total_messages_sent: amount,
        spooled: amount,
        errors: amount,
      }),
    ),
    partition_activity: activity,
    flow: z
      .object({
        accepted_per_second: maybe,
        produced_per_second: maybe,
        appended_per_second: maybe,
        stored_per_second: maybe,
        spooled: amount,
        lag: maybe,
        lag_seconds: maybe,
        end_to_end_ms_p50: maybe,
        end_to_end_ms_p99: maybe,
        history: z.array(
          z.object({
            at: time,
            produced_per_second: maybe,
            stored_per_second: maybe,
            lag: maybe,
            end_to_end_ms_p99: maybe,
          }),
        ),
      })
      .nullable(),
    sections: z.record(z.string(), sectionState),
    at: time,
  })
  .meta({ id: 'RealTimeMetrics' })

export const recentAlerts = sectionState
  .extend({
    alerts: z.array(alert),
    rebalancing_events: z.array(rebalancingEvent),
    counts: z.object({ active: amount, unacknowledged: amount, shelved: amount }).nullable(),
    sections: z.record(z.string(), sectionState),
    at: time,
  })
  .meta({ id: 'RecentAlerts' })

export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    instance: z.string().optional(),
    request_id: z.string().optional(),
    errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem' })
