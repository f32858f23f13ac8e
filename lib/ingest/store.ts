import type { ClearedAlarm, RaisedAlarm } from '../alarm/alarm.ts'
import type { GroupRule } from '../alarm/group.ts'
import { isAlone, raisedWith, tellAlarms } from '../alarm/transitions.ts'
import { ask, copyIn, type Sql, type Transaction } from '../db/connect.ts'
import { CHECKPOINT_VERSION } from './checkpoint.ts'
import type { ClusterPartition } from './claim.ts'
import { COPY_COLUMNS, type ReadingRow, giveBack } from './copy.ts'
import { KEEP_HEADER_BYTES, keepHeaders } from './headers.ts'
import { storeFacts } from './line-store.ts'
import type { Range } from './marks.ts'
import { createOutputs, type Outputs } from './outputs.ts'
import { rowsOf } from './rows.ts'
import type { SensorState } from './sensor.ts'
import { logAlarms, logDeadLetters } from './traces.ts'

/** The row of partition_progress that this batch moves. */
export interface Position extends ClusterPartition {
  /** what next_offset must be now, and what it becomes */
  expected: number
  next: number
  epoch: number
}

export interface Batch {
  position: Position
  outputs: Outputs
  /** state as of position.next, where a checkpoint is due */
  checkpoint: Buffer | null
  /** sensors whose newest reading is to be shown */
  latest: SensorState[]
  topicKey: number
  detectedBy: string
  alertTopic: string
  groups: GroupRule
}

/** Somebody else owns the partition, or the batch was already stored: nothing of it was written. */
export class Fenced extends Error {}

const COPY_READINGS = `copy readings (${COPY_COLUMNS.map((c) => `"${c}"`).join(', ')}) from stdin (format binary)`
const DEAD_LETTER_KEEPS_BYTES = 64 * 1024

/** up to here one statement is used, which takes 0.33 ms where a COPY in its transaction takes 1 ms (for a few rows) */
const FEW_ROWS = 50
/** with alarms the transaction would have more statements still, and somebody waits for them */
const FEW_ROWS_WITH_ALARMS = 200

/**
 * Stores a batch in one transaction, whose first statement holds the compare-and-set on partition_progress: its row lock
 * orders rival owners, and where it finds no row (Fenced) nothing else happens. A few rows and nothing else are that one
 * statement alone. On any other error the outcome may be unknown (a COMMIT without an answer): the caller claims the
 * partition again and goes on from what is stored there.
 */
export async function storeBatch(sql: Sql, batch: Batch): Promise<void> {
  const { outputs } = batch
  const alone = areAlone(batch)
  const few = outputs.copy.rows <= (alone ? FEW_ROWS_WITH_ALARMS : FEW_ROWS)
  const stream = outputs.copy.rows > 0 ? outputs.copy.finish() : null
  if (few && (alone || outputs.raised.length === 0) && !hasMore(outputs)) {
    await ask('store a few readings', moveOn(sql, batch, stream, outputs.raised))
    if (stream) giveBack(stream)
    return logAlarms(outputs.raised, [])
  }
  await ask(
    'store a batch',
    sql.begin(async (tx) => {
      await moveOn(tx, batch, few ? stream : null, [])
      if (stream && !few) await copyIn(tx, COPY_READINGS, stream)
      if (outputs.facts.length > 0) await storeFacts(tx, outputs.facts)
      if (outputs.deadLetters.length > 0) await insertDeadLetters(tx, batch)
      if (outputs.unspilled.length > 0) await forgetGaps(tx, batch)
      if (outputs.spilled.length > 0) await rememberGaps(tx, batch)
      await tellAlarms(tx, outputs.raised, outputs.cleared, batch.alertTopic, batch.groups)
      if (outputs.activated.length > 0) await activate(tx, batch.position, outputs)
    }),
  )
  if (stream) giveBack(stream)
  logAlarms(outputs.raised, outputs.cleared)
  logDeadLetters(outputs.deadLetters, batch.position.topic, batch.position.partition)
}

/** A few alarms that have to do with no others: they go along in the one statement. */
function areAlone({ outputs: { raised }, groups }: Batch): boolean {
  return raised.length > 0 && raised.length <= FEW_ROWS && raised.every((alarm) => isAlone(alarm, groups))
}

/** Something that takes statements of its own. */
function hasMore(o: Outputs): boolean {
  return [o.facts, o.deadLetters, o.unspilled, o.spilled, o.cleared, o.activated].some(
    (list) => list.length > 0,
  )
}

/** Alarms whose cause is not in the log (silence): under the same fence, without moving the offset. */
export async function storeTransitions(
  sql: Sql,
  position: Position,
  raised: readonly RaisedAlarm[],
  cleared: readonly ClearedAlarm[],
  alertTopic: string,
  groups: GroupRule,
): Promise<void> {
  await ask(
    'store transitions of alarms',
    sql.begin(async (tx) => {
      owned(position, await tx`${movedRow(tx, position, createOutputs())}`)
      await tellAlarms(tx, raised, cleared, alertTopic, groups)
    }),
  )
  logAlarms(raised, cleared)
}

/** The fence, and with it what hangs on it: rows (as a COPY stream of a few), newest values, a checkpoint, alarms. */
async function moveOn(
  sql: Sql | Transaction,
  batch: Batch,
  rows: Buffer | null,
  raised: readonly RaisedAlarm[],
): Promise<void> {
  const { position, outputs, checkpoint } = batch
  const moved = await sql`
    with moved as (${movedRow(sql, position, outputs)})
    ${rows ? sql`, stored as (${insertedRows(sql, rowsOf(rows))})` : sql``}
    ${batch.latest.length > 0 ? sql`, shown as (${shownLatest(sql, batch)})` : sql``}
    ${checkpoint ? sql`, kept as (${keptCheckpoint(sql, position, checkpoint)})` : sql``}
    ${raised.length > 0 ? raisedWith(sql, raised, batch.alertTopic) : sql``}
    select 1${raised.length > 0 ? sql`, told.*` : sql``} from moved ${raised.length > 0 ? sql`left join told on true` : sql``}`
  owned(position, moved)
}

function owned(p: Position, moved: readonly unknown[]): void {
  if (moved.length !== 1) {
    throw new Fenced(
      `Cannot store ${p.topic}-${p.partition} from offset ${p.expected}: epoch ${p.epoch} no longer owns it`,
    )
  }
}

function movedRow(sql: Sql | Transaction, p: Position, outputs: Outputs) {
  const c = outputs.counters
  const newest = Number.isFinite(outputs.newestMeasuredAt) ? outputs.newestMeasuredAt / 1e6 : null
  return sql`
    update partition_progress set
      next_offset = ${p.next}, updated_at = now(),
      newest_measured_at = greatest(newest_measured_at, to_timestamp(${newest}::float8)),
      stored = stored + ${c.stored}, dead_lettered = dead_lettered + ${c.dead_lettered},
      repeated = repeated + ${c.repeated}, conflicting = conflicting + ${c.conflicting},
      missing = missing + ${c.missing}, filled = filled + ${c.filled},
      unidentified = unidentified + ${c.unidentified}, late = late + ${c.late},
      unknown_fields = unknown_fields + ${c.unknown_fields}
    where cluster_id = ${p.clusterId} and topic = ${p.topic} and partition = ${p.partition}
      and next_offset = ${p.expected} and epoch = ${p.epoch} returning 1`
}

function insertedRows(sql: Sql | Transaction, rows: readonly ReadingRow[]) {
  return sql`
    insert into readings (measured_at, value, "offset", seq, sensor_key, run_key, quality, flags, partition, topic_key,
      level, claimed_level, metadata)
    select timestamptz 'epoch' + r."measuredAt" * interval '1 microsecond', r.value, r."offset", r.seq, r."sensorKey",
      r."runKey", r.quality, r.flags, r.partition, r."topicKey", r.level, r."claimedLevel", r.metadata::jsonb
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as r ("measuredAt" bigint, value float8, "offset" bigint,
      seq bigint, "sensorKey" integer, "runKey" integer, quality real, flags integer, partition smallint,
      "topicKey" smallint, level smallint, "claimedLevel" smallint, metadata text) cross join moved`
}

async function insertDeadLetters(tx: Transaction, batch: Batch): Promise<void> {
  const { clusterId, topic, partition } = batch.position
  for (const { message, fault, identity, source } of batch.outputs.deadLetters) {
    const { key, value, offset } = message
    const { kept, leftOut } = keepHeaders(message.headers)
    const more =
      leftOut > 0 ? `; ${leftOut} of its headers are beyond ${KEEP_HEADER_BYTES} bytes, and not kept` : ''
    await tx`
      insert into dead_letters (cluster_id, topic, partition, "offset", reason, message, key, value, rest, value_bytes,
        value_sha256, headers, sensor_id, run_id, seq, detected_by)
      values (${clusterId}, ${topic}, ${partition}, ${offset}, ${fault.reason}, ${fault.message.slice(0, 1000) + more},
        ${key?.subarray(0, DEAD_LETTER_KEEPS_BYTES) ?? null}, ${value?.subarray(0, DEAD_LETTER_KEEPS_BYTES) ?? null},
        ${value && value.length > DEAD_LETTER_KEEPS_BYTES ? value.subarray(DEAD_LETTER_KEEPS_BYTES) : null},
        ${value?.length ?? 0}, ${value ? sha256(value) : null}, ${JSON.stringify(kept)}::text::jsonb,
        ${source}, ${identity?.runId ?? null}, ${identity?.seq ?? null}, ${batch.detectedBy})`
  }
  await tx`select pg_notify('dead_letters', '')`
}

function sha256(bytes: Uint8Array): Buffer {
  return Buffer.from(new Bun.CryptoHasher('sha256').update(bytes).digest())
}

async function forgetGaps(tx: Transaction, batch: Batch): Promise<void> {
  const { topic, partition } = batch.position
  for (const { source, runId } of batch.outputs.unspilled) {
    await tx`delete from sequence_gaps where topic = ${topic} and partition = ${partition}
      and sensor_id = ${source} and run_id = ${runId}`
  }
}

async function rememberGaps(tx: Transaction, batch: Batch): Promise<void> {
  const { topic, partition } = batch.position
  for (const { source, runId, ranges } of batch.outputs.spilled) {
    for (const { from, to } of ranges) {
      await tx`insert into sequence_gaps (topic, partition, sensor_id, run_id, from_seq, to_seq)
        values (${topic}, ${partition}, ${source}, ${runId}, ${from}, ${to})
        on conflict (topic, partition, sensor_id, run_id, from_seq) do update set to_seq = excluded.to_seq`
    }
  }
}

/** What rememberGaps() put into the table of one source and run. */
export async function readGaps(
  sql: Sql,
  topic: string,
  partition: number,
  source: string,
  runId: string,
): Promise<Range[]> {
  const rows = await ask(
    'read the open sequence numbers',
    sql<Range[]>`
      select from_seq as "from", to_seq as "to" from sequence_gaps
      where topic = ${topic} and partition = ${partition} and sensor_id = ${source} and run_id = ${runId}`,
  )
  return rows.map(({ from, to }) => ({ from, to }))
}

async function activate(tx: Transaction, p: Position, outputs: Outputs): Promise<void> {
  for (const { version, fromOffset } of outputs.activated) {
    await tx`insert into rule_activations (cluster_id, topic, partition, book_version, from_offset)
      values (${p.clusterId}, ${p.topic}, ${p.partition}, ${version}, ${fromOffset})
      on conflict (cluster_id, topic, partition, book_version) do nothing`
  }
}

function shownLatest(sql: Sql | Transaction, batch: Batch) {
  const rows = batch.latest.map((s) => ({
    sensor_id: s.reading.sensorId,
    sensor_key: s.sensorKey,
    measured_us: s.reading.measuredAt,
    value: s.reading.value,
    level: s.level,
    quality: Math.fround(s.reading.quality), // as text, PostgreSQL refuses what a real would round to 0
    flags: s.flags,
    log_offset: s.offset,
    readings: s.count,
  }))
  return sql`
    insert into sensor_latest (sensor_id, sensor_key, measured_at, value, level, quality, flags, topic_key, partition,
      "offset", readings, updated_at)
    select sensor_id, sensor_key, timestamptz 'epoch' + measured_us * interval '1 microsecond', value, level, quality,
      flags, ${batch.topicKey}::smallint, ${batch.position.partition}::smallint, log_offset, readings, now()
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as l (sensor_id text, sensor_key integer,
      measured_us float8, value float8, level smallint, quality real, flags integer, log_offset bigint, readings bigint)
      cross join moved
    order by sensor_id
    on conflict (sensor_id) do update set sensor_key = excluded.sensor_key, measured_at = excluded.measured_at,
      value = excluded.value, level = excluded.level, quality = excluded.quality, flags = excluded.flags,
      topic_key = excluded.topic_key, partition = excluded.partition, "offset" = excluded."offset",
      readings = excluded.readings, updated_at = excluded.updated_at`
}

function keptCheckpoint(sql: Sql | Transaction, p: Position, state: Buffer) {
  return sql`
    insert into partition_checkpoints (cluster_id, topic, partition, at_offset, version, state)
    select ${p.clusterId}, ${p.topic}, ${p.partition}::integer, ${p.next}::bigint, ${CHECKPOINT_VERSION}::integer, ${state}::bytea
    from moved
    on conflict (cluster_id, topic, partition) do update set at_offset = excluded.at_offset,
      version = excluded.version, state = excluded.state, written_at = now()`
}
