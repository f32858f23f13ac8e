import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { connect, closeSql, type Sql } from '../db/connect.ts'
import { DEVICE_TOPIC, sensorsOf } from '../device.ts'
import { contentHash } from '../hash.ts'
import { decodeFactory, Fault, type Decoder } from '../ingest/decode.ts'
import { decodersOf } from '../ingest/decoders.ts'
import { identityOf } from '../ingest/identity.ts'
import { clusterOf, clusterView, kafkaClients, type KafkaClients } from '../kafka/client.ts'
import { readLogRange, type LogMessage } from '../kafka/log.ts'
import { EXIT, sleep, Stop } from '../run.ts'
import { readLedger, type LedgerEntry } from '../spool/ledger.ts'
import { judgeForeign, type ForeignVerdict, type ReadLog } from './foreign.ts'
import { heartbeatsIn, judgeHeartbeats, type HeartbeatLedger, type HeartbeatVerdict } from './heartbeats.ts'
import { createJudge, type Judge, type Verdict } from './judge.ts'
import { postgresStore, type Store, type StoredRow } from './stored.ts'

export interface Report extends Verdict {
  /** signs of life, which are counted instead of stored; what is wrong with them is in the sums above, too */
  heartbeats: HeartbeatVerdict
  /** numbers that consumers saw skipped and that have not come since */
  gaps: number
  /** rows of producers without identity, checked against the log itself */
  unidentified: ForeignVerdict
  /** run ids whose rows are stored but whose spool is not under SPOOL_DIR */
  unknown_runs: string[]
  /** what lies in a sink and is no reading of ours, the first hundred by name; each counts as a phantom */
  unreadable: string[]
  /** messages in Kafka that the consumers had not stored when the wait was over */
  behind: number
}

const NAMED = 100

/**
 * The ledger of the whole journey. Order matters on a plant that runs: first the ledgers (what must be there), then the
 * ends of the log (what they have sent lies below), then the wait until that is stored, then one snapshot of the tables,
 * then the ledgers again (what came meanwhile is no phantom).
 */
export async function verify(
  config: Config,
  waitMs: number,
  say: (line: string) => void,
  store: Store = postgresStore,
): Promise<Report> {
  const sql = connect(config.DATABASE_URL, { name: 'verify', max: 1, statementTimeoutMs: 600_000 })
  const clients = kafkaClients({ ...clusterOf(config), clientId: 'verify' })
  try {
    const judge = createJudge()
    const runs = new Set<string>()
    const sent = new Set<string>()
    const beats = config.SODA_HEARTBEAT_TOPIC
    const first = eachLedgerEntry(config, (entry) => judge.expect(entry), judge, runs, sent)
    say(`${runs.size} ledgers read`)
    if (!store.hasHeartbeats) sent.delete(beats)
    const behind = await waitUntilStored(clients, sql, store, sent, waitMs, say)
    const foreign: StoredRow[] = []
    const unknown = new Set<string>()
    const unreadable: string[] = []
    let strange = 0
    const noteUnreadable = (name: string): void => {
      if (++strange <= NAMED) unreadable.push(name)
    }
    const tables = await readStore(sql, store, judge, foreign, runs, unknown, noteUnreadable, beats)
    const later = eachLedgerEntry(config, (entry) => judge.justify(entry), null, runs, sent)
    const heartbeats = tables.heartbeats
      ? judgeHeartbeats(first, later, tables.heartbeats)
      : judgeHeartbeats([], [], []) // readings alone are kept there
    for (const { runId } of tables.heartbeats ?? []) unknown.add(runId)
    tables.judgeRows()
    const unidentified = await judgeForeign(foreign, logReader(clients, config))
    const verdict = judge.verdict(tables.retiredBeforeMs)
    return {
      ...verdict,
      lost: verdict.lost + heartbeats.lost,
      duplicated: verdict.duplicated + unidentified.duplicated + heartbeats.duplicated,
      phantom: verdict.phantom + unidentified.phantom + heartbeats.phantom + strange,
      heartbeats,
      gaps: tables.gaps + tables.corrected(),
      unidentified,
      unreadable,
      unknown_runs: [...unknown].filter((run) => !runs.has(run)),
      behind,
    }
  } finally {
    await closeSql(sql)
  }
}

/** Returns what the spools say of signs of life; `sent` gets the topics that something of them has gone to. */
function eachLedgerEntry(
  { SPOOL_DIR: dir, SODA_HEARTBEAT_TOPIC: beats }: Config,
  take: (entry: LedgerEntry) => void,
  judge: Judge | null,
  runs: Set<string>,
  sent: Set<string>,
): HeartbeatLedger[] {
  const heartbeats: HeartbeatLedger[] = []
  if (!existsSync(dir))
    throw new Stop(
      `Cannot verify: no spool under "${dir}": set SPOOL_DIR to where the producers keep theirs`,
      EXIT.config,
    )
  for (const file of readdirSync(dir).filter((name) => name.endsWith('.sqlite'))) {
    const ledger = readLedger(join(dir, file))
    try {
      runs.add(ledger.runId)
      for (const entry of ledger) take(entry)
      heartbeats.push(heartbeatsIn(ledger, beats))
      for (const s of ledger.streams()) if (s.accepted > s.spooled) sent.add(s.topic)
      if (judge) for (const s of ledger.spooled()) judge.spooled(s.runId, s.sensorId, s.seq)
    } finally {
      ledger.close()
    }
  }
  return heartbeats
}

/** Until the store's position has reached where the log ended when we asked; resolves to how many messages were still missing. */
async function waitUntilStored(
  clients: KafkaClients,
  sql: Sql,
  store: Store,
  sent: ReadonlySet<string>,
  waitMs: number,
  say: (line: string) => void,
): Promise<number> {
  const view = clusterView(clients)
  const until = Date.now() + waitMs
  try {
    const clusterId = await retried(until, () => view.clusterId())
    const existing = await retried(until, () => view.ask('list the topics', (a) => a.listTopics()))
    // A store that has claimed nothing yet is behind, too: by all that was sent.
    const topics = new Set([...sent].filter((topic) => existing.includes(topic)))
    for (const { topic } of await store.progress(sql, clusterId)) topics.add(topic)
    const ends = new Map<string, { low: number; high: number }>()
    for (const topic of topics) {
      for (const o of await retried(until, () => view.offsets(topic))) ends.set(`${topic}\n${o.partition}`, o)
    }
    for (let said = -1; ;) {
      const progress = await store.progress(sql, clusterId)
      const stored = new Map(progress.map((p) => [`${p.topic}\n${p.partition}`, p.next_offset]))
      let behind = 0
      for (const [id, { low, high }] of ends) behind += Math.max(0, high - (stored.get(id) ?? low))
      if (behind === 0 || Date.now() >= until) return behind
      if (behind !== said) say(`waiting for ${behind} messages to be stored`)
      said = behind
      await sleep(500)
    }
  } finally {
    await view.close()
  }
}

async function retried<T>(until: number, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (Date.now() >= until) {
        throw new Stop(
          `Cannot verify: Kafka does not answer: ${(error as Error).message}: what is on its way cannot be told from what is lost`,
          EXIT.unavailable,
          { cause: error },
        )
      }
      await sleep(500)
    }
  }
}

/** One look at the store. Rows are held back until the ledgers have been read once more. */
async function readStore(
  sql: Sql,
  store: Store,
  judge: Judge,
  foreign: StoredRow[],
  runs: Set<string>,
  unknown: Set<string>,
  unreadable: (name: string) => void,
  heartbeatTopic: string,
) {
  const held = createHeldRows()
  const take = (row: StoredRow): void => {
    if (row.runId === null || row.seq === null) foreign.push(row)
    else held.push(row.runId, row.sensorId, row.seq, row.hash)
    if (row.runId !== null && !runs.has(row.runId)) unknown.add(row.runId)
  }
  const { letters, gaps, retiredBeforeMs, heartbeats } = await store.read(
    sql,
    heartbeatTopic,
    take,
    unreadable,
  )
  for (const l of letters) {
    const sensors = l.topic === DEVICE_TOPIC ? sensorsOf(l.sensor_id) : [l.sensor_id]
    for (const sensor of sensors) judge.deadLetter(l.run_id, sensor, l.seq)
  }
  const isStored = (l: (typeof letters)[number]) =>
    judge.isStored(
      l.run_id,
      l.topic === DEVICE_TOPIC ? (sensorsOf(l.sensor_id)[0] ?? '') : l.sensor_id,
      l.seq,
    )
  return {
    gaps,
    /** dead letters that came again, corrected: numbers that were filled though none had counted them as missing */
    corrected: () =>
      new Set(letters.filter(isStored).map((l) => `${l.run_id}\n${l.sensor_id}\n${l.seq}`)).size,
    heartbeats,
    retiredBeforeMs,
    judgeRows: () => held.each((runId, sensorId, seq, hash) => judge.row(runId, sensorId, seq, hash)),
  }
}

/** Rows in columns: 20 bytes each instead of an object. */
function createHeldRows() {
  const names = new Map<string, number>()
  const byNumber: { runId: string; sensorId: string }[] = []
  let who = new Uint32Array(1024)
  let seqs = new Float64Array(1024)
  let hashes = new BigUint64Array(1024)
  let length = 0
  return {
    push(runId: string, sensorId: string, seq: number, hash: bigint) {
      if (length === who.length) {
        const grownWho = new Uint32Array(length * 2)
        grownWho.set(who)
        const grownSeqs = new Float64Array(length * 2)
        grownSeqs.set(seqs)
        const grownHashes = new BigUint64Array(length * 2)
        grownHashes.set(hashes)
        who = grownWho
        seqs = grownSeqs
        hashes = grownHashes
      }
      const name = `${runId}\n${sensorId}`
      let number = names.get(name)
      if (number === undefined) {
        number = byNumber.push({ runId, sensorId }) - 1
        names.set(name, number)
      }
      who[length] = number
      seqs[length] = seq
      hashes[length] = hash
      length++
    },
    each(take: (runId: string, sensorId: string, seq: number, hash: bigint) => void) {
      for (let i = 0; i < length; i++) {
        const name = byNumber[who[i] ?? 0]
        if (name) take(name.runId, name.sensorId, seqs[i] ?? 0, hashes[i] ?? 0n)
      }
    },
  }
}

/** What the log itself says at these offsets, for rows without identity. */
function logReader(clients: KafkaClients, config: Config): ReadLog {
  const decoders = decodersOf({ ...config, FLEET: 'all' })
  return async (topic, partition, offsets) => {
    const view = clusterView(clients)
    const range = (await view.offsets(topic).catch(() => [])).find((o) => o.partition === partition)
    await view.close()
    const decode: Decoder = decoders.get(topic) ?? decodeFactory
    const wanted = new Set(offsets)
    const said = new Map<number, readonly bigint[] | null>()
    for (const offset of wanted) if (!range || offset < range.low) said.set(offset, null)
    const from = Math.max(range?.low ?? 0, Math.min(...offsets))
    const to = Math.min(range?.high ?? 0, Math.max(...offsets) + 1)
    const messages: LogMessage[] = []
    await readLogRange(clients, topic, partition, from, to, (message) => {
      if (wanted.has(message.offset)) messages.push(message)
    })
    await decode.learn?.(messages.map((message) => message.value))
    for (const { offset, value, headers } of messages) {
      const decoded = decode(value)
      // A message that carries an identity makes rows that carry it too: this one has lost it.
      const foreign = identityOf(headers) === null
      said.set(offset, decoded instanceof Fault || !foreign ? [] : decoded.readings.map(contentHash))
    }
    return said
  }
}
