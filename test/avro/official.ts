import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CACHE_DIR } from '../../lib/local/maven.ts'

/** What its own Avro serializer needs, pinned. */
const PACKAGES = ['confluent-kafka==2.6.1', 'avro==1.12.2', 'fastavro==1.13.1', 'requests==2.34.2']
const HOME = join(CACHE_DIR, 'confluent-kafka-2.6.1')

/** The Python that has the official client, made once; a sentence where it can't be had on this machine. */
export async function officialClient(): Promise<{ python: string } | { reason: string }> {
  const python = join(HOME, 'bin/python')
  if (existsSync(join(HOME, 'whole'))) return { python }
  const system = Bun.which('python3')
  if (!system) return { reason: 'python3 is not installed' }
  try {
    const made = await runs([system, '-m', 'venv', HOME])
    if (made !== null) return { reason: `python3 makes no virtual environment: ${made}` }
    const installed = await runs([python, '-m', 'pip', 'install', '--quiet', ...PACKAGES])
    if (installed === null) {
      await Bun.write(join(HOME, 'whole'), '')
      return { python }
    }
    rmSync(HOME, { recursive: true, force: true })
    return { reason: `pip can't install it: ${installed}` }
  } catch (error) {
    rmSync(HOME, { recursive: true, force: true })
    return { reason: (error as Error).message }
  }
}

/** null where it ended well, else the last of what it said */
async function runs(argv: string[]): Promise<string | null> {
  const child = Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', timeout: 120_000 })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return (await child.exited) === 0 ? null : (err || out).trim().slice(-300)
}
