import { afterAll, expect, test } from 'bun:test'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from './source.ts'

/** The gate with runners of known outcome in place of ours: what it concludes from what they say. */
const dirs: string[] = []
afterAll(() => dirs.forEach((dir) => rmSync(dir, { recursive: true, force: true })))

async function gate(tests: string, chaos?: string): Promise<{ code: number; last: string }> {
  const dir = mkdtempSync(join(tmpdir(), 'factory-gate-'))
  dirs.push(dir)
  mkdirSync(join(dir, '.ci'))
  cpSync(join(ROOT, '.ci/run'), join(dir, '.ci/run'))
  const bin = join(dir, 'bin')
  mkdirSync(bin)
  // Everything is installed, so that nothing is fetched.
  for (const tool of ['java', 'mvn', 'shellcheck', 'chromium', 'npm', 'promtool', 'apt-get'])
    script(join(bin, tool), 'exit 0')
  script(join(bin, 'bun'), `if [ "$1" = --version ]; then echo 1.4.5; exit; fi\n${tests}`)
  if (chaos !== undefined) {
    mkdirSync(join(dir, 'chaos'))
    script(join(dir, 'chaos/run'), chaos)
  }
  const child = Bun.spawn([join(dir, '.ci/run')], {
    cwd: tmpdir(),
    env: { PATH: `${bin}:/usr/bin:/bin` },
    stdout: 'pipe',
    stderr: 'ignore',
  })
  const said = await new Response(child.stdout).text()
  return { code: await child.exited, last: said.trimEnd().split('\n').at(-1) ?? '' }
}

function script(file: string, body: string): void {
  writeFileSync(file, `#!/usr/bin/env bash\n${body}\n`)
  chmodSync(file, 0o755)
}

const GREEN = "printf ' 12 pass\\n 0 fail\\nRan 12 tests\\n'"

test('.ci/run: all green is exit 0, and the last line has the runner’s own totals', async () => {
  expect(await gate(GREEN)).toEqual({ code: 0, last: '12 passed, 0 failed' })
})

test('.ci/run: one red test is exit 1', async () => {
  const red = await gate("printf ' 11 pass\\n 1 fail\\nRan 12 tests\\n'; exit 1")
  expect(red).toEqual({ code: 1, last: '11 passed, 1 failed' })
})

test('.ci/run: a runner that dies before its totals is a failure', async () => {
  expect(await gate('echo out of memory; exit 137')).toEqual({ code: 1, last: '0 passed, 1 failed' })
})

test('.ci/run: a runner that dies after green totals is a failure', async () => {
  expect(await gate(`${GREEN}; exit 139`)).toEqual({ code: 1, last: '12 passed, 1 failed' })
})

test('.ci/run: a runner that ran nothing is a failure', async () => {
  expect(await gate("printf ' 0 pass\\n 0 fail\\n'")).toEqual({ code: 1, last: '0 passed, 1 failed' })
})

test('.ci/run: a test that prints a number of failures does not count as one', async () => {
  const chatty = await gate(`echo 'the bank has 3 fail over nodes'; ${GREEN}`)
  expect(chatty).toEqual({ code: 0, last: '12 passed, 0 failed' })
})

test('.ci/run: the failure runs are added', async () => {
  const both = await gate(GREEN, "echo '5 passed, 0 failed'")
  expect(both).toEqual({ code: 0, last: '17 passed, 0 failed' })
  const red = await gate(GREEN, "echo '4 passed, 1 failed'; exit 1")
  expect(red).toEqual({ code: 1, last: '16 passed, 1 failed' })
})
