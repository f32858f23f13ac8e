import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** One of our programs as a process of its own, as a supervisor would start it. */
export interface Door {
  readonly pid: number
  /** the JSON lines of its log so far */
  log(): Promise<Record<string, unknown>[]>
  /** null while it runs */
  exitCode(): number | null
  /** asks it to stop and waits; its exit code */
  stop(): Promise<number>
}

const ROOT = join(import.meta.dir, '..')
/** a door finishes its batch, writes a checkpoint and leaves the group: 10 s at the most, and as much again */
const STOP_MS = 20_000

export function openDoor(file: string, env: Record<string, string>, args: string[] = []): Door {
  const dir = mkdtempSync(join(tmpdir(), 'factory-door-'))
  const logFile = join(dir, 'log')
  const child = Bun.spawn([process.execPath, '--no-env-file', file, ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: Bun.file(logFile),
  })
  return {
    pid: child.pid,
    async log() {
      const lines = (await Bun.file(logFile).text()).split('\n')
      return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
    },
    exitCode: () => child.exitCode,
    async stop() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      const code = await child.exited
      clearTimeout(timer)
      rmSync(dir, { recursive: true, force: true })
      return code
    },
  }
}

/**
 * A consumer that has claimed its partitions. A group's first coordinator may still be loading: then a consumer ends,
 * and a supervisor starts it again.
 */
export async function openConsumer(env: Record<string, string>, partitions: number): Promise<Door> {
  for (let attempt = 1; attempt <= 10; attempt++) {
    const door = openDoor('consumer.ts', env)
    const claims = async () =>
      (await door.log()).filter((line) => line['event.action'] === 'partition.claimed').length
    await until(
      'the consumer to claim its partitions',
      async () => door.exitCode() !== null || (await claims()) >= partitions,
    )
    if (door.exitCode() === null) return door
    await door.stop()
  }
  throw new Error('Cannot start the consumer: it ended ten times')
}

/** Waits until `look` gives something; rejects with `what` when the time is over. */
export async function until<T>(
  what: string,
  look: () => Promise<T | null | undefined | false>,
  ms = 30_000,
): Promise<T> {
  const deadline = performance.now() + ms
  for (;;) {
    const seen = await look()
    if (seen) return seen
    if (performance.now() > deadline) throw new Error(`Cannot wait longer for ${what}: ${ms} ms are over`)
    await Bun.sleep(50)
  }
}
