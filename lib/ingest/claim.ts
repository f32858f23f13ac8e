import { ask, sqlState, type Sql } from '../db/connect.ts'
import { log } from '../log.ts'
import { decodeCheckpoint } from './checkpoint.ts'
import { LogReplaced, orStop, type Doubt, type LogRange, type Taken } from './log-end.ts'
import { createState, type PartitionState } from './partition.ts'

/** A partition of a topic of a cluster: what positions are kept by. */
export interface ClusterPartition {
  clusterId: string
  topic: string
  partition: number
}

export interface Claim {
  epoch: number
  /** the first offset that is not stored yet */
  nextOffset: number
  /** state as of `readFrom`; the log up to nextOffset is read again with outputs suppressed; null: what is in memory still holds */
  state: PartitionState | null
  readFrom: number
  /** the rule book in force at readFrom, and those that came into force after it, in order */
  rules: RulesInForce
  /** what is to be told to people about this claim, null where all is well */
  notice: { event: string; severity: 'warning' | 'error'; message: string } | null
}

export interface RulesInForce {
  version: number
  then: { version: number; fromOffset: number }[]
}

/** SQLSTATE of a lock that was not had within lock_timeout */
const LOCK_NOT_AVAILABLE = '55P03'

/**
 * Takes a partition over: the epoch rises, so that whoever held it before can no longer write. Reads the checkpoint,
 * unless `held` says that memory is as far as the table, and checks that the log still has what is to be read. Throws
 * LogEndsEarly where the log seems shorter than what is stored, LogReplaced once it is certain (`doubt`) that the topic
 * was re-created: the partition stands still from then on, however long the log grows, until a person accepts it. Another
 * cluster is refused, too. Any other error means that the claim is to be tried again.
 */
export async function claimPartition(
  sql: Sql,
  place: ClusterPartition,
  owner: string,
  log: LogRange,
  held: { epoch: number; nextOffset: number } | null,
  doubt: Doubt,
): Promise<Claim> {
  const { clusterId, topic, partition } = place
  await refuseOtherCluster(sql, place)
  const rows = await ask(
    'claim the partition',
    sql<Taken[]>`
      insert into partition_progress (cluster_id, topic, partition, next_offset, epoch, owner, claimed_at)
      values (${clusterId}, ${topic}, ${partition}, ${log.low}, 1, ${owner}, now())
      on conflict (cluster_id, topic, partition) do update set epoch = partition_progress.epoch + 1,
        owner = excluded.owner, claimed_at = excluded.claimed_at
        where partition_progress.stopped is null
      returning next_offset, epoch, (extract(epoch from updated_at) * 1000)::float8 as moved_ms`,
  ).catch(async (error: Error) => {
    if (sqlState(error) === LOCK_NOT_AVAILABLE) await endFrozenOwner(sql, place)
    throw error
  })
  const row = rows[0]
  if (!row) throw new LogReplaced(await whyStopped(sql, place))
  await orStop(
    doubt.resolve(`${topic}-${partition}`, log, row),
    topic,
    (why) => sql`update partition_progress set stopped = ${why}
        where cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition}`,
  )
  if (row.next_offset < log.low) return claimAfterLoss(sql, place, log, row)
  // Nobody has claimed it since we did and all that we hold is stored: a rebalance left it with us.
  if (held && row.epoch === held.epoch + 1 && row.next_offset === held.nextOffset) {
    return {
      epoch: row.epoch,
      nextOffset: row.next_offset,
      state: null,
      readFrom: row.next_offset,
      rules: { version: 0, then: [] },
      notice: null,
    }
  }
  const restored = await restore(sql, place, row, log)
  return { epoch: row.epoch, nextOffset: row.next_offset, ...restored }
}

/** Who holds the row for longer than a statement may take and sends nothing is frozen; the next claim takes it. */
async function endFrozenOwner(sql: Sql, { clusterId, topic, partition }: ClusterPartition): Promise<void> {
  const ended = await ask(
    'end the session of a frozen consumer',
    sql<{ owner: string; sessions: number }[]>`
      select owner, end_frozen_writer(owner) as sessions from partition_progress
      where cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition}`,
  )
  for (const { owner, sessions } of ended)
    if (sessions > 0) log.warn('consumer.frozen', { topic, partition, owner, sessions })
}

async function whyStopped(sql: Sql, { clusterId, topic, partition }: ClusterPartition): Promise<string> {
  const rows = await ask(
    'read why the partition stands still',
    sql<{ stopped: string | null }[]>`
      select stopped from partition_progress
      where cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition}`,
  )
  // Accepted since we were refused: the next claim takes it.
  if (!rows[0]?.stopped) throw new Error(`Cannot claim ${topic}-${partition}: it was stopped just now`)
  return rows[0].stopped
}

/** Retention removed what was never stored: counted and told, then on from what is left. */
async function claimAfterLoss(
  sql: Sql,
  place: ClusterPartition,
  log: LogRange,
  row: { next_offset: number; epoch: number },
): Promise<Claim> {
  const { clusterId, topic, partition } = place
  await ask(
    'move past the lost offsets',
    sql`update partition_progress set next_offset = ${log.low}, updated_at = now()
      where cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition}
        and epoch = ${row.epoch} and next_offset = ${row.next_offset}`,
  )
  const restored = await restore(sql, place, row, {
    low: 0,
    high: log.high,
  })
  return {
    epoch: row.epoch,
    nextOffset: log.low,
    state: restored.state,
    readFrom: log.low,
    rules: restored.rules,
    notice: {
      event: 'log.gap',
      severity: 'error',
      message: `${topic}-${partition}: offsets ${row.next_offset} to ${log.low - 1} are gone from the log before they were stored (retention): ${log.low - row.next_offset} messages`,
    },
  }
}

/** A claim's notice, for people: in the log and on the page. */
export async function tell(
  sql: Sql,
  consumerId: string,
  topic: string,
  partition: number,
  notice: NonNullable<Claim['notice']>,
): Promise<void> {
  log.warn(notice.event, { topic, partition, detail: notice.message })
  await ask(
    'record the event',
    sql`insert into system_events (source, event, severity, message, details)
      values (${consumerId}, ${notice.event}, ${notice.severity}, ${notice.message},
        ${JSON.stringify({ topic, partition })}::text::jsonb)`,
  )
}

async function refuseOtherCluster(
  sql: Sql,
  { clusterId, topic, partition }: ClusterPartition,
): Promise<void> {
  const others = await ask(
    'look for another cluster',
    sql<{ cluster_id: string }[]>`
      select cluster_id from partition_progress p where topic = ${topic} and partition = ${partition}
        and cluster_id <> ${clusterId} and next_offset > 0
        and not exists (select 1 from partition_progress o where o.cluster_id = ${clusterId}
          and o.topic = p.topic and o.partition = p.partition)`,
  )
  const other = others[0]
  if (other) {
    throw new LogReplaced(
      `${topic}-${partition}: this database stores cluster ${other.cluster_id}, but the brokers are cluster ${clusterId}: use the right KAFKA_BROKERS or DATABASE_URL, or accept the new cluster: bun run topics --accept-new-log ${topic}`,
    )
  }
}

async function restore(
  sql: Sql,
  place: ClusterPartition,
  claimed: { next_offset: number; epoch: number },
  log: LogRange,
): Promise<{ state: PartitionState } & Pick<Claim, 'readFrom' | 'rules' | 'notice'>> {
  const { clusterId, topic, partition } = place
  const rows = await ask(
    'read the checkpoint',
    sql<{ at_offset: number; version: number; state: Uint8Array }[]>`
      select at_offset, version, state from partition_checkpoints
      where cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition}`,
  )
  const nextOffset = claimed.next_offset
  const stored = rows[0]
  if (stored && stored.at_offset > nextOffset) await refuseOvertaken(sql, place, claimed.epoch)
  const checkpoint = stored
    ? decodeCheckpoint(stored.state, stored.version)
    : { state: createState(), rulesVersion: 0 }
  const rules = await rulesSince(sql, place, checkpoint?.rulesVersion ?? 0)
  const at = stored && checkpoint ? stored.at_offset : log.low
  if (at >= log.low && at <= nextOffset && checkpoint)
    return { state: checkpoint.state, readFrom: at, rules, notice: null }
  const why = checkpoint
    ? `offsets from ${at} are gone from the log`
    : `version ${stored?.version} is unknown`
  return {
    state: checkpoint?.state ?? createState(),
    readFrom: Math.min(Math.max(at, log.low), nextOffset),
    rules,
    notice: {
      event: 'checkpoint.incomplete',
      severity: 'warning',
      message: `${topic}-${partition}: the checkpoint cannot be continued exactly (${why}): detectors learn anew from offset ${Math.max(at, log.low)}`,
    },
  }
}

/** A checkpoint ahead of what we claimed is that of somebody who has claimed it since: there is nothing to tell people. */
async function refuseOvertaken(
  sql: Sql,
  { clusterId, topic, partition }: ClusterPartition,
  epoch: number,
): Promise<void> {
  const rows = await ask(
    'look who has claimed since',
    sql<{ epoch: number }[]>`
      select epoch from partition_progress
      where cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition}`,
  )
  if (rows[0]?.epoch !== epoch)
    throw new Error(`Cannot claim ${topic}-${partition}: another consumer has claimed it meanwhile`)
}

/** Versions only rise, so those above the checkpoint's came into force after it. */
async function rulesSince(
  sql: Sql,
  { clusterId, topic, partition }: ClusterPartition,
  version: number,
): Promise<RulesInForce> {
  const rows = await ask(
    'read which rules were in force',
    sql<{ version: number; fromOffset: number }[]>`
      select book_version as version, from_offset as "fromOffset" from rule_activations
      where cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition} and book_version > ${version}
      order by book_version`,
  )
  return { version, then: rows.map((r) => ({ version: r.version, fromOffset: r.fromOffset })) }
}
