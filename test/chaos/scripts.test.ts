import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { files, read, ROOT } from '../house/source.ts'
import { runScript } from './script.ts'

/** What can be said of the scripts without striking anything. */
const faults = files(/^chaos\/[a-z-]+\.sh$/).filter((file) => !/(lib|local|compose)\.sh$/.test(file))
const entries = [...faults, 'chaos/run', 'chaos/report', 'chaos/act/calm', 'chaos/act/mix']
/** people and scripts of theirs rely on these names */
const NAMES = [
  'broker-failure',
  'consumer-failure',
  'producer-failure',
  'network-partition',
  'high-load',
  'poison',
]

test('the names that others rely on are there', () => {
  expect(NAMES.filter((name) => !faults.includes(`chaos/${name}.sh`))).toEqual([])
})

describe.each(entries)('%s', (file) => {
  test('says what it does, how it is used and what must hold afterwards', async () => {
    const head = read(file).split('\n').slice(0, 14).join('\n')
    for (const part of ['# Summary: ', '# Usage: ', '# After: ']) expect(head).toContain(part)
    const { code, stdout } = await runScript(file, ['--help'])
    expect({ code, lines: stdout.trim().split('\n')[0] }).toEqual({
      code: 0,
      lines: expect.stringMatching(/^Summary: \S/),
    })
    expect(stdout).toContain('After:')
  })
})

describe('a script refuses', () => {
  test('an option that it does not know, and one without its value', async () => {
    for (const args of [['--force', 'yes'], ['--seconds'], ['now']]) {
      const { code, stderr } = await runScript('chaos/broker-failure.sh', args)
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('--help') })
    }
  })

  test('to strike where nothing of ours runs, and says how to have something there', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'chaos-'))
    const env = { STATE_DIR: dir, CHAOS_TARGET: 'local' }
    for (const file of faults) {
      const { code, stderr } = await runScript(file, [], env)
      expect({ file, code, stderr }).toEqual({ file, code: 69, stderr: expect.stringContaining('bun start') })
    }
    rmSync(dir, { recursive: true, force: true })
  }, 120_000)
})

test('chaos/run lists every script with its summary, and knows each that it runs', async () => {
  const { stdout } = await runScript('chaos/run', [])
  for (const file of faults) {
    const summary = /^# Summary: (.*)$/m.exec(read(file))?.[1] ?? 'no summary'
    expect(stdout).toContain(summary)
  }
  const text = read('chaos/run')
  const lists = text.slice(text.indexOf('ALL=('), text.indexOf('passed=0'))
  const named = [...lists.matchAll(/(?:^\s+|\s)'?([a-z]+(?:-[a-z]+)*)(?=[ '\n])/gm)].map((m) => m[1] ?? '')
  const started = faults.map((file) => file.slice('chaos/'.length, -'.sh'.length))
  expect(started.filter((name) => !named.includes(name))).toEqual([])
})

test('chaos/run names a fault that is none of ours', async () => {
  const { code, stderr } = await runScript('chaos/run', ['earthquake'])
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('"earthquake"') })
})

test('no script ends processes by name', () => {
  const wide = files(/^chaos\//).filter((file) => /\b(pkill|killall)\b|kill -9 -1/.test(read(file)))
  expect(wide).toEqual([])
  expect(ROOT).not.toBe('')
})
