import { ask, type Sql } from '../db/connect.ts'

/** A message that is not in a sink, as sink_dead_letters keeps it; its bytes are in Kafka. */
export interface SinkDeadLetter {
  clusterId: string
  topic: string
  partition: number
  log: number
  offset: number
  reason: string
  message: string
  sensorId: string | null
  runId: string | null
  seq: number | null
  recordedAt: Date
  /** the store has taken it after all */
  writtenAt: Date | null
  /** the log that is there now is the one it was in */
  isOfThisLog: boolean
}

/** Where one lies in the log: how people name it, as in sensor-data/0/1234. */
export interface LetterPlace {
  topic: string
  partition: number
  offset: number
}

export interface SinkChoice {
  reason?: string | undefined
  topic?: string | undefined
  places?: readonly LetterPlace[] | undefined
}

/** Those of `choice` in the order of the log, at most `limit` behind `after`. */
export async function sinkDeadLetters(
  sql: Sql,
  sink: string,
  { reason, topic, places }: SinkChoice,
  page: { after: SinkDeadLetter | null; limit: number },
): Promise<SinkDeadLetter[]> {
  const { after } = page
  return ask(
    'read the dead letters of the sink',
    sql<SinkDeadLetter[]>`
      select cluster_id as "clusterId", topic, partition, log, "offset", reason, message, sensor_id as "sensorId",
        run_id as "runId", seq, recorded_at as "recordedAt", written_at as "writtenAt",
        exists (select from sink_progress p where p.sink = l.sink and p.cluster_id = l.cluster_id and p.topic = l.topic
          and p.partition = l.partition and p.log = l.log) as "isOfThisLog"
      from sink_dead_letters l
      where sink = ${sink} ${reason === undefined ? sql`` : sql`and reason = ${reason}`}
        ${topic === undefined ? sql`` : sql`and topic = ${topic}`}
        ${
          places === undefined
            ? sql``
            : sql`and (topic, partition, "offset") in (select topic, partition, "offset" from
                json_to_recordset(${JSON.stringify(places)}::text::json) x(topic text, partition integer, "offset" bigint))`
        }
        ${
          after === null
            ? sql``
            : sql`and (topic, partition, "offset", log) > (${after.topic}, ${after.partition}, ${after.offset}, ${after.log})`
        }
      order by topic, partition, "offset", log
      limit ${page.limit}`,
  )
}

export interface SinkLetterCount {
  topic: string
  reason: string
  count: number
  written: number
  newest: string
  newest_at: Date
  example: string
}

export async function countSinkLetters(
  sql: Sql,
  sink: string,
  { reason, topic }: Pick<SinkChoice, 'reason' | 'topic'>,
): Promise<SinkLetterCount[]> {
  return ask(
    'count the dead letters of the sink',
    sql<SinkLetterCount[]>`
      select topic, reason, count(*) as count, count(written_at) as written, max(recorded_at) as newest_at,
        (array_agg(topic || '/' || partition || '/' || "offset" order by recorded_at desc, "offset" desc))[1] as newest,
        (array_agg(message order by recorded_at desc, "offset" desc))[1] as example
      from sink_dead_letters
      where sink = ${sink} ${reason === undefined ? sql`` : sql`and reason = ${reason}`}
        ${topic === undefined ? sql`` : sql`and topic = ${topic}`}
      group by topic, reason order by topic, reason`,
  )
}

/** The store has it. */
export async function markWritten(sql: Sql, sink: string, letter: SinkDeadLetter): Promise<void> {
  await ask(
    'mark the dead letter',
    sql`update sink_dead_letters set written_at = now()
      where sink = ${sink} and cluster_id = ${letter.clusterId} and topic = ${letter.topic}
        and partition = ${letter.partition} and log = ${letter.log} and "offset" = ${letter.offset}`,
  )
}
