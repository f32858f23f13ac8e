import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'

/** A database of its own for one measurement, dropped afterwards; what it left to be written is not the next one's to wait for. */
export async function ownDatabase<T>(
  admin: Sql,
  serverUrl: string,
  name: string,
  work: (url: string, sql: Sql) => Promise<T>,
): Promise<T> {
  const database = `bench_${name}`
  await admin.unsafe(`create database ${database}`)
  const url = new URL(serverUrl)
  url.pathname = database
  const sql = connect(url.href, { name: 'bench', max: 1, statementTimeoutMs: 60_000 })
  try {
    return await work(url.href, sql)
  } finally {
    await closeSql(sql)
    await admin.unsafe(`drop database ${database} with (force)`)
    await admin.unsafe('checkpoint')
  }
}

/** Rows of `readings`, narrowed by a join or condition, and different readings among them: each is stored once where both are the same. */
export async function countStored(
  sql: Sql,
  narrowed: ReturnType<Sql>,
): Promise<{ stored: number; distinct: number }> {
  const [counts] = await sql<{ stored: number; distinct: number }[]>`
    with found as (select sensor_key, run_key, seq from readings ${narrowed})
    select (select count(*) from found) as stored,
      (select count(*) from (select distinct sensor_key, run_key, seq from found) d) as distinct`
  return counts ?? { stored: 0, distinct: 0 }
}
