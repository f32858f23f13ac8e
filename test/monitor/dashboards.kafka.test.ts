import { afterAll, beforeAll, expect, test } from 'bun:test'
import { freePorts } from '../../lib/local/ports.ts'
import { kafkaClients } from '../../lib/kafka/client.ts'
import { SINKS } from '../../lib/sink/open.ts'
import { expressions, metricsIn } from '../dashboards.ts'
import { until } from '../door.ts'
import { startPlant, supervise, type Plant, type Supervised } from '../failure/plant.ts'
import { kafka, postgres, search, STACK_MS, storage } from '../stack.ts'

/**
 * Everything that a dashboard or a rule names is asked for at the processes themselves: it has to be there, and it has to
 * move while the plant runs and things happen to it.
 */
let plant: Plant
const beside: Supervised[] = []
let addresses: string[] = []

const OF_SERVERS = [
  'kafka_brokers',
  'kafka_topic_partition_under_replicated_partition',
  'kafka_topic_partition_in_sync_replica',
  'factory_sink_paused_partitions',
]
/** These stay as they are while all is well, whatever the plant does; the tests below move them, but those that say when they do. */
const STEADY = [
  ...OF_SERVERS,
  'kafka_consumergroup_members',
  'factory_up',
  // under SPOOL_WHEN_FULL=drop-oldest alone
  'factory_messages_dropped_total',
  // where the topic was made anew alone
  'factory_partition_stopped',
  'factory_sink_info',
]

beforeAll(async () => {
  const [elasticsearch, s3, ports] = await Promise.all([search(), storage(), freePorts(7)])
  const id = crypto.randomUUID().slice(0, 8)
  plant = await startPlant({
    rate: 300,
    metricsPorts: ports.slice(0, 4),
    env: {
      ELASTICSEARCH_URL: elasticsearch.url,
      ELASTICSEARCH_INDEX: `sensor_readings_${id}`,
      S3_ENDPOINT: s3.url,
      S3_BUCKET: `sensor-cold-${id}`,
      S3_OBJECT_INTERVAL: '1s',
    },
  })
  const dir = plant.config.STATE_DIR
  for (const [i, sink] of SINKS.entries()) {
    const env = { ...plant.env, CONSUMER_ID: `sink-${sink}`, METRICS_PORT: String(ports[4 + i]) }
    beside.push(supervise(`sink-${sink}`, ['consumer.ts', '--sink', sink], env, dir))
  }
  beside.push(supervise('monitor', ['monitor.ts'], { ...plant.env, MONITORING_PORT: String(ports[6]) }, dir))
  addresses = ports.map((port) => `http://127.0.0.1:${port}/metrics`)
  await until('all processes to answer', async () => (await scrape()).size > 0, 60_000)
}, STACK_MS + 150_000)
afterAll(async () => {
  await Promise.all(beside.map((one) => one.stop()))
  await plant?.stop()
}, 90_000)

async function sendBroken(): Promise<void> {
  const clients = kafkaClients({ brokers: plant.config.KAFKA_BROKERS, clientId: 'foreign' })
  const producer = clients.current().producer({ idempotent: false })
  await producer.connect()
  await producer.send({ topic: plant.config.SENSOR_TOPIC, acks: -1, messages: [{ key: 'x', value: '{' }] })
  await producer.disconnect()
}

/** Series → value, of all processes together; empty where one of them does not answer. */
async function scrape(): Promise<Map<string, string>> {
  const series = new Map<string, string>()
  for (const [i, address] of addresses.entries()) {
    const text = await fetch(address, { signal: AbortSignal.timeout(3000) })
      .then((answer) => answer.text())
      .catch(() => '')
    if (text === '') return new Map()
    for (const line of text.split('\n')) {
      const at = line.lastIndexOf(' ')
      if (!line.startsWith('#') && at > 0) series.set(`${i} ${line.slice(0, at)}`, line.slice(at + 1))
    }
  }
  return series
}

const nameOf = (series: string) => /^\d+ ([a-z0-9_]+)/.exec(series)?.[1] ?? ''
const named = [...new Set(expressions().flatMap(({ expr }) => metricsIn(expr)))]

test('every metric of a dashboard or a rule is there, and moves', async () => {
  expect(named.length).toBeGreaterThan(25)
  const seen = new Map<string, string>()
  const there = new Set<string>()
  const moved = new Set<string>()
  const expected = named.filter((name) => !STEADY.includes(name))
  let isBroken = false
  const missing = () => [...named.filter((n) => !there.has(n)), ...expected.filter((n) => !moved.has(n))]
  await until(
    'every metric to be there and to move',
    async () => {
      for (const [series, value] of await scrape()) {
        const name = nameOf(series)
        there.add(name)
        // A series that comes up while we look has moved too: from nothing to its first value.
        if (seen.size > 0 && seen.get(series) !== value) moved.add(name)
        seen.set(series, value)
      }
      // Once the sinks are there to see it: a dead letter of theirs is counted from nothing.
      if (!isBroken && there.has('factory_sink_dead_letters_total')) await sendBroken()
      isBroken ||= there.has('factory_sink_dead_letters_total')
      return missing().length === 0
    },
    120_000,
  ).catch(() => {})
  expect(missing()).toEqual([])
}, 150_000)

test('what is steady while all is well moves when a consumer comes', async () => {
  const before = await scrape()
  const env = { ...plant.env, CONSUMER_ID: 'consumer-4' }
  beside.push(supervise('consumer-4', ['consumer.ts'], env, plant.config.STATE_DIR))
  await untilMoved('kafka_consumergroup_members', before)
}, 90_000)

test('… when a store and a broker die', async () => {
  const before = await scrape()
  expect(valuesOf(before, 'kafka_brokers')).toEqual(['3'])
  const [store, { nodes }] = await Promise.all([search(), kafka()])
  await Promise.all([store.kill(), nodes[2]?.kill()])
  try {
    for (const name of OF_SERVERS) await untilMoved(name, before)
  } finally {
    await Promise.all([store.start(), nodes[2]?.start()])
  }
}, 300_000)

test('… when PostgreSQL dies', async () => {
  const before = await scrape()
  expect(new Set(valuesOf(before, 'factory_up'))).toEqual(new Set(['1']))
  const database = await postgres()
  await database.kill()
  try {
    await untilMoved('factory_up', before)
  } finally {
    await database.start()
  }
}, 120_000)

test('… when a sink is stopped on purpose', async () => {
  addresses.splice(4, 1) // it answers no longer
  await beside[0]?.stop()
  const isTold = (series: string) => nameOf(series) === 'factory_sink_info' && series.includes('"left"')
  await until('the monitor to tell', async () => [...(await scrape()).keys()].some(isTold), 60_000)
}, 90_000)

function valuesOf(all: Map<string, string>, name: string): string[] {
  return [...all].filter(([series]) => nameOf(series) === name).map(([, value]) => value)
}

async function untilMoved(name: string, before: Map<string, string>): Promise<void> {
  const was = JSON.stringify(valuesOf(before, name))
  await until(
    `${name} to move`,
    async () => {
      const now = valuesOf(await scrape(), name)
      return now.length > 0 && JSON.stringify(now) !== was
    },
    60_000,
  )
}
