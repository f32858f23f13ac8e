import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { log } from '../../log.ts'

/**
 * How many accepted readings are lost, by the producers' own record (bun run verify): gaps that consumers counted say
 * nothing of what never reached them. A process of its own and a low priority, because it reads everything.
 */
export interface Ledger {
  /** all so far; null: it could not be told (no spool is seen from here, or not all was stored in time) */
  lost(): Promise<number | null>
}

const VERIFY = join(import.meta.dir, '../../commands/verify.ts')
/** it waits half a minute for what is in Kafka, then reads the tables */
const BOUND_MS = 150_000

/** `env`: another environment than this process has, in tests. */
export function createLedger(spoolDir: string, env?: Record<string, string | undefined>): Ledger {
  const hasSpool = () =>
    existsSync(spoolDir) && readdirSync(spoolDir).some((name) => name.endsWith('.sqlite'))
  return {
    async lost() {
      if (!hasSpool()) return null
      const nice = Bun.which('nice')
      const argv = [...(nice ? [nice, '-n', '15'] : []), process.execPath, VERIFY, '--json', '--wait', '30s']
      const child = Bun.spawn(argv, {
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'ignore',
        timeout: BOUND_MS,
        ...(env ? { env } : {}),
      })
      const out = await new Response(child.stdout).text()
      await child.exited
      return lostIn(out)
    },
  }
}

function lostIn(report: string): number | null {
  try {
    const { lost, behind } = JSON.parse(report) as { lost: number; behind: number }
    return behind === 0 ? lost : null
  } catch (error) {
    log.debug('incident.no_ledger', { error })
    return null
  }
}
