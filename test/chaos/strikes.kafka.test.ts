import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listenersOn } from '../../lib/local/ports.ts'
import { isAlive } from '../../lib/local/process.ts'
import { endRecorded, livingRecords } from '../../lib/local/record.ts'
import type { RunRecord } from '../../chaos/watch/verdict.ts'
import { until } from '../door.ts'
import { ROOT } from '../house/source.ts'
import { STACK_MS } from '../stack.ts'
import { runScript, startScript } from './script.ts'

/** Chaos scripts on a whole stack of their own: what they see, what they refuse, and that they heal in any case. */
setDefaultTimeout(STACK_MS)
const dir = mkdtempSync(join(tmpdir(), 'factory-chaos-'))
const PORTS = [9092, 9093, 9094, 9095, 9096, 9097, 5432, 5000, 2112, 2113, 2114, 2115]
let env: Record<string, string> = {}

beforeAll(async () => {
  let offset = 0
  do offset = 11_000 + Math.floor(Math.random() * 8000)
  while ((await listenersOn(PORTS.map((port) => port + offset))).length > 0)
  env = { STATE_DIR: dir, PORT_OFFSET: String(offset), CHAOS_TARGET: 'local', CHAOS_RATE: '200' }
  expect(await bun('start', '--detach')).toBe(0)
}, 2 * STACK_MS)

afterAll(async () => {
  await bun('stop')
  await endRecorded(dir, livingRecords(dir))
  rmSync(dir, { recursive: true, force: true })
}, STACK_MS)

async function bun(...args: string[]): Promise<number> {
  return Bun.spawn([process.execPath, 'run', ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  }).exited
}

function records(): RunRecord[] {
  const file = join(dir, 'chaos/runs.jsonl')
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as RunRecord)
}

const pidOf = (name: string) => livingRecords(dir).find((one) => one.name === name)?.pid ?? null

describe('with the injection off nothing is struck, and no script passes', () => {
  for (const [file, part] of [
    ['chaos/consumer-failure.sh', 'consumer-1'],
    ['chaos/postgres-failure.sh', 'postgres'],
    ['chaos/poison.sh', 'consumer-2'],
  ] as const) {
    test(file, async () => {
      const before = pidOf(part)
      const { code, stdout } = await runScript(file, [], { ...env, CHAOS_INJECT: 'off' })
      expect({ code, verdict: stdout }).toEqual({
        code: 1,
        verdict: expect.stringMatching(/^FAIL /),
      })
      expect(records().at(-1)?.faults.join()).toContain('not seen within')
      expect(records().at(-1)?.verify).toMatchObject({ lost: 0, duplicated: 0, phantom: 0 })
      expect(pidOf(part)).toBe(before)
    })
  }
})

test('consumer-failure.sh strikes, measures, heals, and keeps a record of it', async () => {
  const { code, stdout, stderr } = await runScript('chaos/consumer-failure.sh', ['--seconds', '14'], env)
  expect({ code, stdout, stderr }).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^PASS consumer-failure: /),
  })
  const record = records().at(-1)
  expect(record).toMatchObject({ fault: 'consumer-failure', target: 'local', passed: true, strikes: 1 })
  expect(record?.effects.map((one) => one.what.split(' ')[0])).toEqual([
    'member-gone',
    'owner-moved',
    'accepted',
  ])
  expect(record?.verify?.stored).toBeGreaterThan(1000)
})

test('poison.sh: every broken message ends as the catalogue says, and the ledger stays true', async () => {
  const { code, stdout, stderr } = await runScript('chaos/poison.sh', [], env)
  const lines = stdout.trim().split('\n')
  expect({
    code,
    stderr,
    verdict: lines.at(-1),
    wrong: lines.filter((line) => line.startsWith('WRONG')),
  }).toMatchObject({
    code: 0,
    verdict: expect.stringMatching(/^PASS poison: /),
    wrong: [],
  })
  expect(lines.filter((line) => line.startsWith('ok ')).length).toBeGreaterThan(400)
})

test('chaos/report writes one page of all that was run', async () => {
  const out = join(dir, 'report')
  const { code, stdout } = await runScript('chaos/report', ['--out', out], env)
  expect({ code, files: stdout.trim().split('\n') }).toEqual({
    code: 0,
    files: [join(out, 'index.html'), join(out, 'summary.md')],
  })
  const summary = readFileSync(join(out, 'summary.md'), 'utf8')
  expect(summary).toMatch(/^\| consumer-failure \| local \| 1 of 2 \|/m) // one of them without its injection
  expect(readFileSync(join(out, 'consumer-failure-local.svg'), 'utf8')).toContain('partition 2')
  expect(readFileSync(join(out, 'index.html'), 'utf8')).toContain('consumer-failure-local.svg')
})

test('a script that is killed leaves nothing broken: its guard heals, and ends what it had started', async () => {
  const script = startScript(
    'chaos/consumer-failure.sh',
    ['--consumer', 'consumer-2', '--seconds', '90'],
    env,
  )
  await until('the strike', async () => pidOf('consumer-2') === null, STACK_MS)
  script.kill('SIGKILL')
  await script.exited
  await until('consumer-2 to be back', async () => pidOf('consumer-2') !== null, 30_000)
  await until('the load and the observer to be gone', async () => leftOvers().length === 0, 30_000)
})

/** Processes that work for scripts on this state folder. */
function leftOvers(): string[] {
  const listed = Bun.spawnSync(['pgrep', '-af', `observe.ts ${dir}|lib.sh guard`])
    .stdout.toString()
    .trim()
  return listed === ''
    ? []
    : listed.split('\n').filter((line) => line.includes(dir) || line.includes('guard'))
}

test('a process that is not the one that was started is never struck', async () => {
  const stranger = Bun.spawn(['sleep', '300'])
  const file = join(dir, 'run/consumer-3.json')
  const record = readFileSync(file, 'utf8')
  const entry = JSON.parse(record) as { pid: number; startedAt: string }
  writeFileSync(file, JSON.stringify({ ...entry, pid: stranger.pid }))
  writeFileSync(join(dir, 'run/consumer-3.pid'), `${stranger.pid}\n`)
  try {
    for (const act of ['kill', 'crash', 'freeze']) {
      const child = Bun.spawn([process.execPath, 'chaos/act/local.ts', act, 'consumer-3'], {
        cwd: ROOT,
        env: { ...process.env, ...env },
        stderr: 'pipe',
      })
      expect(await new Response(child.stderr).text()).toContain('Cannot strike consumer-3')
      expect(await child.exited).toBe(1)
    }
    expect(stranger.killed).toBe(false)
    expect(readFileSync(`/proc/${stranger.pid}/stat`, 'latin1')).toContain(') S ')
    expect(isAlive(entry)).toBe(true)
  } finally {
    writeFileSync(file, record)
    writeFileSync(join(dir, 'run/consumer-3.pid'), `${entry.pid}\n`)
    stranger.kill()
  }
})
