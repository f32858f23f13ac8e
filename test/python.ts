import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CACHE_DIR } from '../lib/local/maven.ts'

/** The folder of programs of a Python that has these packages (pinned), made once; a sentence where it can't be had on this machine. */
export async function pythonWith(
  name: string,
  packages: readonly string[],
): Promise<{ bin: string } | { reason: string }> {
  const home = join(CACHE_DIR, name)
  const bin = join(home, 'bin')
  if (existsSync(join(home, 'whole'))) return { bin }
  const system = Bun.which('python3')
  if (!system) return { reason: 'python3 is not installed' }
  try {
    const made = await runs([system, '-m', 'venv', home])
    if (made !== null) return { reason: `python3 makes no virtual environment: ${made}` }
    const installed = await runs([join(bin, 'python'), '-m', 'pip', 'install', '--quiet', ...packages])
    if (installed === null) {
      await Bun.write(join(home, 'whole'), '')
      return { bin }
    }
    rmSync(home, { recursive: true, force: true })
    return { reason: `pip can't install it: ${installed}` }
  } catch (error) {
    rmSync(home, { recursive: true, force: true })
    return { reason: (error as Error).message }
  }
}

/** null where it ended well, else the last of what it said */
async function runs(argv: string[]): Promise<string | null> {
  const child = Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', timeout: 120_000 })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return (await child.exited) === 0 ? null : (err || out).trim().slice(-300)
}
