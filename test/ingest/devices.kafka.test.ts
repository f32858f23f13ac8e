import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createReader, Unreadable } from '../../lib/avro/reader.ts'
import { createRegistry } from '../../lib/avro/registry.ts'
import { schemaText } from '../../lib/avro/schemas.ts'
import { framed } from '../../lib/avro/wire.ts'
import { createWriter, type AvroWriter } from '../../lib/avro/writer.ts'
import type { DeviceAlert } from '../../lib/alarm/device-alert.ts'
import { parseConfig } from '../../lib/config.ts'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { DEVICE_ALERT_TOPIC, DEVICE_TOPIC, type DeviceMessage } from '../../lib/device.ts'
import { clusterView, kafkaClients, type KafkaClients } from '../../lib/kafka/client.ts'
import { readLogRange } from '../../lib/kafka/log.ts'
import { createMissing } from '../../lib/kafka/topics.ts'
import { topicPlan } from '../../lib/topics.ts'
import { openConsumer, openDoor, until, type Door } from '../door.ts'
import { database, kafka, registry, STACK_MS } from '../stack.ts'

setDefaultTimeout(2 * STACK_MS)

/** A thousand devices are a matter of load; twenty show everything else, with the registry, Kafka and PostgreSQL real. */
const spool = mkdtempSync(join(tmpdir(), 'devices-spool-'))
const doors = new Set<Door>()
let env: Record<string, string>
let sql: Sql
let clients: KafkaClients
let writer: AvroWriter<DeviceMessage>

beforeAll(async () => {
  const [{ brokers }, { url }, { url: schemas }] = await Promise.all([kafka(), database(), registry()])
  env = {
    FLEET: 'iot',
    KAFKA_BROKERS: brokers.join(','),
    DATABASE_URL: url,
    SCHEMA_REGISTRY_URL: schemas,
    SPOOL_DIR: spool,
    CONSUMER_GROUP: `devices-${crypto.randomUUID()}`,
    SENSOR_COUNT: '20',
    SENSOR_INTERVAL: '200ms',
  }
  clients = kafkaClients({ brokers, clientId: 'test' })
  const view = clusterView(clients)
  await createMissing(view, topicPlan(parseConfig(env)), 3)
  await view.close()
  sql = connect(url, { name: 'test', max: 2 })
  writer = createWriter(DEVICE_TOPIC, schemaText('SensorReading'), createRegistry(schemas))
  await writer.ready(new AbortController().signal)
})
afterAll(async () => {
  await Promise.all([...doors].map((door) => door.stop()))
  await (await registry()).start()
  if (sql) await closeSql(sql)
  rmSync(spool, { recursive: true, force: true })
})

async function consumer(name: string): Promise<Door> {
  const door = await openConsumer({ ...env, CONSUMER_ID: name }, 9) // sensor-data 3, sensor.raw 6
  doors.add(door)
  return door
}

/** As a foreign producer would: no identity but topic, partition and offset, where none is given. */
async function send(
  messages: { key: string; value: Buffer; headers?: Record<string, string> }[],
): Promise<void> {
  const producer = clients.current().producer({ idempotent: false })
  await producer.connect()
  for (const message of messages) {
    await producer.send({ topic: DEVICE_TOPIC, acks: -1, messages: [{ ...message, partition: 0 }] })
  }
  await producer.disconnect()
}

function measured(id: string, temperature: number, humidity: number): { key: string; value: Buffer } {
  return { key: id, value: writer.encode({ id, ts: Date.now() * 1000, temperature, humidity }) }
}

interface Seen {
  key: string | undefined
  value: Buffer | null
  /** their bytes, each a character */
  headers: Record<string, string | string[]>
}

/** Everything on a topic that `mine` says is ours, once there are `count`. */
async function published(topic: string, count: number, mine: (seen: Seen) => boolean): Promise<Seen[]> {
  return until(`${count} messages on ${topic}`, async () => {
    const seen: Seen[] = []
    const view = clusterView(clients)
    const ranges = await view.offsets(topic)
    await view.close()
    for (const { partition, low, high } of ranges) {
      if (high === low) continue
      await readLogRange(clients, topic, partition, low, high, (m) => {
        const text = (value: unknown) => (value as Buffer).toString('latin1')
        const headers = Object.entries(m.headers ?? {}).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.map(text) : text(value),
        ])
        seen.push({ key: m.key?.toString(), value: m.value, headers: Object.fromEntries(headers) })
      })
    }
    const found = seen.filter(mine)
    return found.length >= count && found
  })
}

async function verified(): Promise<Record<string, number>> {
  const child = Bun.spawn(
    [process.execPath, '--no-env-file', 'lib/commands/verify.ts', '--json', '--wait', '30s'],
    {
      cwd: join(import.meta.dir, '../..'),
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdout: 'pipe',
      stderr: 'inherit',
    },
  )
  const said = await new Response(child.stdout).text()
  await child.exited
  return JSON.parse(said.slice(said.indexOf('{'), said.lastIndexOf('}') + 1))
}

test('twenty devices: two channels each, every reading stored once although a consumer is killed', async () => {
  const first = await consumer('consumer-1')
  const producer = openDoor('producer.ts', env)
  doors.add(producer)
  const stored = async () => (await sql<{ n: number }[]>`select count(*)::int as n from readings`)[0]?.n ?? 0
  await until('readings', async () => (await stored()) > 400)
  process.kill(first.pid, 'SIGKILL')
  doors.delete(first)
  await consumer('consumer-2')
  const before = await stored()
  await until('readings after the kill', async () => (await stored()) > before + 400)
  expect(await producer.stop()).toBe(0)
  doors.delete(producer)
  const verdict = await verified()
  expect(verdict).toMatchObject({ lost: 0, duplicated: 0, phantom: 0, dead_lettered: 0, spooled: 0, gaps: 0 })
  expect(verdict.stored).toBe(verdict.accepted)
  const rows = await sql`select distinct sensor_id, sensor_type, unit, machine_id, topic from sensor_readings
    where machine_id = 'device-0007' order by 1`
  expect(rows.map((r) => ({ ...r })) as object[]).toEqual([
    {
      sensor_id: 'device-0007.humidity',
      sensor_type: 'humidity',
      unit: '%',
      machine_id: 'device-0007',
      topic: 'sensor.raw',
    },
    {
      sensor_id: 'device-0007.temperature',
      sensor_type: 'temperature',
      unit: '°C',
      machine_id: 'device-0007',
      topic: 'sensor.raw',
    },
  ])
})

describe('out of range', () => {
  test('above 50 °C or below 10 %: an alarm with its life, and an event in Avro; the limits themselves are inside', async () => {
    const device = `hot-${crypto.randomUUID().slice(0, 8)}`
    await send([measured(device, 50, 10), measured(device, 50.1, 40), measured(device, 20, 9.9)])
    const mine = (seen: Seen) => seen.key === device
    const events = await published(DEVICE_ALERT_TOPIC, 2, mine)
    const reader = createReader<DeviceAlert>(
      schemaText('SensorAlert'),
      createRegistry(env.SCHEMA_REGISTRY_URL!),
    )
    await reader.learn(events.map((e) => e.value))
    const read = events.map((e) => reader.read(e.value!) as DeviceAlert)
    expect(read.map(({ ts: _, ...rest }) => rest)).toEqual([
      { sensor_id: device, reason: 'temperature above 50 °C', temperature: 50.1, humidity: 40 },
      { sensor_id: device, reason: 'humidity below 10 %', temperature: 20, humidity: 9.9 },
    ])
    const transitions = await published('alerts', 2, (s) => s.key?.startsWith(`${device}.`) === true)
    expect(transitions.map((t) => JSON.parse(String(t.value)).state)).toEqual(['raised', 'raised'])
    const rows = await sql<{ sensor_id: string; why: { together: object } }[]>`
      select sensor_id, why from alerts where sensor_id like ${`${device}.%`} and active order by 1`
    expect(rows.map((r) => [r.sensor_id, r.why.together])).toEqual([
      [`${device}.humidity`, { temperature: 20, humidity: 9.9 }],
      [`${device}.temperature`, { temperature: 50.1, humidity: 40 }],
    ])
    await send([measured(device, 20, 40), measured(device, 20, 40)])
    await until('both alarms to clear', async () => {
      const open = await sql`select 1 from alerts where sensor_id like ${`${device}.%`} and active`
      return open.length === 0
    })
  })
})

describe('dead letters', () => {
  test('lie in the table and, byte for byte with their reasons, on sensor.raw.dlt; their neighbours are stored', async () => {
    const device = `bad-${crypto.randomUUID().slice(0, 8)}`
    const good = measured(device, 21, 41)
    const before = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`before-${i}`, 'x'.repeat(300)]))
    const headers = { ...before, tag: ['a', 'b'], trace: '\xff\0\x01', 'run-id': device, seq: '1' }
    const bad: [string, Buffer][] = [
      ['truncated', good.value.subarray(0, good.value.length - 3)],
      ['not_avro', Buffer.from('{"id":"device-1","temperature":20}')],
      ['unknown_schema', framed(999_999, good.value.subarray(5))],
      ['schema', writer.encode({ id: 'no good name!', ts: 1, temperature: 1, humidity: 1 })],
      ['not_avro', Buffer.alloc(100_000, 0xff)],
    ]
    await send([
      good,
      ...bad.map(([, value]) => ({
        key: device,
        value,
        headers: { ...headers, trace: Buffer.from(headers.trace, 'latin1') },
      })),
      measured(device, 22, 42),
    ])
    const letters = await published(`${DEVICE_TOPIC}.dlt`, bad.length, (s) => s.key === device)
    expect(letters.length).toBe(bad.length)
    expect(letters.map((l) => [l.headers['__connect.errors.exception.class.name'], l.value])).toEqual(bad)
    const rows = await sql<{ reason: string; partition: number; offset: number; message: string }[]>`
      select reason, partition, "offset", message from dead_letters where topic = ${DEVICE_TOPIC}
        and run_id = ${device} order by "offset"`
    expect(letters.map((l) => l.headers)).toEqual(
      rows.map((row) =>
        expect.objectContaining({
          ...headers,
          '__connect.errors.topic': DEVICE_TOPIC,
          '__connect.errors.partition': String(row.partition),
          '__connect.errors.offset': String(row.offset),
          '__connect.errors.exception.class.name': row.reason,
          '__connect.errors.exception.message': row.message,
        }),
      ),
    )
    const stored =
      await sql`select value from sensor_readings where machine_id = ${device} order by "offset", sensor_id`
    expect(stored.map((r) => r.value as number)).toEqual([41, 21, 42, 22])
  })
})

describe('the registry is away', () => {
  test('known schemas go on; a new one holds its partition up without a dead letter, and is told; then all is stored', async () => {
    const device = `new-${crypto.randomUUID().slice(0, 8)}`
    const evolved = JSON.parse(schemaText('SensorReading'))
    evolved.fields.push({ name: device.replaceAll('-', '_'), type: ['null', 'string'], default: null })
    const asked = createRegistry(env.SCHEMA_REGISTRY_URL!)
    const newer = createWriter<DeviceMessage>(crypto.randomUUID(), JSON.stringify(evolved), asked)
    await newer.ready(new AbortController().signal)
    const server = await registry()
    await server.kill()

    await send([measured(`${device}-known`, 20, 40)])
    const storedOf = (id: string) => sql`select 1 from sensor_readings where machine_id = ${id}`
    await until('a known schema to go on', async () => (await storedOf(`${device}-known`)).length === 2)
    const value = newer.encode({ id: device, ts: Date.now() * 1000, temperature: 20, humidity: 40 })
    await send([
      measured(`${device}-before`, 20, 40),
      { key: device, value },
      measured(`${device}-after`, 20, 40),
    ])
    await until(
      'what comes before it to be stored',
      async () => (await storedOf(`${device}-before`)).length === 2,
    )
    const told = await until('the wait to be told', async () => {
      const rows = await sql<{ paused_reason: string | null }[]>`
        select paused_reason from consumer_health where paused_reason like '%registry%'`
      return rows[0]?.paused_reason
    })
    expect(told).toContain('sensor.raw-0')
    expect(await storedOf(`${device}-after`)).toHaveLength(0)

    await server.start()
    await until('everything to be stored', async () => (await storedOf(`${device}-after`)).length === 2)
    expect(await storedOf(device)).toHaveLength(2)
    expect(await sql`select 1 from dead_letters where value = ${value}`).toHaveLength(0)
    await until('the wait to be over', async () => {
      const rows = await sql`select 1 from consumer_health where paused_reason like '%registry%'`
      return rows.length === 0
    })
  })

  test('what our own producer writes is readable again', async () => {
    const reader = createReader<DeviceMessage>(
      schemaText('SensorReading'),
      createRegistry(env.SCHEMA_REGISTRY_URL!),
    )
    const { value } = measured('device-1', 20, 40)
    await reader.learn([value])
    expect(reader.read(value)).not.toBeInstanceOf(Unreadable)
  })
})
