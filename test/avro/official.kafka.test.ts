import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { schemaText } from '../../lib/avro/schemas.ts'
import { parseConfig } from '../../lib/config.ts'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { DEVICE_TOPIC } from '../../lib/device.ts'
import { clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { createMissing } from '../../lib/kafka/topics.ts'
import { topicPlan } from '../../lib/topics.ts'
import { openConsumer, openDoor, until, type Door } from '../door.ts'
import { database, kafka, registry, STACK_MS } from '../stack.ts'
import { officialClient } from './official.ts'

setDefaultTimeout(2 * STACK_MS)

/**
 * The official client for Python (confluent-kafka) with its own Avro reads what we write, and writes what we read. It
 * comes from the package index the first time; OFFICIAL_CLIENT=1 insists on it.
 */
const room = mkdtempSync(join(tmpdir(), 'official-'))
const doors: Door[] = []
let env: Record<string, string>
let sql: Sql

beforeAll(async () => {
  const [{ brokers }, { url }, schemas] = await Promise.all([kafka(), database(), registry()])
  env = {
    FLEET: 'iot',
    KAFKA_BROKERS: brokers.join(','),
    DATABASE_URL: url,
    SCHEMA_REGISTRY_URL: schemas.url,
    SPOOL_DIR: room,
    CONSUMER_GROUP: `official-${crypto.randomUUID()}`,
    SENSOR_COUNT: '5',
    SENSOR_INTERVAL: '200ms',
  }
  const view = clusterView(kafkaClients({ brokers, clientId: 'test' }))
  await createMissing(view, topicPlan(parseConfig(env)), 3)
  await view.close()
  sql = connect(url, { name: 'test', max: 1 })
})
afterAll(async () => {
  await Promise.all(doors.map((door) => door.stop()))
  if (sql) await closeSql(sql)
  rmSync(room, { recursive: true, force: true })
})

test('the official client reads our messages, and writes ones that we read', async () => {
  const client = await officialClient()
  if ('reason' in client) {
    expect(process.env.OFFICIAL_CLIENT, `OFFICIAL_CLIENT=1 insists on it: ${client.reason}`).not.toBe('1')
    return console.warn(`the official client was not tried: ${client.reason}`)
  }
  const ask = async (input: string, ...args: string[]) => {
    const argv = [
      client.python,
      join(import.meta.dir, 'confluent.py'),
      env.KAFKA_BROKERS!,
      env.SCHEMA_REGISTRY_URL!,
    ]
    const child = Bun.spawn([...argv, ...args], { stdin: Buffer.from(input), stdout: 'pipe', stderr: 'pipe' })
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    if ((await child.exited) !== 0) throw new Error(`Cannot ask the official client: ${err}`)
    return out
      .trim()
      .split('\n')
      .filter((line) => line !== '')
  }

  doors.push(await openConsumer(env, 9), openDoor('producer.ts', env))
  const lines = await ask('', 'read', DEVICE_TOPIC, 'device-', '20')
  expect(lines).toHaveLength(20)
  for (const line of lines) {
    const { id, ts, temperature, humidity } = JSON.parse(line)
    const stored = await until(`reading ${line}`, async () => {
      const rows = await sql<{ value: number }[]>`
        select value from sensor_readings where machine_id = ${id} and topic = ${DEVICE_TOPIC}
          and (extract(epoch from "timestamp") * 1000000)::bigint = ${ts} order by sensor_type desc`
      return rows.length === 2 && rows.map((row) => row.value)
    })
    expect(stored).toEqual([temperature, humidity])
  }

  const theirs = JSON.parse(schemaText('SensorReading'))
  theirs.namespace = 'org.example'
  theirs.fields.push({ name: 'battery', type: ['null', 'double'], default: null })
  const file = join(room, 'theirs.avsc')
  await Bun.write(file, JSON.stringify(theirs))
  const ts = Date.now() * 1000 + 7
  const sent = [1, 2, 3].map((n) => ({
    id: `official-${n}`,
    ts: ts + n,
    temperature: 20 + n,
    humidity: 40,
    battery: 3.7,
  }))
  await ask(sent.map((record) => JSON.stringify(record)).join('\n'), 'write', DEVICE_TOPIC, file)
  const rows = await until('what it wrote', async () => {
    const found = await sql<{ machine_id: string; value: number; ts: number }[]>`
      select machine_id, value, (extract(epoch from "timestamp") * 1000000)::bigint as ts from sensor_readings
      where machine_id like 'official-%' and sensor_type = 'temperature' order by 1`
    return found.length === 3 && found
  })
  expect(rows.map((row) => ({ ...row }))).toEqual(
    sent.map(({ id, ts, temperature }) => ({ machine_id: id, value: temperature, ts })),
  )
})
