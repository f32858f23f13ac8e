import { expect } from 'bun:test'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Backtest {
  readings: number
  would: { sensor_id: string; rule: string }[]
  rules: { rule: string; was: number; would: number | null }[]
}

/** What the command says, as JSON, that asks a database what these rules would have raised in the last hour. */
export async function backtest(
  url: string,
  rules: readonly object[],
  ...options: string[]
): Promise<Backtest> {
  const file = join(mkdtempSync(join(tmpdir(), 'book-')), 'book.yaml')
  writeFileSync(file, JSON.stringify({ rules }))
  const command = ['lib/commands/backtest.ts', '--rules', file, '--hours', '1', '--json', ...options]
  const child = Bun.spawn([process.execPath, ...command], {
    cwd: join(import.meta.dir, '..'),
    env: { ...process.env, DATABASE_URL: url },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  expect({ code: await child.exited, err }).toEqual({ code: 0, err: '' })
  return JSON.parse(out)
}
