import postgres from 'postgres'
import { oneOf } from './by-number.ts'
import { printOf } from './content.ts'
import type { Position, Progress, Row, Rule, Tables } from './evidence.ts'

/** The tables as anybody reads them: the view for people, and those beside it. Numbers of 64 bits come as numbers. */
export type Database = postgres.Sql<{ bigint: number }>

export function openDatabase(url: string): Database {
  return postgres(url, {
    max: 1,
    connect_timeout: 5,
    fetch_types: false,
    onnotice: () => {},
    connection: { application_name: 'judge', timezone: 'UTC', statement_timeout: 300_000 },
    types: { bigint: { to: 20, from: [20], serialize: (x: number) => String(x), parse: Number } },
  }) as Database
}

export async function readPositions(sql: Database): Promise<Omit<Position, 'at'>[]> {
  return (await sql`select topic, partition, next_offset as next, epoch, owner from partition_progress`) as unknown as Omit<
    Position,
    'at'
  >[]
}

/** Resolves once everything is stored and published that the log had, or when the time is over. True: it is. */
export async function untilSettled(
  sql: Database,
  ends: () => Promise<{ topic: string; partition: number; high: number }[]>,
  ms: number,
): Promise<boolean> {
  const until = Date.now() + ms
  for (;;) {
    const [progress, log] = await Promise.all([readPositions(sql), ends()])
    const behind = log.some(
      (e) => (progress.find((p) => p.topic === e.topic && p.partition === e.partition)?.next ?? 0) < e.high,
    )
    const [outbox] = await sql`select count(*)::int as unsent from outbox where sent_at is null`
    if (!behind && outbox?.unsent === 0) return true
    if (Date.now() > until) return false
    await Bun.sleep(300)
  }
}

/** One consistent look at everything. */
export function dumpTables(sql: Database): Promise<Tables> {
  return sql.begin('isolation level repeatable read read only', async (tx) => {
    const rows: Row[] = []
    await tx`
      select t.topic, r.partition, r."offset", u.run_id as run, r.seq, s.sensor_id as sensor, s.sensor_type as type, s.unit,
        s.factory_section as section, s.machine_id as machine, s.zone, r.value, r.quality::float8 as quality,
        (extract(epoch from r.measured_at) * 1000000)::bigint as at
      from readings r join sensors s using (sensor_key) join topics t using (topic_key) left join runs u using (run_key)`.cursor(
      5000,
      (page) => {
        for (const r of page as unknown as (Omit<Row, 'print'> & Parameters<typeof printOf>[0])[]) {
          const { partition, offset, seq } = r
          const [topic, sensor, run] = [oneOf(r.topic), oneOf(r.sensor), r.run === null ? null : oneOf(r.run)]
          rows.push({ topic, partition, offset, run, sensor, seq, print: printOf(r) })
        }
      },
    )
    const letters =
      await tx`select topic, partition, "offset", reason, run_id as run, sensor_id as sensor, seq from dead_letters`
    const alarms =
      await tx`select alert_id::text as id, rule_id as rule, sensor_id as sensor, topic, partition, "offset", cleared_offset as "clearedOffset" from alerts`
    const progress =
      await tx`select topic, partition, next_offset as next, owner, stopped, stored, dead_lettered, repeated, conflicting, missing, filled from partition_progress`
    const [sums] =
      await tx`select (select coalesce(sum(to_seq - from_seq + 1), 0)::bigint from sequence_gaps) as gaps,
      (select count(*)::bigint from outbox where sent_at is null) as unsent`
    const rebalances =
      await tx`select extract(epoch from at)::float8 * 1000 as at, consumer_id as consumer, event_type as type,
      (select coalesce(jsonb_agg((a->>'topic') || '/' || (a->>'partition')), '[]') from jsonb_array_elements(assigned) a) as assigned
      from rebalancing_events order by at, event_id`
    const books = await tx`select version, book->'rules' as rules from rule_books order by version`
    const activations =
      await tx`select topic, partition, book_version as version, from_offset as from from rule_activations`
    return {
      rows,
      letters: [...letters] as unknown as Tables['letters'],
      alarms: [...alarms] as unknown as Tables['alarms'],
      progress: [...progress] as unknown as Progress[],
      gaps: Number(sums?.gaps),
      unsent: Number(sums?.unsent),
      rebalances: [...rebalances] as unknown as Tables['rebalances'],
      books: books.map((b) => ({ version: b.version as number, rules: (b.rules ?? []) as Rule[] })),
      activations: [...activations] as unknown as Tables['activations'],
    }
  }) as Promise<Tables>
}
