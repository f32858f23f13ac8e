import { rowsOf } from '../../lib/ingest/rows.ts'
import type { Database, Sql } from '../../lib/db/connect.ts'
import type { Weather } from './kafka.ts'
import { execute, newTables, Refused, withRun, type Tables } from './statements.ts'
import type { Process, World } from './time.ts'

/**
 * A model of PostgreSQL as the consumer uses it: row locks on partition_progress, transactions that are applied whole or
 * not at all, COMMITs whose answer is lost, backends that die, clients that freeze with a lock in hand. It knows the
 * statements by their text, and takes their conditions from it: a fence that is not in the text is not in the model.
 * A statement that it does not know is a fault of the simulation, and loud.
 */
export interface Server {
  readonly tables: Tables
  /** a pool of this process */
  connect(): Database
  /** every transaction under way is rolled back, its connection cut */
  killBackends(): void
  /** called after every commit */
  onCommit: () => void
}

interface Tx {
  process: Process
  writes: (() => void)[]
  locks: Set<number>
  over: boolean
  touchedAt: number
}

class Lost extends Error {
  code = 'CONNECTION_CLOSED'
}
const IDLE_MS = 5000
const LOCK_MS = 5000

export function createServer(world: World, weather: () => Weather): Server {
  const tables = newTables()
  const nature = { name: 'postgres', alive: true, frozenUntil: 0 }
  const open = new Set<Tx>()
  const holders = new Map<number, Tx>()
  let waiters: { tx: Tx; partition: number; go: () => void }[] = []
  const server: Server = { tables, connect, killBackends: () => [...open].forEach(abort), onCommit: () => {} }
  return server

  function abort(tx: Tx): void {
    tx.over = true
    open.delete(tx)
    release(tx)
  }

  function release(tx: Tx): void {
    for (const partition of tx.locks) if (holders.get(partition) === tx) holders.delete(partition)
    waiters = waiters.filter((w) => w.tx !== tx)
    // granting one may end another, and so on: each is looked up anew
    for (;;) {
      const next = waiters.find((w) => !holders.has(w.partition))
      if (!next) return
      next.go()
    }
  }

  function lock(tx: Tx, partition: number, then: (error: Error | null) => void): void {
    const take = () => {
      waiters = waiters.filter((w) => w !== waiter)
      holders.set(partition, tx)
      tx.locks.add(partition)
      then(null)
    }
    const waiter = { tx, partition, go: take }
    const holder = holders.get(partition)
    if (!holder || holder === tx) return take()
    waiters.push(waiter)
    world.after(LOCK_MS, nature, () => {
      if (!waiters.includes(waiter)) return
      waiters = waiters.filter((w) => w !== waiter)
      then(new Refused('55P03', 'canceling statement due to lock timeout'))
    })
  }

  function begin(process: Process): Tx {
    const tx: Tx = { process, writes: [], locks: new Set(), over: false, touchedAt: world.now() }
    open.add(tx)
    const watch = () => {
      if (tx.over) return
      // a process that was killed has closed its sockets; one that is frozen has not
      if (!process.alive || world.now() - tx.touchedAt > IDLE_MS) return abort(tx)
      world.after(1000, nature, watch)
    }
    world.after(1000, nature, watch)
    return tx
  }

  /** Sends something to the server; `act` happens there. */
  function ask<T>(tx: Tx, act: (done: (error: Error | null, result?: T) => void) => void): Promise<T> {
    const me = world.current()
    const slowest = Math.min(weather().slowest, 200)
    return new Promise((resolve, reject) => {
      const back = world.between(0.1, slowest)
      if (world.chance(weather().lostStatement)) {
        abort(tx)
        return void world.after(back, me, () => reject(new Lost('the connection is lost')))
      }
      world.after(world.between(0.1, slowest), nature, () => {
        if (tx.over) return void world.after(back, me, () => reject(new Lost('the connection is lost')))
        tx.touchedAt = world.now() + LOCK_MS // a statement that waits is not idle
        act((error, result) => {
          tx.touchedAt = world.now()
          world.after(back, me, () => (error ? reject(error) : resolve(result as T)))
        })
      })
    })
  }

  function commit(tx: Tx): Promise<void> {
    const unknown = world.chance(weather().unknownCommit)
    return ask<void>(tx, (done) => {
      if (unknown && world.chance(0.5)) return (abort(tx), done(new Lost('the connection is lost')))
      for (const write of tx.writes) write()
      abort(tx)
      server.onCommit()
      done(unknown ? new Lost('the connection is lost') : null)
    })
  }

  /** Runs where it is awaited; inside another statement it is a part of that one's text. */
  function statement(tx: Tx | null, strings: TemplateStringsArray, params: unknown[]): Query {
    const process = world.current()
    let running: Promise<unknown> | null = null
    return {
      strings,
      params,
      then(resolve, reject) {
        running ??= run(tx ?? begin(process), tx === null, composed(strings, params))
        return running.then(resolve, reject)
      },
    }
  }

  function run(tx: Tx, alone: boolean, { text, values }: Statement): Promise<unknown> {
    return ask<unknown>(tx, (done) => {
      const scene = {
        tables,
        lock: (partition: number, then: (error: Error | null) => void) => lock(tx, partition, then),
        later: (write: () => void) => void tx.writes.push(write),
        unknown: (what: string) => void world.faults.push(`the model does not know: ${what}`),
      }
      execute(scene, text, values, (error, rows = []) => {
        if (alone && !tx.over) {
          const unknown = !error && world.chance(weather().unknownCommit)
          if (!error) for (const write of tx.writes) write()
          abort(tx)
          if (!error) server.onCommit()
          if (unknown) return done(new Lost('the connection is lost'))
        }
        done(error, Object.assign(rows, { count: rows.length }))
      })
    })
  }

  function copyTarget(tx: Tx) {
    const listeners = new Map<string, (value?: unknown) => void>()
    return {
      once: (event: string, listener: (value?: unknown) => void) => listeners.set(event, listener),
      end: (bytes: Buffer) => {
        const rows = rowsOf(bytes)
        ask<void>(tx, (done) => {
          tx.writes.push(() => tables.rows.push(...rows.map((row) => withRun(tables, row))))
          done(null)
        }).then(
          () => listeners.get('finish')?.(),
          (error: unknown) => listeners.get('error')?.(error),
        )
      },
    }
  }

  async function transaction(work: (tx: unknown) => Promise<unknown>): Promise<unknown> {
    const tx = begin(world.current())
    const run = (strings: TemplateStringsArray, ...params: unknown[]) => statement(tx, strings, params)
    try {
      const result = await work(
        Object.assign(run, {
          unsafe: (_copy: string) => ({ writable: () => ask(tx, (done) => done(null, copyTarget(tx))) }),
        }),
      )
      await commit(tx)
      return result
    } catch (error) {
      abort(tx)
      throw error
    }
  }

  function connect(): Database {
    const tagged = (strings: TemplateStringsArray, ...params: unknown[]) => statement(null, strings, params)
    const unsafe = (text: string, values: unknown[]) =>
      run(begin(world.current()), true, { text: plain(text), values })
    const sql = Object.assign(tagged, { begin: transaction, unsafe }) as unknown as Sql
    return { sql, renewAfter: () => {}, close: async () => {} }
  }
}

interface Query {
  strings: TemplateStringsArray
  params: unknown[]
  then: Promise<unknown>['then']
}

interface Statement {
  text: string
  values: unknown[]
}

/** One text with $1, $2 … and their values, whatever parts it is made of. */
function composed(strings: TemplateStringsArray, params: unknown[], values: unknown[] = []): Statement {
  let text = strings[0] ?? ''
  for (const [i, param] of params.entries()) {
    const part = param as Partial<Query> | null
    if (part?.strings && part.params) text += composed(part.strings, part.params, values).text
    else text += `$${values.push(param)}`
    text += strings[i + 1] ?? ''
  }
  return { text: plain(text), values }
}

function plain(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}
