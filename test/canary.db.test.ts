import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeSql, connect, type Sql } from '../lib/db/connect.ts'
import { freePorts } from '../lib/local/ports.ts'
import { openDoor, until, type Door } from './door.ts'
import { database, STACK_MS } from './stack.ts'

/** Every secret is a word that stands nowhere else: it must not turn up in any log, answer, error or argument. */
const CANARY = 'kanarienvogel'
const SECRETS = {
  database: `${CANARY}-db-0123456789`,
  sasl: `${CANARY}-sasl-0123456789`,
  webhook: `${CANARY}-webhook-0123456789`,
  admin: `${CANARY}-admin-0123456789`,
  viewer: `${CANARY}-viewer-0123456789`,
  one: `${CANARY}-one-0123456789`,
}
const dir = mkdtempSync(join(tmpdir(), 'canary-'))
const role = `canary_${crypto.randomUUID().slice(0, 8)}`
let owner: Sql
let env: Record<string, string>
let port = 0

beforeAll(async () => {
  const { url } = await database()
  owner = connect(url, { name: 'test', max: 1 })
  await owner.unsafe(
    `create role ${role} login password '${SECRETS.database}' in role consumer, producer, monitor`,
  )
  const mine = new URL(url)
  mine.username = role
  mine.password = SECRETS.database
  ;[port = 0] = await freePorts(1)
  writeFileSync(join(dir, 'webhook'), SECRETS.webhook)
  env = {
    DATABASE_URL: mine.href,
    KAFKA_BROKERS: '127.0.0.1:1',
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFKA_SASL_USERNAME: 'somebody',
    KAFKA_SASL_PASSWORD: SECRETS.sasl,
    WEBHOOK_URL: `http://somebody:${SECRETS.webhook}@127.0.0.1:1/hook`,
    WEBHOOK_SECRET_FILE: join(dir, 'webhook'),
    MONITORING_PORT: String(port),
    MONITORING_TOKENS: `admin:ada:${SECRETS.admin},viewer:${SECRETS.viewer}`,
    MONITORING_TOKEN: SECRETS.one,
    LOG_LEVEL: 'DEBUG',
    STATE_DIR: join(dir, 'state'),
    SAMPLING_INTERVAL: '100ms',
  }
}, STACK_MS)
afterAll(async () => {
  await owner.unsafe(`drop owned by ${role}; drop role ${role}`)
  await closeSql(owner)
  rmSync(dir, { recursive: true, force: true })
})

const argumentsOf = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8')
const logs = () =>
  readdirSync(dir)
    .filter((name) => name.endsWith('.log'))
    .map((name) => readFileSync(join(dir, name), 'utf8'))
    .join('\n')

async function answers(): Promise<string> {
  const base = `http://127.0.0.1:${port}`
  const known = { authorization: `Bearer ${SECRETS.admin}` }
  const { paths } = (await (await fetch(`${base}/openapi.json`, { headers: known })).json()) as any
  const get = Object.keys(paths).map((path) => path.replace(/\{\w+\}/g, 'nothing'))
  const all = [
    ...get,
    '/',
    '/alarms',
    '/sensors',
    '/rules',
    '/incidents',
    '/docs',
    '/metrics',
    '/readyz?verbose=1',
  ]
  let text = ''
  const note = async (answer: Response) => {
    text += JSON.stringify([...answer.headers]) + (await answer.text())
  }
  for (const path of all) {
    const options = { signal: AbortSignal.timeout(8000), redirect: 'manual' } as const
    await note(await fetch(base + path, { ...options, headers: known }))
    await note(
      await fetch(base + path, { ...options, headers: { authorization: `Bearer ${SECRETS.admin}x` } }),
    )
    await note(await fetch(base + path, { ...options, headers: { cookie: `session=${SECRETS.admin}` } }))
  }
  for (const token of [SECRETS.admin, `${SECRETS.admin}x`]) {
    const body = new URLSearchParams({ token, to: '/' })
    await note(await fetch(`${base}/login`, { method: 'POST', body, redirect: 'manual' }))
  }
  return text
}

test('programs that run, with servers that refuse them, say none of their secrets', async () => {
  const doors: Door[] = ['producer.ts', 'consumer.ts', 'monitor.ts'].map((file) =>
    openDoor(file, { ...env, LOG_FILE: join(dir, `${file}.log`) }),
  )
  const refused = openDoor('consumer.ts', {
    ...env,
    CONSUMER_ID: 'refused',
    DATABASE_URL: env.DATABASE_URL!.replace(SECRETS.database, `${SECRETS.database}-wrong`),
    LOG_FILE: join(dir, 'refused.log'),
  })
  doors.push(refused)
  try {
    await until(
      'the monitor to answer',
      async () => (await fetch(`http://127.0.0.1:${port}/livez`).catch(() => null))?.ok,
    )
    await until('Kafka to be missed by each', async () =>
      ['producer.ts', 'monitor.ts'].every((name) =>
        /ECONNREFUSED|kafka/i.test(readFileSync(join(dir, `${name}.log`), 'utf8')),
      ),
    )
    const text = await answers()
    expect(text.length).toBeGreaterThan(50_000)
    expect(text).not.toContain(CANARY)
    for (const door of doors)
      if (door.exitCode() === null) expect(argumentsOf(door.pid)).not.toContain(CANARY)
  } finally {
    for (const door of doors) await door.stop()
  }
  expect(logs().length).toBeGreaterThan(2000)
  expect(logs()).not.toContain(CANARY)
}, 120_000)

test.each([
  ['variables', ['--json']],
  ['health', ['--json']],
  ['test-external', []],
  ['status', ['--json']],
])(
  'bun run %s says none of them',
  async (name, flags) => {
    const child = Bun.spawn([process.execPath, '--no-env-file', `lib/commands/${name}.ts`, ...flags], {
      cwd: join(import.meta.dir, '..'),
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    await child.exited
    expect(out + err).not.toBe('')
    expect(out + err).not.toContain(CANARY)
  },
  60_000,
)

test('a configuration with faults names the variable, not the secret', async () => {
  const door = openDoor('monitor.ts', {
    ...env,
    DATABASE_URL: `mysql://me:${SECRETS.database}@localhost/x`,
    MONITORING_TOKENS: `boss:${SECRETS.admin}`,
    MONITORING_TOKEN: CANARY.slice(0, 13),
    LOG_FILE: join(dir, 'faults.log'),
  })
  await until('it to end', async () => door.exitCode() !== null)
  const said = JSON.stringify(await door.log())
  expect(await door.stop()).toBe(78)
  for (const name of ['DATABASE_URL', 'MONITORING_TOKENS', 'MONITORING_TOKEN']) expect(said).toContain(name)
  expect(said).not.toContain(CANARY)
}, 30_000)
