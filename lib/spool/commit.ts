import type { Database } from 'bun:sqlite'
import type { Group, Refused } from './group.ts'
import { encodeLedger } from './ledger.ts'
import type { Chunk } from './lines.ts'
import { encodeMoves, type Stream } from './register.ts'

export interface Totals {
  /** messages; accepted = sent + dropped + rejected + what is spooled */
  accepted: number
  sent: number
  dropped: number
  rejected: number
}

/** Everything that one commit makes true. */
export interface Change {
  group: Group
  /** chunks that Kafka has acknowledged, or that were given up: they go */
  gone: readonly number[]
  /** readings among them that will not arrive */
  exceptions: readonly SpoolException[]
  refused: readonly Refused[]
  /** dead letters that PostgreSQL has: they go */
  written: readonly number[]
  totals: Totals
  atMs: number
}

export interface SpoolException {
  sensor: number
  fromSeq: number
  toSeq: number
  disposition: 'dropped' | 'rejected'
}

/** Every so many commits the numbers are carried into their rows: the most that a start has to read again. */
const CARRY_COMMITS = 256
/** At the same time the ledger lets go of what is past its days, from its old end and only so much. */
const FORGET_ENTRIES = 2000

/** Writes changes, each whole or not at all. Returns the new chunks. Throws what SQLite throws, with nothing changed. */
export function createCommitter(db: Database, ledgerMs: number): (change: Change) => Chunk[] {
  // Accepting waits for the disk. Crossing off what is sent need not: if that is lost, it is sent again, and the next
  // commit that accepts takes it to the disk along.
  const flushed = db.query('pragma synchronous = full')
  const unflushed = db.query('pragma synchronous = normal')
  const begin = db.query('begin immediate')
  const commit = db.query('commit')
  const addStream = db.query('insert into streams values (?, ?, ?, ?)')
  const addSensor = db.query('insert into sensors values (?, ?)')
  const addMoves = db.query('insert into moves (body) values (?)')
  const clearMoves = db.query('delete from moves')
  const moveStream = db.query('update streams set next_seq = ? where stream = ?')
  const addEntry = db.query('insert into ledger values (?, ?, ?)')
  // never beyond what is still to be sent: a reading that arrives must be in the ledger
  const forgetEntries = db.query(
    `delete from ledger where accepted_at < min(?, coalesce((select min(accepted_at) from chunks), 9e15))
       and entry in (select entry from ledger order by entry limit ${FORGET_ENTRIES})`,
  )
  const addChunk = db.query('insert into chunks values (?, ?, ?, ?, ?, ?, ?)')
  const removeChunk = db.query('delete from chunks where chunk = ?')
  const addException = db.query('insert into exceptions values (?, ?, ?, ?, ?)')
  const addRefused = db.query(
    'insert into refused (topic, key, seq, reason, message, value, value_bytes, value_sha256) values (?, ?, ?, ?, ?, ?, ?, ?)',
  )
  const removeRefused = db.query('delete from refused where refusal = ?')
  const setMemo = db.query(
    'insert into memos values (?, ?) on conflict (name) do update set text = excluded.text',
  )
  const setTotals = db.query('update totals set accepted = ?, sent = ?, dropped = ?, rejected = ?')
  const number = (query: string) => db.query<{ n: number | null }, []>(query).get()?.n ?? 0
  const moved = new Set<Stream>() // not yet carried into their rows by this process
  let commits = 1
  let nextEntry = number('select max(entry) as n from ledger') + 1
  let nextChunk = number('select max(chunk) as n from chunks') + 1

  const filled = (group: Group) => group.writers.filter(({ writer }) => writer.messages > 0)
  const chunksOf = ({ group, atMs }: Change): Chunk[] =>
    filled(group).map(({ topic, partition, writer: { messages, bytes } }, i) => ({
      chunk: nextChunk + i,
      topic,
      partition,
      messages,
      bytes,
      acceptedAtMs: atMs,
    }))

  const write = (change: Change): Chunk[] => {
    const { group, atMs, totals } = change
    for (const s of group.newStreams) addStream.run(s.stream, s.topic, s.key, s.nextSeq)
    for (const s of group.newSensors) addSensor.run(s.sensor, s.sensorId)
    for (const stream of group.touched) moved.add(stream)
    if (commits % CARRY_COMMITS === 0) {
      for (const stream of moved) moveStream.run(stream.nextSeq, stream.stream)
      clearMoves.run()
      forgetEntries.run(atMs - ledgerMs)
    } else if (group.touched.size > 0) addMoves.run(encodeMoves(group.touched))
    if (group.messages > 0) addEntry.run(nextEntry, atMs, encodeLedger(group.runs))
    const chunks = chunksOf(change)
    chunks.forEach((c, i) => {
      const payload = filled(group)[i]?.writer.payload() as Buffer
      addChunk.run(c.chunk, c.topic, c.partition, c.messages, c.acceptedAtMs, c.bytes, payload)
    })
    for (const chunk of change.gone) removeChunk.run(chunk)
    for (const e of change.exceptions) addException.run(e.sensor, e.fromSeq, e.toSeq, e.disposition, atMs)
    for (const r of change.refused) {
      addRefused.run(r.topic, r.key, r.seq, r.reason, r.message, r.value, r.valueBytes, r.valueSha256)
    }
    for (const refusal of change.written) removeRefused.run(refusal)
    for (const [name, text] of group.memos) setMemo.run(name, text)
    setTotals.run(totals.accepted, totals.sent, totals.dropped, totals.rejected)
    return chunks
  }

  return (change) => {
    const accepts = change.group.messages > 0
    ;(accepts ? flushed : unflushed).run()
    begin.run()
    let chunks: Chunk[]
    try {
      chunks = write(change)
      commit.run()
    } catch (error) {
      if (db.inTransaction) db.run('rollback')
      // A COMMIT that failed and yet happened: the ledger says so, and a second try would write everything twice.
      if (!accepts || number('select max(entry) as n from ledger') !== nextEntry) throw error
      chunks = chunksOf(change)
    }
    if (commits++ % CARRY_COMMITS === 0) moved.clear()
    if (accepts) nextEntry++
    nextChunk += chunks.length
    return chunks
  }
}
