import { Database } from 'bun:sqlite'
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseConfig, type Config } from '../../lib/config.ts'
import { ask, createDatabase, type Sql } from '../../lib/db/connect.ts'
import { FLAG } from '../../lib/ingest/flags.ts'
import { clusterOf, clusterView, kafkaClients, type ClusterView } from '../../lib/kafka/client.ts'
import { log } from '../../lib/log.ts'
import { run, sleep } from '../../lib/run.ts'
import type { Sample } from './sample.ts'

/**
 * `bun chaos/watch/observe.ts RUN NAME=PORT…`: looks at the system from outside until it is told to stop, each part on
 * its own, because some will not answer. A sample every quarter of a second. CHAOS_TIMES=on counts wrong times, too.
 */
const SAMPLE_MS = 250
const ANSWER_MS = 2000

await run('observer', async (signal) => {
  const config = parseConfig()
  log.configure({ level: 'ERROR', service: 'observer' })
  const [dir = '.', ...ports] = process.argv.slice(2)
  const seen: Sample = { t: 0, spool: {}, kafka: null, database: null, ports: {}, api: 0, memory: {} }
  const loops = [
    every(SAMPLE_MS, signal, () => void (seen.spool = spools(config.SPOOL_DIR, seen.spool))),
    watchDatabase(config, seen, signal),
    watchKafka(config, seen, signal),
    ...ports.map((port) => watchPort(port, seen, signal)),
    every(500, signal, async () => void (seen.api = await readiness(config.MONITORING_PORT))),
    every(1000, signal, () => void (seen.memory = memory(config.STATE_DIR))),
  ]
  await every(SAMPLE_MS, signal, () => {
    seen.t = Date.now()
    appendFileSync(join(dir, 'samples.jsonl'), `${JSON.stringify(seen)}\n`)
  })
  await Promise.race([Promise.all(loops), sleep(3000)]) // one that hangs on a frozen server must not keep us
})

/** A failed look leaves the last one in place: its age tells. */
async function every(ms: number, signal: AbortSignal, look: () => void | Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await look()
    } catch (error) {
      log.debug('look.failed', { error: error as Error })
    }
    await sleep(ms, signal)
  }
}

/** Totals of every spool; a file that can't be read in this moment keeps its last ones. */
function spools(dir: string, before: Sample['spool']): Sample['spool'] {
  const now = { ...before }
  for (const file of readdirSync(dir).filter((name) => name.endsWith('.sqlite'))) {
    const name = file.slice(0, -'.sqlite'.length)
    try {
      const db = new Database(join(dir, file), { readonly: true })
      try {
        const totals = db
          .query<{ accepted: number; sent: number; gone: number }, []>(
            'select accepted, sent, dropped + rejected as gone from totals',
          )
          .get()
        if (!totals) continue
        const { accepted, sent, gone } = totals
        now[name] = { accepted, sent, spooled: accepted - sent - gone }
      } finally {
        db.close()
      }
    } catch {
      // in use in a way that keeps readers out for a moment
    }
  }
  return now
}

function watchDatabase(config: Config, seen: Sample, signal: AbortSignal): Promise<void> {
  const database = createDatabase(config.DATABASE_URL, { name: 'observer', max: 1 })
  const since = new Date()
  return every(SAMPLE_MS, signal, async () => {
    try {
      seen.database = await ask('look at the tables', askDatabase(database.sql, config, since), ANSWER_MS)
    } catch (error) {
      database.renewAfter(error)
      throw error
    }
  }).finally(() => database.close())
}

async function askDatabase(sql: Sql, config: Config, since: Date): Promise<Sample['database']> {
  const began = Date.now()
  // all at once: on a slow network five answers one after the other would be five times as old
  const [partitions, backends, alarms, elsewhere, times] = await Promise.all([
    sql<NonNullable<Sample['database']>['partitions']>`
      select partition, owner, next_offset as next, epoch, stored, dead_lettered as dead, repeated,
        stopped is not null as stopped
      from partition_progress where topic = ${config.SENSOR_TOPIC} order by partition`,
    sql<{ pid: number }[]>`
      select pid from pg_stat_activity where datname = current_database() and application_name ~ '^consumer-[0-9]+$'`,
    sql<{ count: number }[]>`
      select count(*) as count from alerts where created_at > ${since}`,
    sql<{ count: number }[]>`
      select coalesce(sum(dead_lettered), 0)::bigint as count from partition_progress where topic <> ${config.SENSOR_TOPIC}`,
    process.env.CHAOS_TIMES === 'on'
      ? sql<{ count: number }[]>`
          select count(*) as count from readings
          where received_at > ${since} and flags & ${FLAG.clock | FLAG.late} <> 0`
      : [],
  ])
  return {
    at: Date.now(),
    tookMs: Date.now() - began,
    partitions: [...partitions],
    backends: backends.map((b) => b.pid),
    alarms: alarms[0]?.count ?? 0,
    deadElsewhere: elsewhere[0]?.count ?? 0,
    wrongTimes: times[0]?.count ?? -1,
  }
}

function watchKafka(config: Config, seen: Sample, signal: AbortSignal): Promise<void> {
  const view = clusterView(
    kafkaClients({ ...clusterOf(config), clientId: 'observer', requestTimeoutMs: ANSWER_MS }),
  )
  return every(500, signal, async () => void (seen.kafka = await askKafka(view, config))).finally(() =>
    view.close(),
  )
}

async function askKafka(view: ClusterView, config: Config): Promise<Sample['kafka']> {
  const began = Date.now()
  const topic = config.SENSOR_TOPIC
  const ask = <T>(what: string, call: Parameters<typeof view.ask<T>>[1]) => view.ask(what, call, ANSWER_MS)
  const [metadata, cluster, offsets, { groups }] = await Promise.all([
    ask('describe', (a) => a.fetchTopicMetadata({ topics: [topic] })),
    ask('list the brokers', (a) => a.describeCluster()),
    ask('read the ends', (a) => a.fetchTopicOffsets(topic)),
    ask('look at the group', (a) => a.describeGroups([config.CONSUMER_GROUP])),
  ])
  const partitions = (metadata.topics[0]?.partitions ?? []).toSorted((a, b) => a.partitionId - b.partitionId)
  return {
    at: Date.now(),
    tookMs: Date.now() - began,
    isr: partitions.map((p) => p.isr.toSorted()),
    leader: partitions.map((p) => p.leader),
    high: offsets.toSorted((a, b) => a.partition - b.partition).map((o) => Number(o.high)),
    members: groups.flatMap((g) => g.members.map((m) => m.clientId)).toSorted(),
    brokers: cluster.brokers.map((b) => b.nodeId).toSorted(),
  }
}

function watchPort(named: string, seen: Sample, signal: AbortSignal): Promise<void> {
  const [name = '', port = ''] = named.split('=')
  return every(500, signal, async () => {
    seen.ports[name] = await Bun.connect({
      hostname: '127.0.0.1',
      port: Number(port),
      socket: { data() {} },
    }).then(
      (socket) => (socket.end(), true),
      () => false,
    )
  })
}

async function readiness(port: number): Promise<number> {
  return fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(ANSWER_MS) }).then(
    (answer) => answer.status,
    () => 0,
  )
}

/** By the records of the local stack; containers are bounded by their own limits. */
function memory(stateDir: string): Record<string, number> {
  const found: Record<string, number> = {}
  const dir = join(stateDir, 'run')
  for (const file of readdirSync(dir).filter((name) => name.endsWith('.pid'))) {
    try {
      const status = readFileSync(`/proc/${readFileSync(join(dir, file), 'utf8').trim()}/status`, 'utf8')
      const kib = /^VmRSS:\s+(\d+)/m.exec(status)?.[1]
      if (kib) found[file.slice(0, -4)] = Math.round(Number(kib) / 1024)
    } catch {
      // it has just gone
    }
  }
  return found
}
