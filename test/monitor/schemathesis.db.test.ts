import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { pythonWith } from '../python.ts'
import { STACK_MS } from '../stack.ts'
import { fillPlant, raiseAlarm } from './plant.ts'
import { openRoom, type Room } from './room.ts'

/**
 * A tool that has never heard of us reads /openapi.json and tries to break what is promised there: thousands of requests,
 * good and bad, each answer held against the description. It comes from the package index the first time; SCHEMATHESIS=1
 * insists on it.
 */
let room: Room
let server: Bun.Server<undefined>
const stop = new AbortController()

beforeAll(async () => {
  room = await openRoom()
  await fillPlant(room.sql)
  for (let i = 1; i <= 5; i++) await raiseAlarm(room.sql, { sensor_id: `temp-sensor-00${i % 3}` })
  for (let i = 0; i < 6; i++) await room.sampler.sampleOnce()
  void room.sampler.run(stop.signal)
  server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 30,
    development: false,
    fetch: room.app.fetch,
  })
}, STACK_MS)
afterAll(async () => {
  stop.abort()
  await server?.stop(true)
  await room?.close()
})

test('schemathesis finds no answer that the description does not promise', async () => {
  const made = await pythonWith('schemathesis-4.32.5', ['schemathesis==4.32.5'])
  if ('reason' in made) {
    expect(process.env.SCHEMATHESIS, `SCHEMATHESIS=1 insists on it: ${made.reason}`).not.toBe('1')
    return console.warn(`schemathesis was not tried: ${made.reason}`)
  }
  const options = [
    // What a cursor is, and that a range must not end before it begins, no schema can say: we refuse, and rightly.
    '--exclude-checks=positive_data_acceptance',
    '--continue-on-failure',
    '--max-examples=15',
    '--seed=1',
    '--request-timeout=10',
    '--no-color',
    '--warnings=off',
  ]
  const argv = [join(made.bin, 'schemathesis'), 'run', new URL('/openapi.json', server.url).href, ...options]
  const child = Bun.spawn(argv, { cwd: made.bin, stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' })
  const said = await new Response(child.stdout).text()
  expect(await child.exited, said.slice(-6000)).toBe(0)
  expect(Number(/([\d,]+) generated/.exec(said)?.[1]?.replaceAll(',', ''))).toBeGreaterThan(1000)
}, 240_000)
