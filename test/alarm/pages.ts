import type { Sql } from '../../lib/db/connect.ts'

/** Pages that a table has, and how many of it were read until now, by all connections that these pools have. */
export async function pagesOf(table: string, ...pools: Sql[]): Promise<{ heap: number; read: number }> {
  for (const sql of pools) await sql`select pg_stat_force_next_flush()`
  const rows = await pools[0]!<{ heap: number; read: number }[]>`
    select pg_relation_size(relid)::integer / 8192 as heap, (heap_blks_read + heap_blks_hit)::integer as read
    from pg_statio_user_tables where relname = ${table}`
  return rows[0]!
}
