import { afterEach, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeSql, connect } from '../../lib/db/connect.ts'
import { readTruth, truthFile } from '../../lib/fleet/truth.ts'
import { readLedger } from '../../lib/spool/ledger.ts'
import { spoolFile } from '../../lib/spool/store.ts'
import { readTopic, withoutRepeats } from '../kafka/log.ts'
import { database, freshTopic, kafka, postgres, STACK_MS } from '../stack.ts'

setDefaultTimeout(90_000)

beforeAll(async () => {
  await Promise.all([kafka(), postgres()])
}, STACK_MS)

const cleanUp: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

async function setUp() {
  const [{ brokers }, { url }, topic] = await Promise.all([kafka(), database(), freshTopic()])
  const dir = mkdtempSync(join(tmpdir(), 'producer-'))
  const sql = connect(url, { name: 'test', max: 1 })
  cleanUp.push(() => rmSync(dir, { recursive: true, force: true }))
  cleanUp.push(() => closeSql(sql))
  const env = {
    PATH: process.env.PATH ?? '',
    KAFKA_BROKERS: brokers.join(','),
    DATABASE_URL: url,
    SENSOR_TOPIC: topic,
    SPOOL_DIR: join(dir, 'spool'),
  }
  return { brokers, topic, dir, sql, env }
}

function producer(env: Record<string, string>, args: string[] = []) {
  const child = Bun.spawn(['bun', join(import.meta.dir, '../../producer.ts'), ...args], {
    env,
    stdout: 'pipe',
    stderr: 'pipe',
  })
  cleanUp.push(() => child.kill('SIGKILL'))
  const stderr = new Response(child.stderr).text()
  return { child, stderr, stdout: new Response(child.stdout).text() }
}

async function until<T>(
  look: () => Promise<T | undefined | false>,
  what: string,
  boundMs = 20_000,
): Promise<T> {
  const end = performance.now() + boundMs
  for (;;) {
    const seen = await look()
    if (seen) return seen
    if (performance.now() > end) throw new Error(`still not after ${boundMs} ms: ${what}`)
    await Bun.sleep(50)
  }
}

test('the plant flows; SIGTERM flushes and says the last word; the next start goes on with the same run', async () => {
  const { brokers, topic, sql, env } = await setUp()
  const first = producer(env, ['--rate', '300'])
  const health = await until(async () => {
    const [row] = await sql`select * from producer_health where total_messages_sent > 600`
    return row
  }, 'the health row counts what was sent')
  expect(health).toMatchObject({
    producer_id: 'plant-load',
    fleet: 'factory',
    status: 'active',
    kafka_reachable: true,
    errors: 0,
  })
  expect(health.expected_per_second).toBeCloseTo(300, 0)
  expect(health.messages_per_second).toBeGreaterThan(50)
  first.child.kill('SIGTERM')
  expect(await first.child.exited).toBe(0)
  const [stopped] = await sql`select * from producer_health`
  expect(stopped).toMatchObject({ status: 'stopped', spooled: 0 })
  expect(stopped?.total_messages_sent).toBe(stopped?.total_messages_accepted)

  const second = producer(env, ['--rate', '300'])
  await until(async () => {
    const [row] = await sql`select total_messages_sent as sent from producer_health where status = 'active'`
    return row && row.sent > stopped?.total_messages_sent + 300
  }, 'the second life sends on')
  second.child.kill('SIGTERM')
  expect(await second.child.exited).toBe(0)
  const [end] = await sql`select * from producer_health`
  expect(end?.run_id).toBe(stopped?.run_id)

  const logged = await readTopic(brokers, topic)
  expect(logged).toHaveLength(end?.total_messages_accepted)
  const ledger = readLedger(spoolFile(env.SPOOL_DIR, 'plant-load'))
  const accepted = [...ledger].map((e) => `${e.sensorId}:${e.seq}`).sort()
  ledger.close()
  expect(logged.map((m) => `${m.key}:${m.seq}`).sort()).toEqual(accepted)
  for (const [key, seqs] of withoutRepeats(logged)) {
    expect({ key, seqs }).toEqual({ key, seqs: seqs.map((_, i) => i + 1) })
  }
  const told = await sql`select episode_id from fault_episodes`
  const truth = readTruth(truthFile(env.SPOOL_DIR, 'plant-load'))
  expect(told.map((e) => e.episode_id).sort()).toEqual(truth.map((e) => e.episodeId).sort())
})

test('a recording is sent to its end: exit 0, finished, every value in the log', async () => {
  const { brokers, topic, dir, sql, env } = await setUp()
  const rows = Array.from({ length: 2500 }, (_, i) => [new Date(1.7e12 + i * 1000).toISOString(), i / 4])
  const file = join(dir, 'press 7.csv')
  writeFileSync(file, `timestamp,value\n${rows.map((r) => r.join(',')).join('\n')}\n`)
  const replay = producer(env, [
    '--replay',
    file,
    '--sensor-id',
    'press-7',
    '--speed',
    'max',
    '--time',
    'keep',
  ])
  expect(await replay.child.exited).toBe(0)
  const [health] = await sql`select * from producer_health`
  expect(health).toMatchObject({
    producer_id: 'replay-press-7',
    status: 'finished',
    total_messages_sent: 2500,
  })
  const logged = await readTopic(brokers, topic)
  expect(logged.map((m) => JSON.parse(m.value).value)).toEqual(rows.map((r) => r[1]))
})

test('Kafka away at the end of a recording: exit 75, what is left is named, and the next start sends it', async () => {
  const { brokers, topic, dir, env } = await setUp()
  const file = join(dir, 'press.csv')
  writeFileSync(file, `timestamp,value\n2026-01-01T00:00:00Z,1\n2026-01-01T00:00:01Z,2\n`)
  const args = ['--replay', file, '--speed', 'max', '--time', 'keep']
  const away = producer({ ...env, KAFKA_BROKERS: 'localhost:1' }, args)
  expect(await away.child.exited).toBe(75)
  expect(await away.stderr).toContain('2 messages stay in the spool of replay-press')
  const back = producer(env, args)
  expect(await back.child.exited).toBe(0)
  expect((await readTopic(brokers, topic)).map((m) => m.seq)).toEqual([1, 2, 3, 4])
})

test('PostgreSQL away: readings flow on, and health is told when it is back', async () => {
  const { brokers, topic, sql, env } = await setUp()
  const server = await postgres()
  const { child } = producer(env, ['--rate', '200'])
  await until(
    async () => (await sql`select 1 from producer_health where status = 'active'`)[0],
    'health is told',
  )
  server.pause()
  let during = 0
  try {
    const before = (await readTopic(brokers, topic)).length
    await until(async () => {
      during = (await readTopic(brokers, topic)).length
      return during > before + 500
    }, 'messages arrive while PostgreSQL is frozen')
  } finally {
    server.resume()
  }
  await until(async () => {
    const [row] = await sql`select total_messages_sent as sent from producer_health`
    return row && row.sent > during
  }, 'health is told again')
  child.kill('SIGTERM')
  expect(await child.exited).toBe(0)
})

test('--print gives the same bytes for the same seed and start, and sends nothing', async () => {
  const print = async (seed: string) => {
    const { child, stdout } = producer({ PATH: process.env.PATH ?? '' }, [
      '--print',
      '50',
      '--seed',
      seed,
      '--start',
      '2026-03-01T08:00:00Z',
    ])
    expect(await child.exited).toBe(0)
    return stdout
  }
  const [one, two, other] = await Promise.all([print('7'), print('7'), print('8')])
  expect(one.trimEnd().split('\n')).toHaveLength(50)
  expect(two).toBe(one)
  expect(other).not.toBe(one)
})

test('a wrong flag is told with the way out: exit 2', async () => {
  for (const args of [
    ['--rate', 'fast'],
    ['--fleet', 'lorries'],
    ['--colour'],
    ['--print', '5', '--start', 'noon'],
  ]) {
    const { child, stderr } = producer({ PATH: process.env.PATH ?? '' }, args)
    expect([args, await child.exited]).toEqual([args, 2])
    expect(await stderr).toContain('bun run producer.ts --help shows the way')
  }
})

test('the log of a producer is JSON lines on stderr, and nothing is on stdout', async () => {
  const { sql, env } = await setUp()
  const { child, stdout, stderr } = producer(env)
  await until(async () => (await sql`select 1 from producer_health where status = 'active'`)[0], 'it runs')
  child.kill('SIGTERM')
  await child.exited
  expect(await stdout).toBe('')
  const events = (await stderr)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).message)
  expect(events).toContain('producer.started')
  expect(events.slice(-2)).toEqual(['producer.stopped', 'process.stopped'])
})
