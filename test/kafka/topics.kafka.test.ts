import { beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { parseConfig } from '../../lib/config.ts'
import { connect, closeSql } from '../../lib/db/connect.ts'
import { clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { compare, createMissing, verifyTopics } from '../../lib/kafka/topics.ts'
import { topicPlan, type TopicPlan } from '../../lib/topics.ts'
import { database, freshTopic, kafka, STACK_MS } from '../stack.ts'

setDefaultTimeout(60_000)

beforeAll(async () => {
  await kafka()
}, STACK_MS)

const commands = join(import.meta.dir, '../../lib/commands')

/** Names of its own, so that no other test sees these topics. */
function names() {
  const id = crypto.randomUUID().slice(0, 8)
  return { SENSOR_TOPIC: `sensor-data-${id}`, ALERT_TOPIC: `alerts-${id}` }
}

async function command(file: string, args: string[], env: Record<string, string>) {
  const child = Bun.spawn(['bun', join(commands, file), ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code: await child.exited, stdout, stderr }
}

test('topics makes the plan once, finds it the second time, and both agree', async () => {
  const { brokers } = await kafka()
  const env = { KAFKA_BROKERS: brokers.join(','), ...names() }
  const first = await command('topics.ts', ['--json'], env)
  const second = await command('topics.ts', ['--json'], env)
  expect([first.code, second.code]).toEqual([0, 0])
  const made = JSON.parse(first.stdout).topics as { topic: string; created: boolean; partitions: number }[]
  expect(made.map((t) => [t.topic, t.partitions, t.created])).toEqual([
    [env.SENSOR_TOPIC, 3, true],
    [env.ALERT_TOPIC, 2, true],
    [`${env.SENSOR_TOPIC}.dlt`, 3, true],
  ])
  const found = JSON.parse(second.stdout).topics as { created: boolean; faults: string[]; notes: string[] }[]
  expect(found.map((t) => [t.created, t.faults, t.notes])).toEqual(found.map(() => [false, [], []]))
})

test('three that start at once make each topic once, and all are content', async () => {
  const { brokers } = await kafka()
  const config = parseConfig({ KAFKA_BROKERS: brokers.join(','), ...names() })
  const made = await Promise.all(
    [1, 2, 3].map(async () => {
      const view = clusterView(kafkaClients({ brokers, clientId: 'test' }))
      try {
        return await createMissing(view, topicPlan(config), 3)
      } finally {
        await view.close()
      }
    }),
  )
  expect(made.flatMap((names) => [...names]).sort()).toEqual(
    topicPlan(config)
      .map((t) => t.topic)
      .sort(),
  )
})

test('a differing count is a fault: on stderr, in PostgreSQL, exit 1', async () => {
  const { brokers } = await kafka()
  const { url } = await database()
  const topic = await freshTopic(5, { 'min.insync.replicas': '1' })
  const env = { KAFKA_BROKERS: brokers.join(','), DATABASE_URL: url, ...names(), SENSOR_TOPIC: topic }
  const { code, stdout, stderr } = await command('topics.ts', [], env)
  expect(code).toBe(1)
  expect(stdout).toContain('DIFFERS: 5 partitions, planned are 3; min.insync.replicas is 1, planned is 2')
  expect(stderr).toContain(`${topic}: 5 partitions, planned are 3`)
  const sql = connect(url, { name: 'test', max: 1 })
  const events = await sql`select message from system_events where event = 'topic_differs' order by event_id`
  await closeSql(sql)
  expect(events.map((e) => e.message)).toContain(`${topic}: 5 partitions, planned are 3`)
})

test('--list makes nothing: what is missing is named, exit 1', async () => {
  const { brokers } = await kafka()
  const env = { KAFKA_BROKERS: brokers.join(','), ...names() }
  const listed = await command('topics.ts', ['--list', '--json'], env)
  expect(listed.code).toBe(1)
  expect(JSON.parse(listed.stdout).missing).toHaveLength(3)
  const view = clusterView(kafkaClients({ brokers, clientId: 'test' }))
  const existing = await view.ask('list', (a) => a.listTopics())
  await view.close()
  expect(existing).not.toContain(env.SENSOR_TOPIC)
})

test('no broker: exit 69, with what to do', async () => {
  const { code, stderr } = await command('topics.ts', ['--wait', '1'], { KAFKA_BROKERS: 'localhost:1' })
  expect(code).toBe(69)
  expect(stderr).toContain('Cannot reach Kafka')
  expect(stderr).toContain('bun run infra')
})

test('test-topics sends and reads back through a topic of its own and leaves nothing behind', async () => {
  const { brokers } = await kafka()
  const env = { KAFKA_BROKERS: brokers.join(','), ...names() }
  await command('topics.ts', [], env)
  const { code, stdout } = await command('test-topics.ts', ['--json'], env)
  expect(code).toBe(0)
  const report = JSON.parse(stdout)
  expect(report.round_trip).toMatchObject({ fault: null, ms: expect.any(Number) })
  expect(report.topics.map((t: { messages: number }) => t.messages)).toEqual([0, 0, 0])
  const view = clusterView(kafkaClients({ brokers, clientId: 'test' }))
  const existing = await view.ask('list', (a) => a.listTopics())
  await view.close()
  expect(existing.filter((t) => t.startsWith('connectivity-check'))).toEqual([])
})

test('verifyTopics() reads what createMissing() made', async () => {
  const { brokers } = await kafka()
  const plan: TopicPlan[] = [
    { topic: `t-${crypto.randomUUID()}`, partitions: 4, config: { 'min.insync.replicas': '2' } },
  ]
  const view = clusterView(kafkaClients({ brokers, clientId: 'test' }))
  try {
    await createMissing(view, plan, 3)
    expect(await verifyTopics(view, plan, 3)).toMatchObject([
      { partitions: 4, replication: 3, minInSyncReplicas: 2, faults: [], notes: [] },
    ])
  } finally {
    await view.close()
  }
})

test('compare() tells faults (order and durability) from notes', () => {
  const plan = { topic: 't', partitions: 2, config: { 'min.insync.replicas': '2', 'retention.ms': '5' } }
  const whole = [0, 1].map((partition) => ({ partition, replicas: 3, inSync: 3 }))
  const settings = new Map([
    ['min.insync.replicas', '2'],
    ['retention.ms', '5'],
  ])
  expect(compare(plan, 3, false, whole, settings)).toMatchObject({
    faults: [],
    notes: [],
    underReplicated: [],
  })
  expect(compare(plan, 3, false, whole.slice(1), settings).faults).toEqual(['1 partitions, planned are 2'])
  const thin = [...whole.slice(1), { partition: 0, replicas: 2, inSync: 1 }]
  expect(compare(plan, 3, false, thin, settings)).toMatchObject({
    faults: ['replication 2, planned is 3'],
    underReplicated: [0],
  })
  expect(compare(plan, 3, false, whole, new Map([['min.insync.replicas', '1']]))).toMatchObject({
    faults: ['min.insync.replicas is 1, planned is 2'],
    notes: ['retention.ms is not set, planned is 5'],
  })
})
