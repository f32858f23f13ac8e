import { expect, test } from 'bun:test'
import { join } from 'node:path'

/** What is wrong with the words is said before anybody is asked: there is no PostgreSQL here. */
const NOBODY = 'postgres://nobody@127.0.0.1:9/nowhere'

test.each([
  ['an empty limit', ['rules', 'limit', 'temperature.high', ''], 'VALUE must be a number: got ""'],
  ['a blank limit', ['rules', 'limit', 'temperature.high', ' '], 'VALUE must be a number: got " "'],
  ['a limit in words', ['rules', 'limit', 'temperature.high', 'warm'], 'must be a number: got "warm"'],
  ['an endless limit', ['rules', 'limit', 'temperature.high', '1e999'], 'must be a number: got "1e999"'],
  ['no name', ['rules', 'enable', 'temperature.high', '--by', ''], 'Cannot read --by'],
  ['a name of two lines', ['rules', 'enable', 'temperature.high', '--by', 'a\nb'], 'Cannot read --by'],
  ['no name', ['machines', 'rebaseline', 'press', '--reason', 'new tool', '--by', ' '], 'Cannot read --by'],
])('%s is refused as usage: %j', (_what, [name, ...words], says) => {
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, `lib/commands/${name}.ts`, ...words], {
    cwd: join(import.meta.dir, '../..'),
    env: { ...process.env, DATABASE_URL: NOBODY },
  })
  expect({ code: exitCode, err: stderr.toString() }).toEqual({ code: 2, err: expect.stringContaining(says) })
})
