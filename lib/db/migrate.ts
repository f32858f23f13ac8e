import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { log } from '../log.ts'
import { EXIT, Stop } from '../run.ts'
import type { Sql, Transaction } from './connect.ts'
import { ROLES, type Role } from './roles.ts'

const SQL_DIR = join(import.meta.dir, '../../sql')

interface Migration {
  version: number
  name: string
  text: string
  checksum: string
}

/**
 * Brings the database to the newest schema. Safe when many start at once (an advisory lock orders them) and when it is
 * already there. Throws Stop (78) where the database is newer than this program, or where a migration that has run was
 * edited since. Where roles can't be created it goes on without them and their grants; they are made up for by the
 * first run that finds the roles. Returns the names of what it applied. `directory` is another one in tests only.
 */
export async function migrate(sql: Sql, directory = SQL_DIR): Promise<string[]> {
  const known = readMigrations(directory)
  const hasRoles = await createRoles(sql)
  return sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(hashtext('schema migrations'))`
    await tx`set local client_min_messages = warning`
    await tx`create table if not exists schema_migrations (
      version integer primary key, name text not null, checksum text not null, applied_at timestamptz not null default now())`
    const applied = await tx<{ version: number; name: string; checksum: string }[]>`
      select version, name, checksum from schema_migrations order by version`
    refuseStrangers(applied, known)
    const pending = known.filter((m) => !applied.some((a) => a.version === m.version))
    if (hasRoles && applied.length > 0 && !(await hasGrants(tx))) {
      for (const m of known) if (!pending.includes(m)) await tx.unsafe(grantsIn(m.text).join('\n'))
    }
    for (const m of pending) {
      await tx.unsafe(hasRoles ? m.text : m.text.replace(GRANT, ''))
      await tx`insert into schema_migrations (version, name, checksum) values (${m.version}, ${m.name}, ${m.checksum})`
      log.info('migration.applied', { name: m.name })
    }
    if (hasRoles) await tx`grant select on schema_migrations to consumer, producer, monitor`
    return pending.map((m) => m.name)
  }) as Promise<string[]>
}

function refuseStrangers(
  applied: { version: number; name: string; checksum: string }[],
  known: Migration[],
): void {
  for (const a of applied) {
    const ours = known.find((m) => m.version === a.version)
    if (!ours) {
      throw new Stop(
        `Cannot use this database: it has migration ${a.name}, which this program does not know: it belongs to a newer version; start that version, or use another database`,
        EXIT.config,
      )
    }
    if (ours.checksum !== a.checksum) {
      throw new Stop(
        `Cannot use this database: migration ${a.name} was applied with another content: migrations are never edited once they have run; restore sql/${a.name}`,
        EXIT.config,
      )
    }
  }
}

/** Each at the beginning of a line of its own; what is taken from one of our roles again is one of them. */
const GRANT = /^(grant [^;]*|revoke [^;]* from (?!public)[^;]*);/gm

function grantsIn(text: string): string[] {
  return text.match(GRANT) ?? []
}

/** What is granted last stands for all of it: it is the same transaction. */
async function hasGrants(tx: Transaction): Promise<boolean> {
  const rows = await tx<{ yes: boolean }[]>`
    select has_table_privilege('consumer', 'schema_migrations', 'select') as yes`
  return rows[0]?.yes === true
}

function readMigrations(directory: string): Migration[] {
  return readdirSync(directory)
    .filter((file) => /^\d{3}_.*\.sql$/.test(file))
    .sort()
    .map((name) => {
      const text = readFileSync(join(directory, name), 'utf8')
      const checksum = new Bun.CryptoHasher('sha256').update(text).digest('hex')
      return { version: Number.parseInt(name, 10), name, text, checksum }
    })
}

/**
 * Roles belong to the server, not to the database: another database's migration may be creating them right now.
 * False, with a warning, where this user may not create them.
 */
async function createRoles(sql: Sql): Promise<boolean> {
  for (const role of ROLES) {
    const refused = (await createRole(sql, role)) ?? (await joinRole(sql, role))
    if (!refused) continue
    log.warn('database.without_roles', {
      detail: `Cannot use the role ${role}: ${refused.message}: going on as the owner of the database; for least rights let an administrator create ${ROLES.join(', ')} (create role … nologin; grant … to this user), then run migrate again`,
    })
    return false
  }
  return true
}

async function createRole(sql: Sql, role: Role): Promise<Error | null> {
  const known = await sql`select 1 from pg_roles where rolname = ${role}`
  return known.length > 0 ? null : refusal(sql.unsafe(`create role ${role} nologin`))
}

async function joinRole(sql: Sql, role: Role): Promise<Error | null> {
  const member = await sql`select pg_has_role(current_user, ${role}, 'member') as yes`
  return member[0]?.yes ? null : refusal(sql.unsafe(`grant ${role} to current_user`))
}

/** The error where the server says that we may not; null where it is done, by us or by somebody else just now. */
async function refusal(statement: PromiseLike<unknown>): Promise<Error | null> {
  try {
    await statement
    return null
  } catch (error) {
    if (isRace(error)) return null
    if (error instanceof postgres.PostgresError && error.code === '42501') return error
    throw error
  }
}

/** duplicate object, unique violation, "tuple concurrently updated": somebody else has just done it */
function isRace(error: unknown): boolean {
  return error instanceof postgres.PostgresError && ['42710', '23505', 'XX000'].includes(error.code)
}
