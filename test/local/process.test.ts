import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { end, identify, isAlive, launch, signal } from '../../lib/local/process.ts'
import { fingerprint, livingRecords, removeRecord, writeRecord } from '../../lib/local/record.ts'

const dir = mkdtempSync(join(tmpdir(), 'factory-process-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const sleeper = { argv: ['sleep', '60'], env: {}, cwd: '/' }

test('a pid that was used again is not taken for the process that had it', async () => {
  const process = launch(sleeper, join(dir, 'log'))
  expect(isAlive(process)).toBe(true)
  const other = { pid: process.pid, startedAt: 'an earlier time' }
  expect(isAlive(other)).toBe(false)
  expect(signal(other, 'SIGKILL')).toBe(false)
  expect(isAlive(process)).toBe(true)
  await end(process, { signal: 'SIGTERM', graceMs: 5000 })
  expect(identify(process.pid)).toBeNull()
})

test('end() kills who ignores the signal, even frozen', async () => {
  const log = join(dir, 'deaf.log')
  const script = "trap '' TERM; echo deaf; while :; do sleep 1; done"
  const deaf = launch({ ...sleeper, argv: ['sh', '-c', script] }, log)
  while (!readFileSync(log, 'utf8').includes('deaf')) await Bun.sleep(5)
  signal(deaf, 'SIGSTOP')
  await end(deaf, { signal: 'SIGTERM', graceMs: 100 })
  expect(isAlive(deaf)).toBe(false)
  expect(await deaf.exited).toBe(137)
})

test('launch() appends to the log and gives the process a session of its own', async () => {
  const log = join(dir, 'session.log')
  for (const word of ['one', 'two']) {
    await launch({ ...sleeper, argv: ['sh', '-c', `echo ${word} $(ps -o sid= -p $$) $$`] }, log).exited
  }
  const lines = readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/))
  expect(lines.map((words) => words[0])).toEqual(['one', 'two'])
  for (const [, session, pid] of lines) expect(session).toBe(pid!)
})

test('livingRecords() finds what lives, and forgets what died or was half written', async () => {
  const process = launch(sleeper, join(dir, 'log'))
  const stop = { signal: 'SIGTERM' as const, graceMs: 1000 }
  const entry = { layer: 'consumers' as const, since: 1, fingerprint: fingerprint(sleeper), stop }
  writeRecord(dir, { ...entry, name: 'consumer-1', pid: process.pid, startedAt: process.startedAt })
  writeRecord(dir, { ...entry, name: 'consumer-2', pid: process.pid, startedAt: 'before the last boot' })
  await Bun.write(join(dir, 'run/consumer-3.json'), '{"name":"consumer-3","pi')
  expect(livingRecords(dir).map((one) => one.name)).toEqual(['consumer-1'])
  expect(readFileSync(join(dir, 'run/consumer-1.pid'), 'utf8')).toBe(`${process.pid}\n`)
  await end(process, stop)
  expect(livingRecords(dir)).toEqual([])
  removeRecord(dir, 'consumer-1')
})

test('fingerprint() differs when the environment does', () => {
  const same = { ...sleeper, env: { B: '2', A: '1' } }
  expect(fingerprint(same)).toBe(fingerprint({ ...sleeper, env: { A: '1', B: '2' } }))
  expect(fingerprint(same)).not.toBe(fingerprint({ ...sleeper, env: { A: '1', B: '3' } }))
})
