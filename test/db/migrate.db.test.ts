import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeSql, connect, learnRoles, type Sql } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { startTestPostgres } from '../../lib/local/testbed.ts'
import { database, postgres, STACK_MS } from '../stack.ts'

setDefaultTimeout(STACK_MS)

const SQL = join(import.meta.dir, '../../sql')
const closing: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

function open(url: string, role?: 'consumer' | 'monitor'): Sql {
  const sql = connect(url, { name: 'test', max: 1, ...(role ? { role } : {}) })
  closing.push(() => closeSql(sql))
  return sql
}

/** A database without our schema. */
async function emptyDatabase(): Promise<string> {
  const { url } = await postgres()
  const name = `empty_${crypto.randomUUID().replaceAll('-', '').slice(0, 12)}`
  await open(url).unsafe(`create database ${name}`)
  const own = new URL(url)
  own.pathname = `/${name}`
  return own.toString()
}

function copyOfMigrations(): string {
  const dir = mkdtempSync(join(tmpdir(), 'factory-sql-'))
  closing.push(() => rmSync(dir, { recursive: true }))
  cpSync(SQL, dir, { recursive: true })
  return dir
}

describe('migrate()', () => {
  test(
    'may be started by twenty at once: each migration is applied by one of them',
    async () => {
      const url = await emptyDatabase()
      const applied = await Promise.all(Array.from({ length: 20 }, () => migrate(open(url))))
      const names = applied.flat()
      expect(names.length).toBeGreaterThan(5)
      expect(new Set(names).size).toBe(names.length)
      expect(applied.filter((list) => list.length > 0).length).toBe(1)
    },
    STACK_MS,
  )

  test('changes nothing the second time', async () => {
    const sql = open((await database()).url)
    const before = await sql`select * from schema_migrations order by version`
    expect(await migrate(sql)).toEqual([])
    expect([...(await sql`select * from schema_migrations order by version`)]).toEqual([...before])
  })

  test('refuses a database that is newer than the program', async () => {
    const sql = open((await database()).url)
    await sql`insert into schema_migrations (version, name, checksum) values (999, '999_later.sql', 'x')`
    await expect(migrate(sql)).rejects.toMatchObject({
      exitCode: 78,
      message: expect.stringContaining('999_later.sql'),
    })
  })

  test('refuses a migration that was edited after it had run', async () => {
    const sql = open((await database()).url)
    const edited = copyOfMigrations()
    writeFileSync(join(edited, '003_progress.sql'), '-- another content\n')
    await expect(migrate(sql, edited)).rejects.toMatchObject({
      exitCode: 78,
      message: expect.stringContaining('003_progress.sql was applied with another content'),
    })
  })

  test('leaves nothing behind when a migration fails', async () => {
    const sql = open((await database()).url)
    const broken = copyOfMigrations()
    writeFileSync(join(broken, '998_half.sql'), 'create table half (a integer);\nselect 1 / 0;\n')
    await expect(migrate(sql, broken)).rejects.toThrow('division by zero')
    const [seen] = await sql`select to_regclass('half') as half`
    expect(seen?.half).toBeNull()
    expect(await migrate(sql)).toEqual([])
  })
})

describe('on a server where this user may create no roles', () => {
  test(
    'migrations run without the grants, programs work as the owner, and roles that come later get theirs',
    async () => {
      const dir = mkdtempSync(join(tmpdir(), 'factory-roleless-'))
      closing.push(() => rmSync(dir, { recursive: true, force: true }))
      const server = await startTestPostgres({ dir })
      closing.push(() => server.kill())
      const admin = open(server.url)
      await admin`create role plain login password 'plain' nocreaterole`
      await admin`create database plain owner plain`
      const url = server.url.replace('factory_user:factory_pass', 'plain:plain').replace(/\/[^/]*$/, '/plain')

      expect((await migrate(open(url))).length).toBeGreaterThan(5)
      expect(await migrate(open(url))).toEqual([])
      // before it has looked, a connection asks for the role; afterwards it does without
      await expect(open(url, 'consumer')`select 1`).rejects.toThrow('role')
      await learnRoles(url)
      const [asOwner] = await open(
        url,
        'consumer',
      )`select current_user as name, count(*)::int as n from readings`
      expect(asOwner).toEqual({ name: 'plain', n: 0 })

      for (const role of ['migrator', 'consumer', 'producer', 'monitor']) {
        await admin.unsafe(`create role ${role} nologin; grant ${role} to plain`)
      }
      await learnRoles(url)
      const [stillOwner] = await open(url, 'consumer')`select current_user as name`
      expect(stillOwner?.name).toBe('plain')
      await migrate(open(url))
      await learnRoles(url)
      const [asConsumer] = await open(
        url,
        'consumer',
      )`select current_user as name, count(*)::int as n from readings`
      expect(asConsumer).toEqual({ name: 'consumer', n: 0 })
      await expect(open(url, 'consumer')`drop table readings`).rejects.toMatchObject({ code: '42501' })
      // what a later migration took away is not given back
      const rewritten = open(url, 'monitor')`update alerts set description = 'x'`
      await expect(rewritten).rejects.toMatchObject({ code: '42501' })
    },
    STACK_MS,
  )
})
