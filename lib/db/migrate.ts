import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { log } from '../log.ts'
import { EXIT, Stop } from '../run.ts'
import type { Sql } from './connect.ts'

const SQL_DIR = join(import.meta.dir, '../../sql')
/** Roles without login, granted to the user of DATABASE_URL; each program takes its own on (`set role`). */
export const ROLES = ['migrator', 'consumer', 'producer', 'monitor'] as const
export type Role = (typeof ROLES)[number]

interface Migration {
  version: number
  name: string
  text: string
  checksum: string
}

/**
 * Brings the database to the newest schema. Safe when many start at once (an advisory lock orders them) and when it is
 * already there. Throws Stop (78) where the database is newer than this program, or where a migration that has run was
 * edited since. Returns the names of what it applied.
 */
export async function migrate(sql: Sql): Promise<string[]> {
  await createRoles(sql)
  const known = readMigrations()
  return sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(hashtext('schema migrations'))`
    await tx`set local client_min_messages = warning`
    await tx`create table if not exists schema_migrations (
      version integer primary key, name text not null, checksum text not null, applied_at timestamptz not null default now())`
    const applied = await tx<{ version: number; name: string; checksum: string }[]>`
      select version, name, checksum from schema_migrations order by version`
    refuseStrangers(applied, known)
    const pending = known.filter((m) => !applied.some((a) => a.version === m.version))
    for (const m of pending) {
      await tx.unsafe(m.text)
      await tx`insert into schema_migrations (version, name, checksum) values (${m.version}, ${m.name}, ${m.checksum})`
      log.info('migration.applied', { name: m.name })
    }
    await tx`grant select on schema_migrations to consumer, producer, monitor`
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

function readMigrations(): Migration[] {
  return readdirSync(SQL_DIR)
    .filter((file) => /^\d{3}_.*\.sql$/.test(file))
    .sort()
    .map((name) => {
      const text = readFileSync(join(SQL_DIR, name), 'utf8')
      const checksum = new Bun.CryptoHasher('sha256').update(text).digest('hex')
      return { version: Number.parseInt(name, 10), name, text, checksum }
    })
}

/** Roles belong to the server, not to the database: another database's migration may be creating them right now. */
async function createRoles(sql: Sql): Promise<void> {
  for (const role of ROLES) {
    await sql`select 1 from pg_roles where rolname = ${role}`.then(async (rows) => {
      if (rows.length > 0) return
      await sql.unsafe(`create role ${role} nologin`).catch((error: unknown) => {
        if (!isRace(error)) throw rolesRefused(error)
      })
    })
    const member = await sql`select pg_has_role(current_user, ${role}, 'member') as yes`
    if (!member[0]?.yes) {
      await sql.unsafe(`grant ${role} to current_user`).catch((error: unknown) => {
        if (!isRace(error)) throw rolesRefused(error)
      })
    }
  }
}

/** duplicate object, unique violation, "tuple concurrently updated": somebody else has just done it */
function isRace(error: unknown): boolean {
  return error instanceof postgres.PostgresError && ['42710', '23505', 'XX000'].includes(error.code)
}

function rolesRefused(cause: unknown): Stop {
  const seen = cause instanceof Error ? cause.message : String(cause)
  return new Stop(
    `Cannot create the roles ${ROLES.join(', ')}: ${seen}: let an administrator create them (create role … nologin; grant … to this user), then start again`,
    EXIT.config,
    { cause },
  )
}
