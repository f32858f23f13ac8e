import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseConfig } from '../../lib/config.ts'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { createMissing } from '../../lib/kafka/topics.ts'
import { topicPlan } from '../../lib/topics.ts'
import { openDoor, until, type Door } from '../door.ts'
import { database, kafka, registry, STACK_MS } from '../stack.ts'

setDefaultTimeout(STACK_MS)

/** A fleet in Avro whose registry goes away: who has been there before measures on, who has not says what it waits for. */
const dir = mkdtempSync(join(tmpdir(), 'registry-'))
let env: Record<string, string>
let sql: Sql
const doors = new Set<Door>()

beforeAll(async () => {
  const [{ brokers }, { url }, schemas] = await Promise.all([kafka(), database(), registry()])
  env = {
    FLEET: 'iot',
    KAFKA_BROKERS: brokers.join(','),
    DATABASE_URL: url,
    SCHEMA_REGISTRY_URL: schemas.url,
    SENSOR_COUNT: '20',
    SENSOR_INTERVAL: '200ms',
  }
  const view = clusterView(kafkaClients({ brokers, clientId: 'test' }))
  await createMissing(view, topicPlan(parseConfig(env)), 3)
  await view.close()
  sql = connect(url, { name: 'test', max: 1 })
}, 2 * STACK_MS)
afterAll(async () => {
  await Promise.all([...doors].map((door) => door.stop()))
  await (await registry()).start()
  await closeSql(sql)
  rmSync(dir, { recursive: true, force: true })
})

function producer(name: string): Door {
  const door = openDoor('producer.ts', { ...env, PRODUCER_ID: name, SPOOL_DIR: join(dir, 'spool') })
  doors.add(door)
  return door
}

interface Health {
  status: string
  sent: number
  last_error: string | null
}

function untilHealth(name: string, what: string, isSo: (health: Health) => boolean): Promise<Health> {
  return until(
    what,
    async () => {
      const [row] = await sql<
        Health[]
      >`select status, total_messages_sent as sent, last_error from producer_health
        where producer_id = ${name}`
      return row && isSo(row) && row
    },
    60_000,
  )
}

test('a fleet that has been there before measures on; one that has not is blocked by name until the registry is back', async () => {
  const server = await registry()
  const first = producer('before')
  const { sent } = await untilHealth('before', 'messages', (h) => h.sent > 100)
  process.kill(first.pid, 'SIGKILL')
  await server.kill()
  await sql`update producer_health set status = 'failed'`
  producer('before')
  const back = await untilHealth('before', 'messages without the registry', (h) => h.sent > sent + 300)
  expect(back.status).toBe('active')

  const newcomer = producer('newcomer')
  const waiting = await untilHealth('newcomer', 'what it waits for', (h) => h.last_error !== null)
  expect(waiting).toMatchObject({ status: 'blocked', sent: 0 })
  expect(waiting.last_error).toContain('Cannot ask the schema registry')
  await server.start()
  await untilHealth('newcomer', 'messages', (h) => h.sent > 100 && h.status === 'active')
  expect(await newcomer.stop()).toBe(0)
})
