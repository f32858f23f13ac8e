import type { Sql, Transaction } from '../db/connect.ts'
import { contentHash } from '../hash.ts'
import { heartbeatCounts, type HeartbeatCount } from './heartbeats.ts'

/** A row of readings as the judge sees it. `runId` and `seq` are null for a foreign producer's. */
export interface StoredRow {
  runId: string | null
  sensorId: string
  seq: number | null
  hash: bigint
  topic: string
  partition: number
  offset: number
  /** stored before its topic was re-created and the new log accepted: its place there is another message's now */
  isOfOlderLog?: boolean
}

/** Where readings are kept, as the judge reads it: PostgreSQL's tables, or a sink's index or bucket. */
export interface Store {
  /** signs of life are counted there, too */
  hasHeartbeats: boolean
  /** the first offset of each partition that it does not have yet */
  progress(sql: Sql, clusterId: string): Promise<{ topic: string; partition: number; next_offset: number }[]>
  /** every stored reading, once, and what is known beside; what is there and is none goes to `unreadable`, by name */
  read(
    sql: Sql,
    heartbeatTopic: string,
    take: (row: StoredRow) => void,
    unreadable: (name: string) => void,
  ): Promise<{
    letters: { topic: string; run_id: string; sensor_id: string; seq: number }[]
    gaps: number
    retiredBeforeMs: number
    /** null where signs of life are not counted there */
    heartbeats: HeartbeatCount[] | null
  }>
}

export const postgresStore: Store = {
  hasHeartbeats: true,
  progress: (sql, clusterId) => sql`
    select topic, partition, next_offset from partition_progress where cluster_id = ${clusterId}`,
  /** one consistent look */
  read: (sql, heartbeatTopic, take) =>
    sql.begin('isolation level repeatable read read only', async (tx) => {
      await eachStoredRow(tx, take)
      const letters = await tx<{ topic: string; run_id: string; sensor_id: string; seq: number }[]>`
        select topic, run_id, sensor_id, seq from dead_letters
        where run_id is not null and sensor_id is not null and seq is not null and topic <> ${heartbeatTopic}`
      const heartbeats = await heartbeatCounts(tx, heartbeatTopic)
      const sums = await tx<{ gaps: number | null; retired: Date | null }[]>`
        select (select sum(missing - filled)::bigint from partition_progress) as gaps,
          (select max(received_before) from retired_readings) as retired`
      const retiredBeforeMs = sums[0]?.retired?.getTime() ?? 0
      return { letters, heartbeats, gaps: sums[0]?.gaps ?? 0, retiredBeforeMs }
    }),
}

interface RawRow {
  sensor_key: number
  run_key: number | null
  seq: number | null
  measured_us: number
  value: number
  quality: number
  topic_key: number
  partition: number
  offset: number
  is_of_older_log: boolean
}

interface Sensor {
  sensor_key: number
  sensor_id: string
  sensor_type: string
  unit: string
  factory_section: string
  machine_id: string
  zone: string
}

const PAGE = 10_000

/** Every stored reading, once, with its content hashed again from the columns. Constant memory. */
async function eachStoredRow(tx: Transaction, take: (row: StoredRow) => void): Promise<void> {
  const sensors = new Map((await tx<Sensor[]>`select * from sensors`).map((s) => [s.sensor_key, s]))
  const runs = new Map(
    (await tx<{ run_key: number; run_id: string }[]>`select run_key, run_id from runs`).map((r) => [
      r.run_key,
      r.run_id,
    ]),
  )
  const topics = new Map(
    (await tx<{ topic_key: number; topic: string }[]>`select topic_key, topic from topics`).map((t) => [
      t.topic_key,
      t.topic,
    ]),
  )
  const rows = tx<RawRow[]>`
    with accepted as (
      select topic_key, (details ->> 'partition')::integer as partition, max(at) as at
      from system_events join topics on topic = details ->> 'topic' where event = 'log.accepted' group by 1, 2)
    select sensor_key, run_key, seq, (extract(epoch from measured_at) * 1000000)::bigint as measured_us, value,
      quality::float8 as quality, topic_key, partition, "offset",
      coalesce(received_at < accepted.at, false) as is_of_older_log
    from readings left join accepted using (topic_key, partition)`
  await rows.cursor(PAGE, (page) => {
    for (const raw of page) {
      take(toStoredRow(raw, sensors.get(raw.sensor_key), runs, topics))
    }
  })
}

function toStoredRow(
  raw: RawRow,
  sensor: Sensor | undefined,
  runs: Map<number, string>,
  topics: Map<number, string>,
): StoredRow {
  return {
    // A key without its row is a phantom's: give it a name that no ledger has.
    runId: raw.run_key === null ? null : (runs.get(raw.run_key) ?? `unknown run ${raw.run_key}`),
    sensorId: sensor?.sensor_id ?? `unknown sensor ${raw.sensor_key}`,
    seq: raw.seq,
    hash: sensor ? hashOf(raw, sensor) : 0n,
    topic: topics.get(raw.topic_key) ?? `unknown topic ${raw.topic_key}`,
    partition: raw.partition,
    offset: raw.offset,
    isOfOlderLog: raw.is_of_older_log,
  }
}

function hashOf(raw: RawRow, sensor: Sensor): bigint {
  return contentHash({
    sensorId: sensor.sensor_id,
    sensorType: sensor.sensor_type,
    unit: sensor.unit,
    location: { factorySection: sensor.factory_section, machineId: sensor.machine_id, zone: sensor.zone },
    measuredAt: raw.measured_us,
    value: raw.value,
    quality: raw.quality,
    claimedLevel: null,
    warningThreshold: null,
    criticalThreshold: null,
    metadata: null,
  })
}
