import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseConfig } from '../../lib/config.ts'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { grant, grantsOf } from '../../lib/kafka/acls.ts'
import { clusterOf, clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { createMissing, waitForCoordinator } from '../../lib/kafka/topics.ts'
import { startReaper } from '../../lib/local/reaper.ts'
import { topicPlan } from '../../lib/topics.ts'
import { openDoor, until } from '../door.ts'
import { database, STACK_MS } from '../stack.ts'
import { startSecureBroker, type SecureBroker } from './secure-broker.ts'

/** SASL/SCRAM over TLS with an authorizer, as config/kafka/secure.properties sets it, on a real broker. */
const dir = mkdtempSync(join(tmpdir(), 'secure-'))
const reaper = startReaper(dir)
let secure: SecureBroker
let sql: Sql
let url: string

beforeAll(async () => {
  secure = await startSecureBroker(join(dir, 'kafka'), reaper.watch)
  ;({ url } = await database())
  sql = connect(url, { name: 'test', max: 1 })
  const config = parseConfig(envOf('admin'))
  const view = clusterView(kafkaClients({ ...clusterOf(config), clientId: 'admin' }))
  await until('the admin to be let in', () => view.clusterId().catch(() => null), 60_000)
  await createMissing(view, topicPlan(config), 1)
  await grant(view, grantsOf(config))
  await waitForCoordinator(view, config.CONSUMER_GROUP, 60_000, new AbortController().signal)
  await view.close()
}, STACK_MS)
afterAll(async () => {
  if (sql) await closeSql(sql)
  await secure?.stop()
  rmSync(dir, { recursive: true, force: true })
  reaper.dismiss()
})

/** What the program of that name has in its environment; its password comes from a file. */
function envOf(user: string, over: Record<string, string> = {}): Record<string, string> {
  const file = join(dir, `${user}.password`)
  writeFileSync(file, secure.passwordOf(user))
  writeFileSync(join(dir, 'authority.pem'), secure.ca)
  return {
    KAFKA_BROKERS: secure.broker,
    TOPIC_REPLICATION: '1',
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFKA_SASL_USERNAME: user,
    KAFKA_SASL_PASSWORD_FILE: file,
    KAFKA_SSL_CA_FILE: join(dir, 'authority.pem'),
    ...over,
  }
}

const clientsOf = (user: string, over: Record<string, string> = {}) =>
  kafkaClients({ ...clusterOf(parseConfig(envOf(user, over))), clientId: user, requestTimeoutMs: 4000 })

describe('who is let in', () => {
  const enter = async (over: Record<string, string>) => {
    const admin = clientsOf('monitor', over)
      .current()
      .admin({ retry: { retries: 0 } })
    try {
      await admin.connect()
      return (await admin.describeCluster()).brokers.length
    } catch (error) {
      return (error as Error).message
    } finally {
      await admin.disconnect().catch(() => {})
    }
  }
  test('a user with the right password, over TLS', async () => {
    expect(await enter({})).toBe(1)
  }, 30_000)
  test('not with another password, not as nobody, not in clear text, not to a broker that nobody vouches for', async () => {
    writeFileSync(join(dir, 'wrong'), 'another-password')
    expect(await enter({ KAFKA_SASL_PASSWORD_FILE: join(dir, 'wrong') })).toMatch(/authentication/i)
    const nobody = { KAFKA_SASL_MECHANISM: '', KAFKA_SASL_USERNAME: '', KAFKA_SASL_PASSWORD_FILE: '' }
    expect(await enter(nobody)).toBeString()
    expect(await enter({ KAFKA_SSL_CA_FILE: '' })).toBeString()
    expect(await enter({ KAFKA_SSL_CA_FILE: '', KAFKA_SSL: 'on' })).toMatch(/certificate|verify|self/i)
  }, 60_000)
})

describe('what each may do', () => {
  const send = async (user: string, topic: string) => {
    const producer = clientsOf(user)
      .current()
      .producer({ idempotent: false, retry: { retries: 0 } })
    try {
      await producer.connect()
      await producer.send({ topic, acks: -1, messages: [{ key: 'k', value: '{}' }] })
      return 'done'
    } catch (error) {
      const { type = '' } = error as { type?: string }
      return /authoriz/i.test(`${type} ${error}`) ? 'refused' : String(error)
    } finally {
      await producer.disconnect().catch(() => {})
    }
  }
  const asAdmin = async (user: string, act: Parameters<ReturnType<typeof clusterView>['ask']>[1]) => {
    const view = clusterView(clientsOf(user))
    try {
      await view.ask('try', act)
      return 'done'
    } catch (error) {
      return String(error)
    } finally {
      await view.close()
    }
  }
  test.each([
    ['producer', 'sensor-data', 'done'],
    ['producer', 'alerts', 'refused'],
    ['consumer', 'alerts', 'done'],
    ['consumer', 'sensor-data', 'refused'],
    ['monitor', 'sensor-data', 'refused'],
    ['monitor', 'alerts', 'refused'],
  ])(
    '%s writes to %s: %s',
    async (user, topic, seen) => {
      expect(await send(user, topic)).toBe(seen)
    },
    30_000,
  )
  test.each(['producer', 'consumer', 'monitor'])(
    '%s makes and deletes no topic',
    async (user) => {
      const made = await asAdmin(user, (a) =>
        a.createTopics({ topics: [{ topic: `of-${user}`, numPartitions: 1, replicationFactor: 1 }] }),
      )
      expect(made).toMatch(/authoriz|topic/i)
      const deleted = await asAdmin(user, (a) => a.deleteTopics({ topics: ['sensor-data'] }))
      expect(deleted).toMatch(/authoriz|topic/i)
      const topics = await asAdmin('admin', async (a) => {
        const names = await a.listTopics()
        if (names.includes(`of-${user}`) || !names.includes('sensor-data')) throw new Error(names.join())
      })
      expect(topics).toBe('done')
    },
    30_000,
  )
})

test('the product itself runs on it: what a producer sends a consumer stores, and no log has a password', async () => {
  const common = { DATABASE_URL: url, STATE_DIR: dir, SPOOL_DIR: join(dir, 'spool') }
  const doors = [
    openDoor('consumer.ts', envOf('consumer', { ...common, CONSUMER_ID: 'consumer-1' })),
    openDoor('producer.ts', envOf('producer', { ...common, SAMPLING_INTERVAL: '200ms' })),
  ]
  try {
    await until(
      'a hundred readings',
      async () => {
        const [row] = await sql`select sum(stored)::int as stored from partition_progress`
        return (row?.stored ?? 0) >= 100
      },
      90_000,
    )
  } finally {
    for (const door of doors) {
      const log = JSON.stringify(await door.log())
      for (const user of ['producer', 'consumer']) expect(log).not.toContain(secure.passwordOf(user))
      await door.stop()
    }
  }
}, 150_000)
