import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { openConsumer, type Door } from '../door.ts'
import { readTopic, withoutRepeats } from '../kafka/log.ts'
import { STACK_MS } from '../stack.ts'
import { openRoom, PARTITIONS, saidAt, type Room } from './room.ts'

setDefaultTimeout(120_000)

/** Lines of two factories on real Kafka and real PostgreSQL: to their end, through kills and an absent cluster. */
const PLAN = {
  F1: [
    { sodaName: 'Coca-Cola', number: 3, sensorID: 'S1-1' },
    { sodaName: 'Pepsi', number: 2, sensorID: 'S1-2' },
  ],
  F2: [{ sodaName: 'Sprite', number: 2, sensorID: 'S2-1' }],
  F3: [],
}

let room: Room
let consumer: Door

beforeAll(async () => {
  room = await openRoom()
  consumer = await openConsumer(room.env, PARTITIONS)
}, 2 * STACK_MS)
afterAll(async () => {
  await consumer?.stop()
  await room?.close()
}, 60_000)

test('a small plan runs to its end: exit 0, a summary, every reading stored, every sign of life counted, the ledger true', async () => {
  const { exited, stdout, stderr } = room.produce(['--config', room.file('small.json', PLAN)])
  expect(await exited).toBe(0)
  const [head, ...lines] = (await stdout).trimEnd().split('\n')
  expect(head).toMatch(/^7 of 7 items on 3 lines in 3 factories, \d+ s, all sent$/)
  expect(lines).toEqual([
    '  F1  S1-1  Coca-Cola  3 of 3',
    '  F1  S1-2  Pepsi      2 of 2',
    '  F2  S2-1  Sprite     2 of 2',
  ])
  expect(saidAt('WARN', await stderr)).toEqual([])

  const { env, sql } = room
  const brokers = (env.KAFKA_BROKERS ?? '').split(',')
  const readings = await readTopic(brokers, env.SODA_TOPIC ?? '')
  expect(readings).toHaveLength(7)
  const first = JSON.parse(readings.find((m) => m.key === 'S1-1')?.value ?? '{}')
  expect(Object.keys(first)).toEqual(
    'factoryId sensorId tier sodaName reading count total timestamp'.split(' '),
  )
  expect(first).toMatchObject({
    factoryId: 'F1',
    sensorId: 'S1-1',
    sodaName: 'Coca-Cola',
    count: 1,
    total: 3,
  })
  expect(first.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/)
  const beats = await readTopic(brokers, env.SODA_HEARTBEAT_TOPIC ?? '')
  const bySensor = Map.groupBy(beats, (m) => m.key)
  expect(bySensor.size).toBeGreaterThanOrEqual(9) // three to five in each of three factories
  for (const [key, list] of bySensor) {
    const said = list.map((m) => JSON.parse(m.value))
    expect(Object.keys(said[0])).toEqual(['sensorId', 'tier', 'timestamp', 'status'])
    expect(said.map((s) => s.status)).toEqual([...said.slice(1).map(() => 'active'), 'finished'])
    const times = said.map((s) => Date.parse(`${s.timestamp}Z`))
    const gaps = times.slice(1, -1).map((t, i) => (t - (times[i] ?? 0)) / 1000)
    expect(gaps.filter((s) => s < 0.999 || s > 2.001)).toEqual([])
    expect(withoutRepeats(list).get(key)).toEqual(list.map((_, i) => i + 1))
  }

  const report = await room.verify()
  expect(report).toMatchObject({
    accepted: 7,
    stored: 7,
    lost: 0,
    duplicated: 0,
    phantom: 0,
    gaps: 0,
    behind: 0,
  })
  expect(report.heartbeats).toMatchObject({ accepted: beats.length, counted: beats.length, lost: 0 })
  const rows = await sql`
    select factory_id, sensor_id, soda_name, round, total, count, readings from production_lines order by 1, 2`
  expect(rows.map((r) => Object.values(r).join(' '))).toEqual([
    'F1 S1-1 Coca-Cola 1 3 3 3',
    'F1 S1-2 Pepsi 1 2 2 2',
    'F2 S2-1 Sprite 1 2 2 2',
  ])
  const stored = await sql`select * from sensor_readings where sensor_id = 'S1-1' order by "timestamp"`
  expect(stored.map((r) => r.metadata)).toMatchObject(
    [1, 2, 3].map((count) => ({ soda_name: 'Coca-Cola', count, total: 3 })),
  )
  expect(stored[0]).toMatchObject({
    sensor_type: 'soda',
    unit: 'points',
    factory_section: 'F1',
    value: first.reading,
  })
  expect(stored[0]?.timestamp.toISOString()).toBe(`${first.timestamp.slice(0, 23)}Z`)
  const lives = await sql`select status, outages from sensor_heartbeats group by 1, 2`
  expect(lives.map((l) => ({ ...l }))).toEqual([{ status: 'finished', outages: 0 }])
  const [health] = await sql`select status from producer_health where producer_id = 'soda'`
  expect(health?.status).toBe('finished')
})
