import { ask, type Sql } from '../../db/connect.ts'
import { DEADLINE_MS } from './consumers.ts'

export interface Storage {
  version: string
  schema_version: number
  database_bytes: number
  readings_bytes: number
  reading_partitions: number
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
        (select count(*)::int from pg_stat_activity where datname = current_database()) as connections,
        (select count(*) from dead_letters) as dead_letters,
        (select count(*) from outbox where sent_at is null) as outbox_unsent,
        (select extract(epoch from clock_timestamp() - min(created_at))::float8 from outbox where sent_at is null) as outbox_oldest_age_s`,
    DEADLINE_MS,
  )
  if (!row) throw new Error('Cannot read the sizes of the database: no row came back')
  return row
}
