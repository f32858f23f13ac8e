import { ask, type Sql } from '../../db/connect.ts'
import { DEADLINE_MS } from './consumers.ts'

export interface Storage {
  version: string
  schema_version: number
  database_bytes: number
  readings_bytes: number
  reading_partitions: number
  rollup_bytes: number
  /** readings that arrived before this are in the roll-ups */
  rolled_up_to: string | null
  connections: number
  dead_letters: number
  outbox_unsent: number
  outbox_oldest_age_s: number | null
}

/** What PostgreSQL holds and what waits in it. Costs a few milliseconds; asked every ten seconds. */
export async function storage(sql: Sql): Promise<Storage> {
  const [row] = await ask(
    'read the sizes of the database',
    sql<Storage[]>`
      select
        current_setting('server_version') as version,
        (select max(version) from schema_migrations) as schema_version,
        pg_database_size(current_database()) as database_bytes,
        (select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint from pg_inherits where inhparent = 'readings'::regclass) as readings_bytes,
        (select count(*)::int from pg_inherits where inhparent = 'readings'::regclass) as reading_partitions,
        (select coalesce(sum(pg_total_relation_size(relid)), 0)::bigint from (
          select inhrelid as relid from pg_inherits where inhparent = 'readings_1m'::regclass
          union all values ('readings_1h'::regclass::oid), ('readings_1d'::regclass::oid)) rollups) as rollup_bytes,
        (select to_char(rolled_up_to at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') from rollup_progress
          where rolled_up_to > '2000-01-01') as rolled_up_to,
        (select count(*)::int from pg_stat_activity where datname = current_database()) as connections,
        (select count(*) from dead_letters) as dead_letters,
        (select count(*) from outbox where sent_at is null) as outbox_unsent,
        (select extract(epoch from clock_timestamp() - min(created_at))::float8 from outbox where sent_at is null) as outbox_oldest_age_s`,
    DEADLINE_MS,
  )
  if (!row) throw new Error('Cannot read the sizes of the database: no row came back')
  return row
}
