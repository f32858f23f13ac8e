import { expect, test } from 'bun:test'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '../..')

/** Without a server: what is wrong with the arguments is said before anything is asked. */
async function started(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([process.execPath, ...args], {
    ...{ cwd: ROOT, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
    env: { ...process.env, LOG_LEVEL: 'INFO' },
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, out, err }
}

test.each([
  ['producer.ts'],
  ['consumer.ts'],
  ['monitor.ts'],
  ['lib/commands/verify.ts'],
  ['lib/commands/topics.ts'],
  ['lib/commands/test-topics.ts'],
  ['lib/commands/dlt.ts'],
])('%s --bogus is a fault of usage, in one line', async (program) => {
  const { code, out, err } = await started(program, '--bogus')
  expect({ code, stack: /\n\s+at /.test(out + err) }).toEqual({ code: 2, stack: false })
  expect(out + err).toContain('--bogus')
  expect((await started(program, '--help')).code).toBe(0)
})

test.each(['postgres2', ''])('verify --sink %p names the sinks that there are', async (sink) => {
  const { code, err } = await started('lib/commands/verify.ts', '--sink', sink)
  expect({ code, err: err.trim() }).toEqual({
    code: 2,
    err: `Cannot verify: --sink must be postgres, elasticsearch or s3: got "${sink}"`,
  })
})
