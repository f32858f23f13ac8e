import { ROOT } from '../house/source.ts'

export interface Ran {
  code: number
  stdout: string
  stderr: string
}

/** A script of chaos/ as a person would run it, with our own `bun` first on the path. */
export async function runScript(
  file: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<Ran> {
  const child = startScript(file, args, env)
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code: await child.exited, stdout, stderr }
}

export function startScript(file: string, args: string[], env: Record<string, string> = {}) {
  return Bun.spawn([`${ROOT}/${file}`, ...args], {
    cwd: ROOT,
    env: { ...process.env, BUN: process.execPath, ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
}
