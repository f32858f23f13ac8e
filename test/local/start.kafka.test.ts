import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listenersOn } from '../../lib/local/ports.ts'
import { identify } from '../../lib/local/process.ts'
import { endRecorded, livingRecords } from '../../lib/local/record.ts'
import { STACK_MS } from '../stack.ts'

/** The commands as people type them, on a state folder and ports of their own; only the infrastructure, which is the heavy part. */
const ROOT = join(import.meta.dir, '../..')
const dir = mkdtempSync(join(tmpdir(), 'factory-start-'))
const BASES = [9092, 9093, 9094, 9095, 9096, 9097, 5432]
/** what start --sinks listens on beside these */
const MORE_BASES = [2112, 2113, 2114, 2115, 2123, 2124, 5000, 9000, 9200]
let offset = 0

beforeAll(async () => {
  do {
    offset = 11_000 + Math.floor(Math.random() * 8000)
  } while ((await listenersOn([...ports(), ...MORE_BASES.map((base) => base + offset)])).length > 0)
})

afterAll(async () => {
  await run('stop')
  await endRecorded(dir, livingRecords(dir))
  rmSync(dir, { recursive: true, force: true })
}, 60_000)

test(
  'infra brings up Kafka and PostgreSQL, mends what is killed, is found again, and leaves nothing behind',
  async () => {
    const first = await run('infra')
    expect(first).toMatchObject({ code: 0, stdout: 'kafka1\nkafka2\nkafka3\npostgres\n' })
    expect(await owners()).toEqual(ports())

    const before = await pids()
    process.kill(before.kafka2!, 'SIGKILL')
    process.kill(before.postgres!, 'SIGKILL')
    await untilAllRun((now) => now.kafka2 !== before.kafka2 && now.postgres !== before.postgres)
    expect((await pids()).kafka1).toBe(before.kafka1!)

    const second = await run('infra')
    expect(second).toMatchObject({ code: 0, stdout: '' })
    expect(second.stderr).toContain('already running')

    // the supervisor dies: what it kept lives on, and the next start takes it over
    const living = await pids()
    process.kill((await status()).pid, 'SIGKILL')
    expect(await run('infra')).toMatchObject({ code: 0 })
    expect(await pids()).toEqual(living)

    expect((await run('stop', 'kafka3')).stdout).toBe('kafka3\n')
    expect(await owners()).toEqual(ports().filter((port) => ![9096, 9097].includes(port - offset)))
    expect((await run('stop')).code).toBe(0)
    expect(livingRecords(dir)).toEqual([])
    expect(await owners()).toEqual([])
    expect((await run('stop')).stderr).toContain('nothing is running')
  },
  2 * STACK_MS,
)

test(
  'start --sinks fills both stores, the sinks are part of the stack from then on, and stop ends it all',
  async () => {
    const soon = { S3_OBJECT_INTERVAL: '1s', SAMPLING_INTERVAL: '1s' }
    expect(await run('start', '--sinks', '--detach', soon)).toMatchObject({ code: 0 })
    await run('stop', 'consumers')
    const again = await run('consumers', '--count', '1', soon)
    expect(again.stdout).toBe('consumer-1\nsink-elasticsearch\nsink-s3\n')
    for (const sink of ['elasticsearch', 's3']) {
      const { code, stdout } = await run('verify', '--sink', sink, '--json')
      const report = JSON.parse(stdout)
      expect({ code, ...report }).toMatchObject({ code: 0, lost: 0, duplicated: 0, phantom: 0, behind: 0 })
      expect(report.stored).toBeGreaterThan(0)
    }
    expect((await run('stop')).stdout).toEndWith('opensearch\ns3proxy\n')
    expect(livingRecords(dir)).toEqual([])
  },
  2 * STACK_MS,
)

test(
  'a stack that a terminal holds can be stopped from another: supervisor and start end, and start works again',
  async () => {
    const holder = spawn('start')
    expect(await untilSaid(holder.stderr, 'processes up')).toContain('processes up')
    const { pid } = await status()
    expect((await run('stop')).code).toBe(0)
    expect(await Promise.race([holder.exited, Bun.sleep(10_000)])).toBe(0)
    expect(identify(pid)).toBeNull()
    expect((await run('stop')).stderr).toContain('nothing is running')
  },
  2 * STACK_MS,
)

test('start names the stranger that holds a port, and touches nothing', async () => {
  using _stranger = Bun.serve({ hostname: '127.0.0.1', port: 9094 + offset, fetch: () => new Response() })
  const { code, stderr } = await run('start', '--detach')
  expect(code).toBe(1)
  expect(stderr).toContain(`port ${9094 + offset} (Kafka node 2) is taken by pid ${process.pid}`)
  expect(stderr).toContain('PORT_OFFSET=')
  expect(livingRecords(dir)).toEqual([])
})

test('start names the three ways on where there is no Java', async () => {
  const { code, stderr } = await run('start', { PATH: '/nowhere', JAVA_HOME: '' })
  expect(code).toBe(69)
  for (const way of ['apt install', 'docker compose up -d', 'KAFKA_BROKERS=']) expect(stderr).toContain(way)
})

test('start refuses a named server that does not answer, and does not replace it', async () => {
  const { code, stderr } = await run('start', { KAFKA_BROKERS: 'localhost:1' })
  expect(code).toBe(69)
  expect(stderr).toContain('Cannot use KAFKA_BROKERS: nothing answers at localhost:1')
})

test.each([
  ['start', ['--flet']],
  ['stop', ['consumer-9']],
  ['consumers', ['--count', '0']],
  ['logs', ['--lines', 'x']],
] as [string, string[]][])('%s %p is refused with 2', async (name, words) => {
  const { code, stderr, stdout } = await run(name, ...words)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(/^Cannot .+: .+/)
})

async function run(name: string, ...rest: (string | Record<string, string>)[]) {
  const child = spawn(name, ...rest)
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code: await child.exited, stdout, stderr }
}

/** What it had said by then, or, where it never said so, in all. */
async function untilSaid(stream: ReadableStream<Uint8Array>, words: string): Promise<string> {
  let said = ''
  for await (const bytes of stream) {
    said += new TextDecoder().decode(bytes)
    if (said.includes(words)) break
  }
  return said
}

function spawn(name: string, ...rest: (string | Record<string, string>)[]) {
  const words = rest.filter((one) => typeof one === 'string')
  const env = Object.assign({}, ...rest.filter((one) => typeof one === 'object')) as Record<string, string>
  return Bun.spawn([process.execPath, 'run', join(ROOT, `lib/commands/${name}.ts`), ...words], {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      STATE_DIR: dir,
      PORT_OFFSET: String(offset),
      ...env,
    },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
}

async function status() {
  const { stdout } = await run('status', '--json')
  return JSON.parse(stdout) as { pid: number; parts: { name: string; pid: number | null; state: string }[] }
}

async function pids(): Promise<Record<string, number>> {
  return Object.fromEntries((await status()).parts.map((part) => [part.name, part.pid ?? 0]))
}

async function untilAllRun(holds: (now: Record<string, number>) => boolean): Promise<void> {
  const deadline = performance.now() + STACK_MS
  while (true) {
    const { parts } = await status()
    const now = Object.fromEntries(parts.map((part) => [part.name, part.pid ?? 0]))
    if (parts.every((part) => part.state === 'running') && holds(now)) return
    if (performance.now() > deadline)
      throw new Error(`not mended after ${STACK_MS} ms: ${JSON.stringify(parts)}`)
    await Bun.sleep(250)
  }
}

function ports(): number[] {
  return BASES.map((base) => base + offset)
}

async function owners(): Promise<number[]> {
  return (await listenersOn(ports())).map((one) => one.port)
}
