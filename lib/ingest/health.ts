import { hostname } from 'node:os'
import { ask, type Database } from '../db/connect.ts'
import { log } from '../log.ts'
import type { Rebalance, TopicPartition } from '../kafka/group.ts'

/** What a consumer says of itself, about once a second, and the events around its assignments. Best effort: it never stops ingest. */
export interface ConsumerReport {
  status: 'starting' | 'active' | 'standby' | 'paused' | 'stopping' | 'stopped' | 'failed'
  assigned: TopicPartition[]
  processed: number
  perSecond: number
  lag: number | null
  batchMs: readonly number[]
  endToEndMs: readonly number[]
  errors: number
  lastError: { message: string; at: Date } | null
  pausedReason: string | null
}

export interface ConsumerHealth {
  report(report: ConsumerReport): Promise<void>
  rebalance(groupId: string, event: Rebalance): Promise<void>
  systemEvent(
    event: string,
    severity: 'info' | 'warning' | 'error',
    message: string,
    details?: object,
  ): Promise<void>
}

export function createConsumerHealth(database: Database, consumerId: string): ConsumerHealth {
  const instanceId = crypto.randomUUID()
  const startedAt = new Date()
  /** messages that earlier instances of this consumer processed: the count goes on over restarts */
  let before: number | null = null

  /** Health is worth one try of 5 s each; what it says is old after that anyway. */
  async function attempt(what: string, query: () => PromiseLike<unknown>): Promise<void> {
    try {
      await ask(what, query(), 5000)
    } catch (error) {
      database.renewAfter(error)
      log.debug('health.not_written', { what, error: error as Error })
    }
  }

  return {
    report: (r) =>
      attempt('write consumer_health', async () => {
        before ??= await processedBefore(database, consumerId)
        const batchMs = Float64Array.from(r.batchMs).sort()
        const endToEndMs = Float64Array.from(r.endToEndMs).sort()
        await database.sql`
          insert into consumer_health (consumer_id, instance_id, status, assigned_partitions, last_heartbeat, started_at,
            host, pid, total_messages_processed, messages_per_second, lag, processing_ms_mean, processing_ms_p99,
            end_to_end_ms_p50, end_to_end_ms_p99, errors, last_error, last_error_at, paused_reason)
          values (${consumerId}, ${instanceId}, ${r.status}, ${JSON.stringify(r.assigned)}::text::jsonb, now(), ${startedAt},
            ${hostname()}, ${process.pid}, ${(before ?? 0) + r.processed}, ${r.perSecond}, ${r.lag}, ${mean(batchMs)},
            ${quantile(batchMs, 0.99)}, ${quantile(endToEndMs, 0.5)}, ${quantile(endToEndMs, 0.99)}, ${r.errors},
            ${r.lastError?.message.slice(0, 500) ?? null}, ${r.lastError?.at ?? null}, ${r.pausedReason})
          on conflict (consumer_id) do update set
            total_messages_processed = excluded.total_messages_processed,
            instance_id = excluded.instance_id, status = excluded.status,
            assigned_partitions = excluded.assigned_partitions, last_heartbeat = excluded.last_heartbeat,
            started_at = excluded.started_at, host = excluded.host, pid = excluded.pid,
            messages_per_second = excluded.messages_per_second, lag = excluded.lag,
            processing_ms_mean = excluded.processing_ms_mean, processing_ms_p99 = excluded.processing_ms_p99,
            end_to_end_ms_p50 = excluded.end_to_end_ms_p50, end_to_end_ms_p99 = excluded.end_to_end_ms_p99,
            errors = excluded.errors, last_error = excluded.last_error, last_error_at = excluded.last_error_at,
            paused_reason = excluded.paused_reason`
      }),
    async rebalance(groupId, event) {
      const row = (type: string, gained: TopicPartition[], lost: TopicPartition[]) =>
        database.sql`
          insert into rebalancing_events (group_id, consumer_id, instance_id, event_type, assigned, gained, lost,
            duration_ms, details)
          values (${groupId}, ${consumerId}, ${instanceId}, ${type}, ${JSON.stringify(event.assigned)}::text::jsonb,
            ${JSON.stringify(gained)}::text::jsonb, ${JSON.stringify(lost)}::text::jsonb, ${event.durationMs},
            ${JSON.stringify({ member_id: event.memberId, is_leader: event.isLeader })}::text::jsonb)`
      await attempt('record the rebalance', async () => {
        await row(event.type, event.gained, event.lost)
        if (event.gained.length > 0) await row('partition_assigned', event.gained, [])
        if (event.lost.length > 0) await row('partition_revoked', [], event.lost)
        await database.sql`select pg_notify('rebalances', '')`
      })
    },
    systemEvent: (event, severity, message, details) =>
      attempt(
        'record the event',
        () => database.sql`insert into system_events (source, event, severity, message, details)
          values (${consumerId}, ${event}, ${severity}, ${message}, ${JSON.stringify(details ?? {})}::text::jsonb)`,
      ),
  }
}

async function processedBefore(database: Database, consumerId: string): Promise<number> {
  const rows = await database.sql<{ total: number }[]>`
    select total_messages_processed as total from consumer_health where consumer_id = ${consumerId}`
  return rows[0]?.total ?? 0
}

function mean(values: Float64Array): number | null {
  return values.length === 0 ? null : values.reduce((sum, v) => sum + v, 0) / values.length
}

function quantile(sorted: Float64Array, q: number): number | null {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? null
}
