import { Database, constants, type SQLQueryBindings } from 'bun:sqlite'
import { existsSync, mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { EXIT, Stop } from '../run.ts'

/** The SQLite file behind a spool: its tables, its lock, and how it is opened. */
const SCHEMA_VERSION = 1
const SCHEMA = `
create table if not exists meta (name text primary key, value text not null) without rowid;
-- one running number for each key of a topic
create table if not exists streams (stream integer primary key, topic text not null, key text not null, next_seq integer not null, unique (topic, key));
-- where the numbers of a commit's streams went, until that is carried into streams: appending costs one page, updating one for each stream
create table if not exists moves (move integer primary key, body blob not null);
create table if not exists sensors (sensor integer primary key, sensor_id text not null unique);
-- what is accepted and not yet acknowledged by Kafka; payload last, so that the other columns are read without it
create table if not exists chunks (chunk integer primary key, topic text not null, partition integer not null, messages integer not null, accepted_at integer not null, bytes integer not null, payload blob not null);
-- every reading that was ever accepted, one row a commit; never touched by sending
create table if not exists ledger (entry integer primary key, accepted_at integer not null, body blob not null);
-- the readings among them that will not reach Kafka
create table if not exists exceptions (sensor integer not null, from_seq integer not null, to_seq integer not null, disposition text not null, at integer not null);
-- messages refused for good, until PostgreSQL has their dead letter
create table if not exists refused (refusal integer primary key, topic text not null, key text not null, seq integer not null, reason text not null, message text not null, value blob not null, value_bytes integer not null, value_sha256 blob not null);
-- what a fleet wants a later life to know, as of what is accepted
create table if not exists memos (name text primary key, text text not null) without rowid;
create table if not exists totals (only integer primary key check (only = 1), accepted integer not null, sent integer not null, dropped integer not null, rejected integer not null);
`

export interface Store {
  db: Database
  runId: string
  producerId: string
  close(): void
}

export function spoolFile(directory: string, producerId: string): string {
  return join(directory, `${producerId}.sqlite`)
}

/** Opens a producer's spool for writing, and makes it where there is none. Throws Stop where another process has it. */
export function openStore(directory: string, producerId: string): Store {
  const file = spoolFile(directory, producerId)
  mkdirSync(dirname(file), { recursive: true })
  const lock = lockFile(file)
  try {
    const db = new Database(file, { create: true, readwrite: true, strict: true })
    // FULL: a commit is on the disk when it returns, so a reading that was accepted survives a power cut.
    db.run('pragma journal_mode = wal')
    db.run('pragma synchronous = full')
    db.run('pragma busy_timeout = 200') // nobody else writes; where something does, waiting here would stop all else
    db.run('pragma journal_size_limit = 67108864')
    db.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 1) // readers after our death find the -wal and -shm files
    create(db, producerId)
    refuseStranger(db, file, producerId)
    setMeta(db, 'owner', `process ${process.pid} on ${hostname()}, since ${new Date().toISOString()}`)
    return {
      db,
      runId: meta(db, 'run_id'),
      producerId,
      close() {
        db.close()
        lock.close()
      },
    }
  } catch (error) {
    lock.close()
    throw error
  }
}

/** Opens a spool for reading only: while its producer runs, and after it has died. */
export function readStore(file: string): Store {
  if (!existsSync(file)) throw new Error(`Cannot read the spool: there is no file "${file}"`)
  const db = new Database(file, { readonly: true, strict: true })
  db.run('pragma busy_timeout = 5000')
  const version = readVersion(db)
  if (version !== SCHEMA_VERSION) {
    db.close()
    throw new Error(
      `Cannot read the spool "${file}": its schema is ${version}, this program knows ${SCHEMA_VERSION}`,
    )
  }
  return { db, runId: meta(db, 'run_id'), producerId: meta(db, 'producer_id'), close: () => db.close() }
}

/**
 * One process, one spool: held by a transaction that stays open on a file of its own. The operating system frees it
 * when its holder dies, however that happens, so a stale lock can't exist, not even between containers on one volume.
 */
function lockFile(file: string): Database {
  const lock = new Database(`${file}.lock`, { create: true, readwrite: true })
  try {
    lock.run('pragma busy_timeout = 2000') // the one before us may be closing
    lock.run('begin exclusive')
    return lock
  } catch (cause) {
    lock.close()
    throw new Stop(
      `Cannot open the spool "${file}": it is in use by ${ownerOf(file)}: stop that producer, or give this one its own PRODUCER_ID`,
      EXIT.config,
      { cause },
    )
  }
}

function ownerOf(file: string): string {
  try {
    const store = readStore(file)
    try {
      return meta(store.db, 'owner')
    } finally {
      store.close()
    }
  } catch {
    return 'another process'
  }
}

function create(db: Database, producerId: string): void {
  if (readVersion(db) > SCHEMA_VERSION) return
  db.transaction(() => {
    db.run(SCHEMA)
    if (readVersion(db) > 0) return
    setMeta(db, 'run_id', Bun.randomUUIDv7())
    setMeta(db, 'producer_id', producerId)
    setMeta(db, 'created_at', new Date().toISOString())
    db.run('insert into totals values (1, 0, 0, 0, 0)')
    db.run(`pragma user_version = ${SCHEMA_VERSION}`)
  })()
}

function refuseStranger(db: Database, file: string, producerId: string): void {
  const version = readVersion(db)
  if (version !== SCHEMA_VERSION) {
    throw new Stop(
      `Cannot open the spool "${file}": its schema is ${version}, this program knows ${SCHEMA_VERSION}: start the version that wrote it, let it send everything, then this one`,
      EXIT.config,
    )
  }
  const owner = meta(db, 'producer_id')
  if (owner !== producerId) {
    throw new Stop(
      `Cannot open the spool "${file}": it belongs to producer "${owner}": got "${producerId}"`,
      EXIT.config,
    )
  }
}

function readVersion(db: Database): number {
  return db.query<{ user_version: number }, []>('pragma user_version').get()?.user_version ?? 0
}

export function meta(db: Database, name: string): string {
  const row = db.query<{ value: string }, [string]>('select value from meta where name = ?').get(name)
  if (!row) throw new Error(`Cannot read the spool: it has no ${name}`)
  return row.value
}

function setMeta(db: Database, name: string, value: string): void {
  const values: SQLQueryBindings[] = [name, value]
  db.run('insert into meta values (?, ?) on conflict (name) do update set value = excluded.value', values)
}
