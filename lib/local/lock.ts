import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { identify, isAlive, type ProcessId } from './process.ts'

/**
 * One supervisor for each state folder: run/supervisor.pid holds its pid and its start time. The file appears whole
 * (it is linked, not written in place), so a reader never sees half of it; a dead owner's is replaced.
 */
export function claimLock(dir: string): boolean {
  const file = lockFile(dir)
  mkdirSync(join(dir, 'run'), { recursive: true })
  const own = identify(process.pid)
  const mine = `${file}.${process.pid}`
  writeFileSync(mine, `${process.pid}\n${own?.startedAt ?? ''}\n`)
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        linkSync(mine, file)
        return true
      } catch {
        if (lockOwner(dir)) return false
        rmSync(file, { force: true })
      }
    }
    return false
  } finally {
    rmSync(mine, { force: true })
  }
}

/** The living supervisor of this folder; null where there is none. */
export function lockOwner(dir: string): ProcessId | null {
  try {
    const [pid = '', startedAt = ''] = readFileSync(lockFile(dir), 'utf8').split('\n')
    const owner = { pid: Number(pid), startedAt }
    return isAlive(owner) ? owner : null
  } catch {
    return null
  }
}

export function releaseLock(dir: string): void {
  rmSync(lockFile(dir), { force: true })
}

function lockFile(dir: string): string {
  return join(dir, 'run', 'supervisor.pid')
}
