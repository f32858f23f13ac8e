import { existsSync, mkdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { tmpdir } from 'node:os'
import { EXIT, sleep, Stop } from '../run.ts'
import { inheritedEnv, ROOT } from './plan.ts'
import { launch } from './process.ts'
import { logFile, type PartStatus } from './supervisor.ts'

/**
 * Talks with the supervisor of a state folder, a process of its own that outlives the terminal, over a Unix socket
 * that only this user may open.
 */
export interface StackStatus {
  pid: number
  /** milliseconds since 1970 */
  since: number
  /** true: a terminal holds it, and it stops with that terminal */
  held: boolean
  fleet: string
  brokers: string[]
  /** with its password: not for the eye */
  databaseUrl: string
  monitoringPort: number
  dashboard: string
  portOffset: number
  parts: PartStatus[]
}

export interface Wish {
  /** our variables as the one who asks has them */
  env: Record<string, string>
  names: string[]
}

/** What the supervisor of this folder says; null where none runs. */
export async function askStatus(dir: string): Promise<StackStatus | null> {
  const response = await call(dir, '/status', { signal: AbortSignal.timeout(5000) })
  return response === null ? null : ((await response.json()) as StackStatus)
}

export async function askUp(dir: string, wish: Wish): Promise<void> {
  await mustCall(dir, '/up', { method: 'POST', body: JSON.stringify(wish) })
}

/** Stops the named parts, all without names; the supervisor itself ends after the last. Names of what was stopped. */
export async function askDown(dir: string, names: string[] | null): Promise<string[]> {
  // 120 s: four layers with their graces one after the other
  const init = { method: 'POST', body: JSON.stringify({ names }), signal: AbortSignal.timeout(120_000) }
  return (await (await mustCall(dir, '/down', init)).json()) as string[]
}

/** Ties the stack to this process: when the answer breaks off because we are gone, everything is stopped. */
export async function hold(dir: string, signal: AbortSignal): Promise<void> {
  const response = await mustCall(dir, '/hold', { signal })
  const reader = response.body?.getReader()
  while (reader && !(await reader.read()).done) {
    // beats, so that a dead peer is noticed on both sides
  }
}

/** Starts the supervisor where none runs. true: it is new. */
export async function ensureSupervisor(dir: string): Promise<boolean> {
  if (await askStatus(dir)) return false
  mkdirSync(dir, { recursive: true })
  const argv = [process.execPath, 'run', join(import.meta.dir, 'daemon.ts')]
  const child = launch(
    { argv, cwd: ROOT, env: { ...inheritedEnv(), STATE_DIR: dir } },
    logFile(dir, 'supervisor'),
  )
  const started = performance.now()
  while (!(await askStatus(dir))) {
    const exit = await Promise.race([child.exited, sleep(50)])
    if (exit !== undefined || performance.now() - started > 15_000) {
      const seen = exit === undefined ? 'no answer within 15 s' : `it ended with ${exit}`
      throw new Stop(`Cannot start the supervisor: ${seen}: see ${logFile(dir, 'supervisor')}`, EXIT.fault)
    }
  }
  return true
}

/** A socket path may have 107 bytes: in a deep folder it moves to the temporary directory. */
export function socketPath(dir: string): string {
  const own = join(dir, 'supervisor.sock')
  const short = relative(process.cwd(), own)
  if (Buffer.byteLength(short) < 100) return short
  return join(tmpdir(), `factory-${process.getuid?.() ?? 0}-${Bun.hash(own).toString(36)}.sock`)
}

async function call(dir: string, path: string, init: RequestInit): Promise<Response | null> {
  const unix = socketPath(dir)
  if (!existsSync(unix)) return null
  try {
    return await fetch(`http://supervisor${path}`, { ...init, unix } as RequestInit)
  } catch (error) {
    if (error instanceof DOMException) {
      throw new Stop(
        `Cannot reach the supervisor of ${dir}: it does not answer: end it (pid in run/supervisor.pid) and start again`,
        EXIT.fault,
      )
    }
    return null
  }
}

async function mustCall(dir: string, path: string, init: RequestInit): Promise<Response> {
  const response = await call(dir, path, init)
  if (response === null)
    throw new Stop(`Cannot reach the supervisor of ${dir}: it is gone: run bun start`, EXIT.fault)
  if (!response.ok)
    throw new Stop(await response.text(), Number(response.headers.get('exit-code') ?? EXIT.fault))
  return response
}
