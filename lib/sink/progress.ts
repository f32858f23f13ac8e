import { ask, type Sql } from '../db/connect.ts'
import type { ClusterPartition } from '../ingest/claim.ts'
import { LogReplaced, orStop, type Doubt, type LogRange, type Taken } from '../ingest/log-end.ts'
import { Fenced } from '../ingest/store.ts'

/** The row of sink_progress that one partition moves. */
export interface SinkPlace extends ClusterPartition {
  /** kind and destination, such as s3:sensor-cold */
  sink: string
}

export interface SinkClaim {
  epoch: number
  nextOffset: number
  /** which log of this partition it is: names say so */
  log: number
  /** somebody began to write a batch from nextOffset to here: it has to be written again, exactly so */
  plannedTo: number | null
  marksOffset: number
  marks: { bytes: Uint8Array; version: number } | null
  /** how many messages the log has lost before they were taken */
  gone: number
}

/** What moves together with the position. */
export interface SinkStep {
  log: number
  from: number
  to: number
  epoch: number
  counters: SinkCounters
  letters: SinkLetter[]
  /** marks as of `to`, where they are due */
  marks: { bytes: Uint8Array; version: number } | null
}

export interface SinkCounters {
  stored: number
  dead_lettered: number
  repeated: number
  missing: number
  filled: number
}

/** A message that will not be in the sink. */
export interface SinkLetter {
  offset: number
  reason: string
  message: string
  source: string | null
  runId: string | null
  seq: number | null
}

interface Row extends Taken {
  log: number
  planned_to: number | null
  marks_offset: number
  marks: Uint8Array | null
  marks_version: number
}

/**
 * Takes the partition over: whoever held it before can plan and move nothing any more. Throws LogEndsEarly where the log
 * seems shorter than what was taken; once it is certain (`doubt`) that it is another one the partition stands still, however
 * long the log grows, until a person accepts it: LogReplaced, as for another cluster, whose messages would take the place of ours.
 */
export async function claimSink(
  sql: Sql,
  place: SinkPlace,
  owner: string,
  log: LogRange,
  doubt: Doubt,
): Promise<SinkClaim> {
  const { sink, clusterId, topic, partition } = place
  await refuseOtherCluster(sql, place)
  const rows = await ask(
    'claim the partition',
    sql<Row[]>`
      insert into sink_progress (sink, cluster_id, topic, partition, next_offset, marks_offset, epoch, owner, claimed_at)
      values (${sink}, ${clusterId}, ${topic}, ${partition}, ${log.low}, ${log.low}, 1, ${owner}, now())
      on conflict (sink, cluster_id, topic, partition) do update set epoch = sink_progress.epoch + 1,
        owner = excluded.owner, claimed_at = excluded.claimed_at, left_at = null
        where sink_progress.stopped is null
      returning next_offset, log, planned_to, epoch, marks_offset, marks, marks_version,
          (extract(epoch from updated_at) * 1000)::float8 as moved_ms`,
  )
  const row = rows[0]
  if (!row) throw new LogReplaced(await whyStopped(sql, place, owner))
  await orStop(
    doubt.resolve(`${topic}-${partition} in ${sink}`, log, row),
    topic,
    (why) =>
      sql`update sink_progress set stopped = ${why} where ${ours(sql, place)} and epoch = ${row.epoch}`,
  )
  const gone = Math.max(0, log.low - row.next_offset)
  if (gone > 0) await skip(sql, place, row, log.low)
  return {
    epoch: row.epoch,
    nextOffset: row.next_offset + gone,
    log: row.log,
    plannedTo: gone > 0 ? null : row.planned_to,
    marksOffset: Math.max(row.marks_offset, log.low),
    marks: row.marks === null ? null : { bytes: row.marks, version: row.marks_version },
    gone,
  }
}

async function refuseOtherCluster(sql: Sql, { sink, clusterId, topic, partition }: SinkPlace): Promise<void> {
  const others = await ask(
    'look for another cluster',
    sql<{ cluster_id: string }[]>`
      select cluster_id from sink_progress p where sink = ${sink} and topic = ${topic} and partition = ${partition}
        and cluster_id <> ${clusterId} and next_offset > 0
        and not exists (select from sink_progress o where o.sink = p.sink and o.cluster_id = ${clusterId}
          and o.topic = p.topic and o.partition = p.partition)`,
  )
  const [other] = others
  if (other)
    throw new LogReplaced(
      `${topic}-${partition}: ${sink} holds cluster ${other.cluster_id}, but the brokers are cluster ${clusterId}: use the right KAFKA_BROKERS, another index or bucket, or accept the new cluster: bun run topics --accept-new-log ${topic}`,
    )
}

/** Whoever finds it so is there, and waits: on the page it is stopped, not away. */
async function whyStopped(sql: Sql, place: SinkPlace, owner: string): Promise<string> {
  const rows = await ask(
    'read why the partition stands still',
    sql<{ stopped: string | null }[]>`
      update sink_progress set owner = ${owner}, left_at = null where ${ours(sql, place)} and stopped is not null
      returning stopped`,
  )
  // Accepted since we were refused: the next claim takes it.
  if (!rows[0]?.stopped)
    throw new Error(`Cannot claim ${place.topic}-${place.partition}: it was stopped just now`)
  return rows[0].stopped
}

/** Retention was faster than the sink: on from what is left. */
async function skip(sql: Sql, place: SinkPlace, row: Row, low: number): Promise<void> {
  await ask(
    'move past the lost offsets',
    sql`update sink_progress set next_offset = ${low}, planned_to = null where ${ours(sql, place)}
      and epoch = ${row.epoch} and next_offset = ${row.next_offset}`,
  )
}

/** Before a batch is written: whoever comes after us will write from `from` exactly to `to`. Throws Fenced. */
export async function planBatch(
  sql: Sql,
  place: SinkPlace,
  { from, to, epoch }: Pick<SinkStep, 'from' | 'to' | 'epoch'>,
): Promise<void> {
  const planned = await ask(
    'plan a batch',
    sql`update sink_progress set planned_to = ${to} where ${ours(sql, place)} and epoch = ${epoch}
      and next_offset = ${from} and coalesce(planned_to, ${to}) = ${to}`,
  )
  if (planned.count !== 1) throw fenced(place, epoch)
}

/** After a batch is written: the position moves past it, with what became of its messages. Throws Fenced. */
export async function moveSink(sql: Sql, place: SinkPlace, step: SinkStep): Promise<void> {
  const { sink, clusterId, topic, partition } = place
  const { log, from, to, epoch, marks, counters: c } = step
  await ask(
    'move past a batch',
    sql.begin(async (tx) => {
      const moved = await tx`
        update sink_progress set next_offset = ${to}, planned_to = null, updated_at = now(),
          stored = stored + ${c.stored}, dead_lettered = dead_lettered + ${c.dead_lettered},
          repeated = repeated + ${c.repeated}, missing = missing + ${c.missing}, filled = filled + ${c.filled},
          marks_offset = case when ${marks !== null} then ${to}::bigint else marks_offset end,
          marks = coalesce(${marks?.bytes ?? null}, marks),
          marks_version = case when ${marks !== null} then ${marks?.version ?? 0}::integer else marks_version end
        where sink = ${sink} and cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition}
          and epoch = ${epoch} and next_offset = ${from}`
      if (moved.count !== 1) throw fenced(place, epoch)
      for (const l of step.letters) {
        await tx`
          insert into sink_dead_letters (sink, cluster_id, topic, partition, log, "offset", reason, message, sensor_id, run_id, seq)
          values (${sink}, ${clusterId}, ${topic}, ${partition}, ${log}, ${l.offset}, ${l.reason}, ${l.message.slice(0, 1000)},
            ${l.source}, ${l.runId}, ${l.seq})
          on conflict do nothing`
      }
    }),
  )
}

/** Its owner goes on purpose, and nobody has taken it over yet. */
export async function leaveSink(sql: Sql, place: SinkPlace, epoch: number): Promise<void> {
  await ask(
    'say goodbye to the partition',
    sql`update sink_progress set left_at = now() where ${ours(sql, place)} and epoch = ${epoch}`,
  )
}

function ours(sql: Sql, { sink, clusterId, topic, partition }: SinkPlace) {
  return sql`sink = ${sink} and cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition}`
}

function fenced({ sink, topic, partition }: SinkPlace, epoch: number): Fenced {
  return new Fenced(`Cannot go on with ${topic}-${partition} in ${sink}: epoch ${epoch} no longer owns it`)
}
