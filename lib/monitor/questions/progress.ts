import { ask, type Sql } from '../../db/connect.ts'
import { DEADLINE_MS } from './consumers.ts'
import { plainAll } from './rows.ts'

/** How far one partition is stored, and what was counted on the way, exactly. */
export interface ProgressRow {
  topic: string
  partition: number
  next_offset: number
  epoch: number
  owner: string
  claimed_at: string
  updated_at: string
  updated_age_s: number
  newest_measured_at: string | null
  stored: number
  dead_lettered: number
  repeated: number
  conflicting: number
  missing: number
  filled: number
  unidentified: number
  late: number
  stopped: string | null
}

/** Every partition of the cluster that was written last (a replaced cluster's rows stay behind). */
export async function progress(sql: Sql): Promise<ProgressRow[]> {
  const rows = await ask(
    'read partition_progress',
    sql`
      select topic, partition, next_offset, epoch, owner, claimed_at, updated_at,
        extract(epoch from clock_timestamp() - updated_at)::float8 as updated_age_s,
        newest_measured_at, stored, dead_lettered, repeated, conflicting, missing, filled, unidentified, late, stopped
      from partition_progress
      where cluster_id = (select cluster_id from partition_progress order by updated_at desc limit 1)
      order by topic, partition
      limit 1000`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}
