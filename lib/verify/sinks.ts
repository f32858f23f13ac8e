import { z } from 'zod'
import type { Config } from '../config.ts'
import type { Sql } from '../db/connect.ts'
import { contentHash } from '../hash.ts'
import { fromDocument, logNamed, type SensorDocument } from '../sink/document.ts'
import type { FormatName } from '../sink/formats.ts'
import { coldStorageOf, elasticsearchOf, type SinkName } from '../sink/open.ts'
import { toReading, type Row } from '../sink/row.ts'
import type { Store, StoredRow } from './stored.ts'
import { verify, type Report } from './verify.ts'

export interface SinkReport extends Report {
  sink: SinkName
  /** documents of the index; objects of the bucket, by format */
  copies: Record<string, Pick<Report, 'stored' | 'lost' | 'duplicated' | 'phantom'>>
}

/** Every copy that a sink keeps, against the ledgers; the report is of the one with the most faults. */
export async function verifySink(
  config: Config,
  sink: SinkName,
  waitMs: number,
  say: (line: string) => void,
): Promise<SinkReport> {
  const reports = new Map<string, Report>()
  for (const [copy, store] of sinkStores(config, sink)) {
    say(`reading ${copy} of ${sink}`)
    reports.set(copy, await verify(config, waitMs, say, store))
  }
  const [worst] = [...reports.values()].sort((a, b) => faultsIn(b) - faultsIn(a))
  if (!worst) throw new Error(`Cannot verify ${sink}: it keeps nothing`)
  const copies = [...reports].map(([copy, { stored, lost, duplicated, phantom }]) => [
    copy,
    { stored, lost, duplicated, phantom },
  ])
  return { ...worst, sink, copies: Object.fromEntries(copies) }
}

export function faultsIn(report: Pick<Report, 'lost' | 'duplicated' | 'phantom'>): number {
  return report.lost + report.duplicated + report.phantom
}

/** What a sink keeps, as the judge reads it: the index once, the bucket once for each format. */
function sinkStores(config: Config, sink: SinkName): Map<string, Store> {
  if (sink === 'elasticsearch') return new Map([['documents', searchStore(config)]])
  return new Map(config.S3_FORMATS.map((format) => [format, coldStore(config, format)]))
}

function searchStore(config: Config): Store {
  const elasticsearch = elasticsearchOf(config)
  return sinkStore(elasticsearch.name, (take, unreadable) =>
    elasticsearch.each((source, id) => {
      const rows = readable(() => {
        const document = placed(source as SensorDocument)
        return fromDocument(document).map((r) => rowOf(document, r.sensorId, contentHash(r)))
      })
      if (rows === null) unreadable(id)
      else for (const row of rows) take(row, logNamed(id))
    }),
  )
}

function coldStore(config: Config, format: FormatName): Store {
  const storage = coldStorageOf(config)
  return sinkStore(storage.name, (take, unreadable) => {
    const takeRow = (row: Row, name: string) => {
      const read = readable(() => rowOf(placed(row), row.sensor_id, contentHash(toReading(row))))
      if (read === null) unreadable(name)
      else take(read, logNamed(name))
    }
    return storage.each(format, takeRow, unreadable)
  })
}

/** Anybody may write into an index or a bucket: what is none of ours throws, or is held against the ledger. */
function readable<T>(read: () => T): T | null {
  try {
    return read()
  } catch {
    return null
  }
}

const place = z.object({
  run_id: z.string().nullable(),
  seq: z.number().nullable(),
  topic: z.string(),
  partition: z.int(),
  offset: z.int(),
  sensor_id: z.string(),
})

function placed<T extends Placed>(row: T): T {
  place.parse(row)
  return row
}

type Placed = Pick<SensorDocument, 'run_id' | 'seq' | 'topic' | 'partition' | 'offset'>

function rowOf({ run_id, seq, topic, partition, offset }: Placed, sensorId: string, hash: bigint): StoredRow {
  return { runId: run_id, sensorId, seq, hash, topic, partition, offset }
}

/** Position and dead letters of a sink are in PostgreSQL; nothing in it is ever retired by us. */
function sinkStore(
  sink: string,
  each: (take: (row: StoredRow, ofLog: number) => void, unreadable: (name: string) => void) => Promise<void>,
): Store {
  return {
    hasHeartbeats: false,
    progress: (sql, clusterId) => sql`
      select topic, partition, next_offset from sink_progress where sink = ${sink} and cluster_id = ${clusterId}`,
    async read(sql, _heartbeatTopic, take, unreadable) {
      const newest = await newestLogs(sql, sink)
      await each((row, ofLog) => {
        const isOfOlderLog = ofLog < (newest.get(`${row.topic}\n${row.partition}`) ?? 0)
        take(isOfOlderLog ? { ...row, isOfOlderLog } : row)
      }, unreadable)
      const letters = await lettersOf(sql, sink)
      const sums = await sql<{ gaps: number | null }[]>`
        select sum(missing - filled)::bigint as gaps from sink_progress where sink = ${sink}`
      return { letters, gaps: sums[0]?.gaps ?? 0, retiredBeforeMs: 0, heartbeats: null }
    },
  }
}

/** Of each partition which log is the newest: a place in one before is another message's now. */
async function newestLogs(sql: Sql, sink: string): Promise<Map<string, number>> {
  const rows = await sql<{ topic: string; partition: number; log: number }[]>`
    select topic, partition, max(log) as log from sink_progress where sink = ${sink} group by topic, partition`
  return new Map(rows.map(({ topic, partition, log }) => [`${topic}\n${partition}`, log]))
}

function lettersOf(sql: Sql, sink: string) {
  return sql<{ topic: string; run_id: string; sensor_id: string; seq: number }[]>`
    select topic, run_id, sensor_id, seq from sink_dead_letters
    where sink = ${sink} and run_id is not null and sensor_id is not null and seq is not null`
}
