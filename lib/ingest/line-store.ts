import type { Transaction } from '../db/connect.ts'
import type { Micros } from '../time.ts'
import { stepLife, stepLine, type LifeState, type LineState } from './line-fold.ts'
import type { StatedFact } from './outputs.ts'

/** Takes what messages said of production lines into their rows, inside the transaction that stores the batch. */
export async function storeFacts(tx: Transaction, facts: readonly StatedFact[]): Promise<void> {
  const lines = await readLines(tx, facts)
  const lives = await readLives(tx, facts)
  const changedLines = new Map<string, LineState>()
  const changedLives = new Map<string, LifeState>()
  for (const { fact, runId, isFilled } of facts) {
    const run = runId ?? ''
    if (fact.kind === 'line') {
      const key = keyOf(fact.factoryId, fact.sensorId, fact.sodaName)
      const next = stepLine(lines.get(key) ?? null, fact, run, isFilled)
      lines.set(key, next)
      changedLines.set(`${key}\n${next.round}`, next)
    } else {
      const key = keyOf(fact.sensorId, run)
      const next = stepLife(lives.get(key) ?? null, fact, run)
      lives.set(key, next)
      changedLives.set(key, next)
    }
  }
  if (changedLines.size > 0) await writeLines(tx, [...changedLines.values()])
  if (changedLives.size > 0) await writeLives(tx, [...changedLives.values()])
}

const keyOf = (...parts: string[]) => parts.join('\n')

/** The newest round of each line that is spoken of, locked: senders that key otherwise may reach it from two partitions. */
async function readLines(tx: Transaction, facts: readonly StatedFact[]): Promise<Map<string, LineState>> {
  const wanted = distinct(
    facts.flatMap(({ fact }) =>
      fact.kind === 'line' ? { f: fact.factoryId, s: fact.sensorId, n: fact.sodaName } : [],
    ),
  )
  if (wanted.length === 0) return new Map()
  const rows = await tx<(Omit<LineState, 'firstAt' | 'lastAt'> & Times)[]>`
    select factory_id as "factoryId", sensor_id as "sensorId", soda_name as "sodaName", round, tier, total, count,
      readings, (extract(epoch from first_at) * 1000000)::bigint as first_us,
      (extract(epoch from last_at) * 1000000)::bigint as last_us, value, to_jsonb(points) as points, run_id as "runId"
    from production_lines l
    where (factory_id, sensor_id, soda_name) in (
        select f, s, n from jsonb_to_recordset(${JSON.stringify(wanted)}::text::jsonb) as w (f text, s text, n text))
      and round = (select max(round) from production_lines m
        where m.factory_id = l.factory_id and m.sensor_id = l.sensor_id and m.soda_name = l.soda_name)
    order by factory_id, sensor_id, soda_name for update`
  return new Map(
    rows.map(({ first_us, last_us, ...row }) => [
      keyOf(row.factoryId, row.sensorId, row.sodaName),
      { ...row, firstAt: first_us, lastAt: last_us },
    ]),
  )
}

async function readLives(tx: Transaction, facts: readonly StatedFact[]): Promise<Map<string, LifeState>> {
  const wanted = distinct(
    facts.flatMap(({ fact, runId }) =>
      fact.kind === 'heartbeat' ? { s: fact.sensorId, r: runId ?? '' } : [],
    ),
  )
  if (wanted.length === 0) return new Map()
  const rows = await tx<(Omit<LifeState, 'since' | 'lastAt'> & Times)[]>`
    select sensor_id as "sensorId", run_id as "runId", tier, counted, status,
      (extract(epoch from since) * 1000000)::bigint as first_us,
      (extract(epoch from last_at) * 1000000)::bigint as last_us, up_micros as "upMicros", outages
    from sensor_heartbeats
    where (sensor_id, run_id) in (
        select s, r from jsonb_to_recordset(${JSON.stringify(wanted)}::text::jsonb) as w (s text, r text))
    order by sensor_id, run_id for update`
  return new Map(
    rows.map(({ first_us, last_us, ...row }) => [
      keyOf(row.sensorId, row.runId),
      { ...row, since: first_us, lastAt: last_us },
    ]),
  )
}

async function writeLines(tx: Transaction, lines: readonly LineState[]): Promise<void> {
  await tx`
    insert into production_lines (factory_id, sensor_id, soda_name, round, tier, total, count, readings, first_at,
      last_at, value, points, run_id, updated_at)
    select "factoryId", "sensorId", "sodaName", round, tier, total, count, readings,
      timestamptz 'epoch' + "firstAt" * interval '1 microsecond', timestamptz 'epoch' + "lastAt" * interval '1 microsecond',
      value, points, "runId", now()
    from jsonb_to_recordset(${JSON.stringify(lines)}::text::jsonb) as l ("factoryId" text, "sensorId" text,
      "sodaName" text, round integer, tier text, total bigint, count bigint, readings bigint, "firstAt" float8,
      "lastAt" float8, value float8, points bigint[], "runId" text)
    on conflict (factory_id, sensor_id, soda_name, round) do update set tier = excluded.tier, total = excluded.total,
      count = excluded.count, readings = excluded.readings, first_at = excluded.first_at, last_at = excluded.last_at,
      value = excluded.value, points = excluded.points, run_id = excluded.run_id, updated_at = excluded.updated_at`
}

async function writeLives(tx: Transaction, lives: readonly LifeState[]): Promise<void> {
  await tx`
    insert into sensor_heartbeats (sensor_id, run_id, tier, counted, status, since, last_at, up_micros, outages, updated_at)
    select "sensorId", "runId", tier, counted, status, timestamptz 'epoch' + since * interval '1 microsecond',
      timestamptz 'epoch' + "lastAt" * interval '1 microsecond', "upMicros", outages, now()
    from jsonb_to_recordset(${JSON.stringify(lives)}::text::jsonb) as l ("sensorId" text, "runId" text, tier text,
      counted bigint, status text, since float8, "lastAt" float8, "upMicros" bigint, outages bigint)
    on conflict (sensor_id, run_id) do update set tier = excluded.tier, counted = excluded.counted,
      status = excluded.status, since = excluded.since, last_at = excluded.last_at, up_micros = excluded.up_micros,
      outages = excluded.outages, updated_at = excluded.updated_at`
}

interface Times {
  first_us: Micros
  last_us: Micros
}

function distinct<T extends object>(list: readonly T[]): T[] {
  return [...new Map(list.map((one) => [JSON.stringify(one), one])).values()]
}
