import { ask, type Sql } from '../db/connect.ts'
import type { KeptHeaders } from './headers.ts'

/** A message that became no reading, as it is kept. */
export interface DeadLetter {
  id: number
  topic: string
  /** null for one that never reached the log */
  partition: number | null
  offset: number | null
  reason: string
  message: string
  key: Buffer | null
  /** at most its first 64 KiB; `valueBytes` is its whole length */
  value: Buffer | null
  valueBytes: number
  headers: KeptHeaders
  sensorId: string | null
  runId: string | null
  seq: number | null
  recordedAt: Date
  redrivenAt: Date | null
}

/** Which letters are meant: all conditions together; none: all. */
export interface Choice {
  ids?: readonly number[] | undefined
  reason?: string | undefined
  topic?: string | undefined
}

export interface ReasonCount {
  topic: string
  reason: string
  count: number
  redriven: number
  newest: Date
  newest_id: number
  example: string
}

/** How many there are of each reason, the newest of each beside. */
export async function countByReason(sql: Sql, choice: Choice): Promise<ReasonCount[]> {
  return ask(
    'count the dead letters',
    sql<ReasonCount[]>`
      select topic, reason, count(*) as count, count(redriven_at) as redriven, max(recorded_at) as newest,
        max(dead_letter_id) as newest_id,
        (array_agg(message order by dead_letter_id desc))[1] as example
      from dead_letters where ${meant(sql, choice)} group by topic, reason order by max(dead_letter_id) desc`,
  )
}

/** Some of the chosen ones, in the order in which they came. */
export async function deadLetters(
  sql: Sql,
  choice: Choice,
  page: { afterId: number; untilId: number; limit: number },
): Promise<DeadLetter[]> {
  const rows = await ask(
    'read dead letters',
    sql<(Omit<DeadLetter, 'key' | 'value'> & { key: Uint8Array | null; value: Uint8Array | null })[]>`
      select dead_letter_id as id, topic, partition, "offset", reason, message, key, value, value_bytes as "valueBytes",
        headers, sensor_id as "sensorId", run_id as "runId", seq, recorded_at as "recordedAt", redriven_at as "redrivenAt"
      from dead_letters where ${meant(sql, choice)} and dead_letter_id > ${page.afterId}
        and dead_letter_id <= ${page.untilId}
      order by dead_letter_id limit ${page.limit}`,
  )
  const bytes = (x: Uint8Array | null) => (x === null ? null : Buffer.from(x))
  return rows.map((row) => ({ ...row, key: bytes(row.key), value: bytes(row.value) }))
}

/** The number of the newest one; 0 where there is none. */
export async function newestLetter(sql: Sql): Promise<number> {
  const rows = await ask(
    'find the newest dead letter',
    sql<{ id: number }[]>`select coalesce(max(dead_letter_id), 0)::bigint as id from dead_letters`,
  )
  return rows[0]?.id ?? 0
}

export interface FirstMark {
  topic: string
  since: Date
}

/** When the first of the chosen letters was marked, of each topic that has a marked one. */
export async function firstMarks(sql: Sql, choice: Choice): Promise<FirstMark[]> {
  return ask(
    'find the first marked dead letters',
    sql<FirstMark[]>`
      select topic, min(redriven_at) as since from dead_letters
      where ${meant(sql, choice)} and redriven_at is not null group by topic`,
  )
}

/** false: somebody has said so already */
export async function markRedriven(sql: Sql, id: number): Promise<boolean> {
  const marked = await ask(
    'mark a dead letter',
    sql`update dead_letters set redriven_at = now() where dead_letter_id = ${id} and redriven_at is null`,
  )
  return marked.count === 1
}

/** Kafka has certainly not taken it. */
export async function unmarkRedriven(sql: Sql, id: number): Promise<void> {
  await ask(
    'take the mark off a dead letter',
    sql`update dead_letters set redriven_at = null where dead_letter_id = ${id}`,
  )
}

function meant(sql: Sql, { ids, reason, topic }: Choice) {
  return sql`(${ids === undefined} or dead_letter_id in (
      select value::bigint from jsonb_array_elements_text(${JSON.stringify(ids ?? [])}::text::jsonb)))
    and (${reason === undefined} or reason = ${reason ?? ''}) and (${topic === undefined} or topic = ${topic ?? ''})`
}
