import postgres from 'postgres'
import { log } from '../log.ts'
import { DeadlineError, withDeadline } from '../run.ts'
import { ROLES, type Role } from './roles.ts'

export type Sql = postgres.Sql<{ bigint: number }>
export type Transaction = postgres.TransactionSql<{ bigint: number }>

/** bigint columns (offsets, counts) as numbers: all of ours stay far below 2^53. */
const bigintAsNumber = {
  to: 20,
  from: [20],
  serialize: (x: number) => String(x),
  parse: (x: string) => Number(x),
}

export interface ConnectOptions {
  role?: Role
  /** what pg_stat_activity shows */
  name: string
  max?: number
  statementTimeoutMs?: number
}

/** Servers on which our roles can't be used, by their URL: there every connection is the owner's. */
const withoutRoles = new Set<string>()

/**
 * Asks a server once, before the first connection under a role, whether it has our roles. Never throws, and takes 5 s
 * at the most: a server that is away is taken for one that has them, as all have that we set up.
 */
export async function learnRoles(url: string): Promise<void> {
  const sql = connect(url, { name: 'roles', max: 1 })
  try {
    const rows = await ask(
      'look for the roles',
      sql<{ usable: boolean }[]>`
        select pg_has_role(current_user, r.oid, 'member') and coalesce(
          has_table_privilege(r.oid, to_regclass('schema_migrations'), 'select') or r.rolname = 'migrator', true) as usable
        from pg_roles r where r.rolname in ${sql([...ROLES])}`,
      5000,
    )
    if (rows.length === ROLES.length && rows.every((row) => row.usable)) withoutRoles.delete(url)
    else withoutRoles.add(url)
  } catch (error) {
    log.debug('database.roles_unknown', { error: error as Error })
  } finally {
    await closeSql(sql)
  }
}

/**
 * A pool of connections to PostgreSQL under one role. Opens nothing until the first query. Time limits are the server's
 * (a frozen client must not hold locks) and, through `ask`, ours (a dead server must not hold us).
 */
export function connect(url: string, options: ConnectOptions): Sql {
  return postgres(url, {
    max: options.max ?? 2,
    connect_timeout: 5, // seconds; a server that does not shake hands by then is away
    idle_timeout: 0, // connections stay: the next batch must not wait for a handshake
    max_lifetime: 3600,
    keep_alive: 5,
    fetch_types: false, // no array types are asked for; saves one catalogue query a connection
    prepare: true,
    onnotice: (notice) => log.debug('postgres.notice', { message: notice.message }),
    types: { bigint: bigintAsNumber },
    connection: {
      application_name: options.name,
      timezone: 'UTC',
      ...(options.role && !withoutRoles.has(url) ? { role: options.role } : {}),
      // Consumers ask by key, and of tables that grow faster than their statistics: a plan that reads them whole is never right.
      ...(options.role === 'consumer' ? { enable_seqscan: 'off' } : {}),
      // Five seconds after its owner froze inside a transaction the row locks are free again; one that froze while it was
      // copying is ended by whoever takes its partition over (sql/045).
      idle_in_transaction_session_timeout: 5000,
      lock_timeout: 5000,
      statement_timeout: options.statementTimeoutMs ?? 10_000,
    },
  }) as Sql
}

/**
 * A pool that can be thrown away. After a call without an answer its connections may hang for ever; and in the library as it
 * is published (3.4.9; patches/README.md) one whose backend died inside a transaction never answers again.
 */
export interface Database {
  readonly sql: Sql
  /** a new pool where the error says that a connection is lost; a refused statement leaves it alone */
  renewAfter(error: unknown): void
  close(): Promise<void>
}

export function createDatabase(url: string, options: ConnectOptions): Database {
  let sql = connect(url, options)
  return {
    get sql() {
      return sql
    },
    renewAfter(error) {
      if (!isConnectionLost(error)) return
      const old = sql
      sql = connect(url, options)
      // What others have under way on it may end well; what hangs is cut when it would have been given up anyway.
      void old.end({ timeout: ANSWER_MS / 1000 }).catch(() => {})
    },
    close: () => closeSql(sql),
  }
}

/** 15 s: longer than the server's own statement_timeout, so that its more exact error comes first. */
const ANSWER_MS = 15_000

/** Awaits a database call, but never for ever. */
export function ask<T>(what: string, query: PromiseLike<T>, ms = ANSWER_MS): Promise<T> {
  return withDeadline(query, ms, what)
}

/** Sends a whole COPY … FROM STDIN inside a transaction; rejects with the server's error where it refuses the rows. */
export async function copyIn(tx: Transaction, statement: string, bytes: Buffer): Promise<void> {
  const stream = await tx.unsafe(statement).writable()
  await new Promise<void>((resolve, reject) => {
    stream.once('finish', resolve)
    stream.once('error', reject)
    stream.end(bytes)
  })
}

/** SQLSTATE of what the server refused; null for everything else (a lost connection, a deadline). */
export function sqlState(error: unknown): string | null {
  return error instanceof postgres.PostgresError ? error.code : null
}

/** No answer, a broken connection, or a server that is starting or stopping; as against: a statement was refused. */
function isConnectionLost(error: unknown): boolean {
  if (error instanceof DeadlineError) return true
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^(CONNECT|E[A-Z]+$|08|57P0)/.test(code)
}

/** Closes without waiting for what hangs. Closing twice is harmless. */
export async function closeSql(sql: Sql): Promise<void> {
  await sql.end({ timeout: 2 }).catch(() => {})
}
