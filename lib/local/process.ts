import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { sleep } from '../run.ts'
import type { Launch } from './part.ts'

/** A process beyond doubt: pids are used again, a pid with its start time is not. */
export interface ProcessId {
  pid: number
  /** start of the process as the kernel tells it; compared, never computed with */
  startedAt: string
}

export interface Running extends ProcessId {
  /** resolves with the exit code, or 128 + signal */
  exited: Promise<number>
}

/**
 * Starts a process in a session of its own (Ctrl-C in the terminal does not reach it, it survives whoever started it)
 * with its output appended to `logFile`, so that no pipe breaks when the starter dies.
 */
export function launch(start: Launch, logFile: string): Running {
  mkdirSync(dirname(logFile), { recursive: true })
  const log = openSync(logFile, 'a')
  try {
    const child = Bun.spawn(start.argv, {
      cwd: start.cwd,
      env: start.env,
      stdin: 'ignore',
      stdout: log,
      stderr: log,
      detached: true,
    })
    const id = identify(child.pid)
    const exited = child.exited.then((code) => code ?? 1)
    return { pid: child.pid, startedAt: id?.startedAt ?? 'gone', exited }
  } finally {
    closeSync(log)
  }
}

/** Who has this pid now; null where nobody has, or only a zombie. */
export function identify(pid: number): ProcessId | null {
  if (!existsSync('/proc/self/stat')) return identifyByPs(pid)
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // the name in parentheses may hold anything; what follows the last one is fields 3 … of proc(5)
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return null
    return { pid, startedAt: `${bootId()}/${fields[19]}` }
  } catch {
    return null
  }
}

export function isAlive(id: ProcessId): boolean {
  return identify(id.pid)?.startedAt === id.startedAt
}

/** Command line of a process as one line; null where it can't be read. */
export function commandOf(pid: number): string | null {
  try {
    const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
    return line === '' ? readFileSync(`/proc/${pid}/comm`, 'utf8').trim() : line
  } catch {
    const ps = spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
    return ps.status === 0 ? ps.stdout.trim() : null
  }
}

/** Sends a signal to exactly this process; false where it is gone already. */
export function signal(id: ProcessId, name: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false
  try {
    process.kill(id.pid, name)
    return true
  } catch {
    return false
  }
}

/** Asks a process to end, and makes it end when the grace is over. Resolves once it is gone. */
export async function end(id: ProcessId, how: { signal: NodeJS.Signals; graceMs: number }): Promise<void> {
  signal(id, how.signal)
  signal(id, 'SIGCONT') // a frozen process takes no signal but this one
  if (await gone(id, how.graceMs)) return
  signal(id, 'SIGKILL')
  if (!(await gone(id, 5000))) throw new Error(`Cannot end process ${id.pid}: still there 5 s after SIGKILL`)
}

async function gone(id: ProcessId, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs
  while (isAlive(id)) {
    if (performance.now() > deadline) return false
    await sleep(25)
  }
  return true
}

let boot: string | undefined
function bootId(): string {
  boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)
  return boot
}

function identifyByPs(pid: number): ProcessId | null {
  const ps = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' })
  const line = ps.stdout?.trim() ?? ''
  return ps.status !== 0 || line === '' || line.startsWith('Z')
    ? null
    : { pid, startedAt: line.replace(/^\S+\s+/, '') }
}
