import { expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { PEERS } from '../../bench/peers/peers.ts'
import { ROOT, read } from '../house/source.ts'

const NOT_ONE = ['run.ts', 'machine.ts']
const names = readdirSync(join(ROOT, 'bench'))
  .filter((file) => file.endsWith('.ts') && !NOT_ONE.includes(file))
  .map((file) => file.replace('.ts', ''))

async function bench(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const argv = [process.execPath, join(ROOT, 'bench/run.ts'), ...args]
  const child = Bun.spawn(argv, {
    cwd: ROOT,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 20_000,
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, out, err: err.trim() }
}

const NUMBER = 'a whole number above 0'
const NUMBERS = 'whole numbers above 0, with commas between them'

const REFUSED = [
  ['checkpoint', 'sensors', '0', NUMBER],
  ['consumer', 'readings', '1.5', NUMBER],
  ['consumer', 'readings', '-1', NUMBER],
  ['detect', 'readings', '5', null],
  ['detection', 'rounds', '5', null],
  ['devices', 'devices', 'many', NUMBER],
  ['history', 'readings', '0', NUMBER],
  ['history', 'stored', '1000,0', NUMBERS],
  ['idle', 'after', 'x', NUMBER],
  ['iot', 'devices', '', NUMBERS],
  ['latency', 'rates', '1000,', NUMBERS],
  ['latency', 'rates', 'abc', NUMBERS],
  ['latency', 'seconds', '5', 'more than the 5 that are not counted'],
  ['monitor', 'probes', '1e400', NUMBER],
  ['path', 'rounds', '0', NUMBER],
  ['peers', 'readings', '3_000_000', NUMBER],
  ['peers', 'rounds', '0', NUMBER],
  ['peers', 'peers', 'go,typo', `some of ${PEERS.map((peer) => peer.name).join(', ')}`],
  ['producer', 'seconds', '1,2', NUMBER],
  ['scale', 'sensors', '1000,,10', NUMBERS],
  ['sinks', 'readings', '', NUMBER],
] as const

test.each(REFUSED)(
  'bench %s does not take --%s %p, and says so before it starts anything',
  async (name, option, value, takes) => {
    const { code, out, err } = await bench(name, `--${option}=${value}`)
    const said = `Cannot read --${option}: must be ${takes}: got "${value}"`
    expect({ code, out }).toEqual({ code: 2, out: '' })
    if (takes === null) expect(err).toContain(`'--${option}'`)
    else expect(err).toBe(said)
  },
)

test('every benchmark is tried above and listed, those of README run without a name', async () => {
  const { code, out } = await bench('list')
  const listed = [...out.matchAll(/^ {2}([a-z]+) +\S/gm)].map(([, name = '']) => name)
  expect(code).toBe(0)
  expect([...new Set<string>(REFUSED.map(([name]) => name))].sort()).toEqual(names.toSorted())
  expect(listed.toSorted()).toEqual(names.toSorted())
  const inReadme = [...read('README.md').matchAll(/`(?:bun run )?bench ([a-z]+)/g)].map(
    ([, name = 'x']) => name,
  )
  expect(listed.slice(0, -2).sort()).toEqual([...new Set(inReadme)].sort())
})

test('bench with an unknown name is a fault of usage', async () => {
  expect(await bench('nothing')).toMatchObject({ code: 2, out: '' })
})
