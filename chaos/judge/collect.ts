import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import type { Evidence } from './evidence.ts'
import { readLedger } from './ledger.ts'
import { dumpTables, openDatabase, untilSettled } from './tables.ts'
import { dumpTopics } from './topics.ts'

export interface Sources {
  ledger: string
  database: string
  brokers: string[]
  readings: string[]
  alerts: string
  /** folder of the programs' logs; null: none is looked at */
  logs: string | null
  secrets: string[]
  /** where chaos scripts keep their runs; null: none was at work */
  runs: string | null
  /** how long to wait for what is in the log to be stored and published */
  settleMs: number
}

/** Everything that is known of a run, at its end: the ledger, the topics, the tables, the logs. */
export async function collect(sources: Sources): Promise<Evidence> {
  const sql = openDatabase(sources.database)
  try {
    const until = Date.now() + sources.settleMs
    let topics, tables
    do {
      await untilSettled(sql, () => endsOf(sources), until - Date.now())
      topics = await dumpTopics(sources.brokers, sources)
      tables = await dumpTables(sql)
      // where an alarm's wait has ended between the two, one tells of what the other has not: both are taken again
    } while (tables.unsent > 0 && Date.now() < until)
    const { log, alerts, ends } = topics
    return {
      ...readLedger(sources.ledger, sources.runs),
      log,
      alerts,
      ends,
      tables,
      texts: textsOf(sources),
      secrets: sources.secrets,
    }
  } finally {
    await sql.end({ timeout: 2 })
  }
}

async function endsOf({ brokers, readings }: Sources) {
  const admin = new Kafka({ clientId: 'judge', brokers, logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    const known = new Set(await admin.listTopics())
    const lists = readings
      .filter((topic) => known.has(topic))
      .map(async (topic) =>
        (await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => ({
          topic,
          partition,
          high: Number(high),
        })),
      )
    return (await Promise.all(lists)).flat()
  } finally {
    await admin.disconnect()
  }
}

function textsOf({ logs }: Sources): Map<string, string> {
  const names =
    logs !== null && existsSync(logs)
      ? readdirSync(logs).filter((n) => /^(producer|consumer|monitor|plant)/.test(n))
      : []
  return new Map(names.map((name) => [name, readFileSync(join(logs ?? '', name), 'utf8')]))
}
