import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Admin } from 'kafkajs'
import { closeSql, connect } from '../lib/db/connect.ts'
import { migrate } from '../lib/db/migrate.ts'
import { kafkaClients } from '../lib/kafka/client.ts'
import { startReaper, type Reaper } from '../lib/local/reaper.ts'
import { sleep } from '../lib/run.ts'
import {
  startTestKafka,
  startTestPostgres,
  startTestRegistry,
  startTestSearch,
  startTestStorage,
  type TestKafka,
  type TestPostgres,
  type TestServer,
} from '../lib/local/testbed.ts'

/**
 * The real Kafka (three nodes) and the real PostgreSQL of a test run: started by the first test that asks, shared by all
 * files, stopped by test/setup.ts at the end. A test that breaks a server mends it before it ends.
 */

/** For hooks that may be the first to ask: a cold start on a busy machine, the download of the jars aside. */
export const STACK_MS = 120_000

interface Shared {
  dir: string
  reaper: Reaper
  kafka?: Promise<TestKafka>
  postgres?: Promise<TestPostgres>
  search?: Promise<Store>
  storage?: Promise<Store>
  registry?: Promise<Store>
  template?: Promise<string>
}

type Store = TestServer & { url: string }

// On globalThis because a test runner may load this file once for each test file.
const place = globalThis as { testStack?: Shared }

export function kafka(): Promise<TestKafka> {
  const stack = shared()
  stack.kafka ??= startTestKafka({ nodes: 3, dir: stack.dir, onStart: stack.reaper.watch })
  return stack.kafka
}

export function postgres(): Promise<TestPostgres> {
  const stack = shared()
  stack.postgres ??= startTestPostgres({ dir: stack.dir, onStart: stack.reaper.watch })
  return stack.postgres
}

/** The search server of the sinks. */
export function search(): Promise<Store> {
  const stack = shared()
  stack.search ??= startTestSearch({ dir: stack.dir, onStart: stack.reaper.watch })
  return stack.search
}

/** The S3 storage of the sinks. */
export function storage(): Promise<Store> {
  const stack = shared()
  stack.storage ??= startTestStorage({ dir: stack.dir, onStart: stack.reaper.watch })
  return stack.storage
}

export function registry(): Promise<Store> {
  const stack = shared()
  stack.registry ??= startTestRegistry({ dir: stack.dir, onStart: stack.reaper.watch })
  return stack.registry
}

/** A topic that nobody else uses: three copies, two needed for an acknowledgement. Its name. */
export async function freshTopic(partitions = 3, config: Record<string, string> = {}): Promise<string> {
  const { brokers } = await kafka()
  const admin = kafkaClients({ brokers, clientId: 'test' }).current().admin()
  const topic = `test-${crypto.randomUUID().slice(0, 13)}`
  const configEntries = Object.entries({ 'min.insync.replicas': '2', ...config }).map(([name, value]) => ({
    name,
    value,
  }))
  try {
    await admin.connect()
    await admin.createTopics({
      waitForLeaders: false, // its own wait gives up on the first broker that has not heard of the topic yet
      timeout: 10_000,
      topics: [{ topic, numPartitions: partitions, replicationFactor: 3, configEntries }],
    })
    await untilServed(admin, topic, partitions)
  } finally {
    await admin.disconnect()
  }
  return topic
}

async function untilServed(admin: Admin, topic: string, partitions: number): Promise<void> {
  const deadline = performance.now() + 20_000
  for (;;) {
    const seen = await admin.fetchTopicMetadata({ topics: [topic] }).catch(() => ({ topics: [] }))
    const known = seen.topics[0]?.partitions ?? []
    if (known.length === partitions && known.every((p) => p.leader >= 0 && p.isr.length === 3)) return
    if (performance.now() > deadline) throw new Error(`Cannot use topic ${topic}: not served after 20 s`)
    await sleep(100)
  }
}

/** A database of one's own, with the newest schema: its URL. Made from a template, so it costs a tenth of a second. */
export async function database(): Promise<{ url: string }> {
  const { url } = await postgres()
  const stack = shared()
  stack.template ??= makeTemplate(url)
  const template = await stack.template
  const name = `test_${crypto.randomUUID().replaceAll('-', '').slice(0, 12)}`
  const sql = connect(url, { name: 'test', max: 1 })
  try {
    await sql.unsafe(`create database ${name} template ${template} strategy file_copy`)
  } finally {
    await closeSql(sql)
  }
  return { url: withDatabase(url, name) }
}

async function makeTemplate(url: string): Promise<string> {
  const name = 'migrated_template'
  const owner = connect(url, { name: 'test', max: 1 })
  await owner.unsafe(`create database ${name}`)
  await closeSql(owner)
  const sql = connect(withDatabase(url, name), { name: 'test', max: 1 })
  await migrate(sql)
  await closeSql(sql)
  return name
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.toString()
}

function shared(): Shared {
  if (!place.testStack) {
    const dir = mkdtempSync(join(tmpdir(), 'factory-test-'))
    place.testStack = { dir, reaper: startReaper(dir) }
  }
  return place.testStack
}

/** Ends everything that this run has started and deletes its data. Harmless where nothing was started, or twice. */
export async function stopStack(): Promise<void> {
  const stack = place.testStack
  if (!stack) return
  delete place.testStack
  const started = await Promise.allSettled([
    stack.kafka,
    stack.postgres,
    stack.registry,
    stack.search,
    stack.storage,
  ])
  const servers = started.flatMap((one) => {
    if (one.status !== 'fulfilled' || !one.value) return []
    return 'nodes' in one.value ? one.value.nodes : [one.value]
  })
  // Nobody will read this data again, so nothing is gained by a controlled stop.
  await Promise.all(servers.filter((server) => server.isAlive()).map((server) => server.kill()))
  rmSync(stack.dir, { recursive: true, force: true })
  stack.reaper.dismiss()
}
