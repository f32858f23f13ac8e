import { ask, type Sql } from '../../db/connect.ts'
import { DEADLINE_MS } from './consumers.ts'
import { plainAll, type TopicPartition } from './rows.ts'

export interface RebalanceRow {
  event_id: number
  at: string
  group_id: string
  consumer_id: string
  event_type: 'rebalance_start' | 'rebalance_complete' | 'partition_assigned' | 'partition_revoked'
  generation: number | null
  assigned: TopicPartition[]
  gained: TopicPartition[]
  lost: TopicPartition[]
  duration_ms: number | null
  details: unknown
}

/** The newest events, newest first. */
export async function recentRebalances(sql: Sql, limit = 100): Promise<RebalanceRow[]> {
  const rows = await ask(
    'read rebalancing_events',
    sql`
      select event_id, at, group_id, consumer_id, event_type, generation, assigned, gained, lost, duration_ms, details
      from rebalancing_events
      order by at desc, event_id desc
      limit ${limit}`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}
