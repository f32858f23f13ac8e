import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { LAYERS, STOP_ORDER, type Launch } from './part.ts'
import { end, isAlive } from './process.ts'

/**
 * What is known on disk of a process that we started, so that it is found again after the death of its supervisor:
 * STATE_DIR/run/NAME.json, and NAME.pid with the bare pid for shell scripts.
 */
const record = z.object({
  name: z.string(),
  layer: z.enum(LAYERS),
  pid: z.number().int(),
  startedAt: z.string(),
  /** milliseconds since 1970 */
  since: z.number(),
  /** of command and environment: who was started otherwise is not taken over */
  fingerprint: z.string(),
  stop: z.object({ signal: z.custom<NodeJS.Signals>((s) => typeof s === 'string'), graceMs: z.number() }),
})
export type Record = z.infer<typeof record>

export function writeRecord(dir: string, entry: Record): void {
  const file = join(runDir(dir), `${entry.name}.json`)
  mkdirSync(runDir(dir), { recursive: true })
  writeFileSync(`${file}.new`, JSON.stringify(entry))
  renameSync(`${file}.new`, file)
  writeFileSync(join(runDir(dir), `${entry.name}.pid`), `${entry.pid}\n`)
}

export function removeRecord(dir: string, name: string): void {
  for (const ending of ['json', 'pid']) rmSync(join(runDir(dir), `${name}.${ending}`), { force: true })
}

/** The recorded processes that live; records of dead ones, and half-written ones, do not count. */
export function livingRecords(dir: string): Record[] {
  let files: string[]
  try {
    files = readdirSync(runDir(dir)).filter((file) => file.endsWith('.json'))
  } catch {
    return []
  }
  return files.flatMap((file) => {
    try {
      const entry = record.parse(JSON.parse(readFileSync(join(runDir(dir), file), 'utf8')))
      return isAlive(entry) ? [entry] : []
    } catch {
      return []
    }
  })
}

/** Ends recorded processes layer by layer, without a supervisor. */
export async function endRecorded(dir: string, entries: Record[]): Promise<void> {
  for (const layer of STOP_ORDER) {
    const group = entries.filter((entry) => entry.layer === layer)
    await Promise.all(group.map((entry) => end(entry, entry.stop)))
    for (const entry of group) removeRecord(dir, entry.name)
  }
}

export function fingerprint(start: Launch): string {
  const env = Object.entries(start.env).sort(([a], [b]) => (a < b ? -1 : 1))
  return Bun.hash(JSON.stringify([start.argv, start.cwd, env])).toString(36)
}

function runDir(dir: string): string {
  return join(dir, 'run')
}
