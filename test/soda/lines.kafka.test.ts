import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { kafkaClients } from '../../lib/kafka/client.ts'
import { openConsumer, until, type Door } from '../door.ts'
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

test('Kafka missing: readings on standard output with a warning and in the spool, exit 75; the next start sends them and makes nothing anew', async () => {
  const args = [
    '--config',
    room.file('away.json', { F1: [{ sodaName: 'Tonic', number: 2, sensorID: 'S1-1' }], F2: [], F3: [] }),
  ]
  const env = { PRODUCER_ID: 'soda-away' }
  const away = room.produce(args, { ...env, KAFKA_BROKERS: 'localhost:1' })
  expect(await away.exited).toBe(75)
  const shown = (await away.stdout).split('\n').filter((line) => line.startsWith('{'))
  expect(shown.map((line) => JSON.parse(line).count)).toEqual([1, 2])
  expect(await away.stdout).toMatch(
    /2 of 2 items on 1 lines in 3 factories, \d+ s, \d+ messages wait in the spool/,
  )
  const stderr = await away.stderr
  expect(saidAt('WARN', stderr).filter((line) => line.startsWith('Kafka does not answer'))).toHaveLength(1)
  expect(saidAt('ERROR', stderr).at(-1)).toMatch(
    /^Cannot send everything: Kafka is away: \d+ messages stay in the spool of soda-away/,
  )
  const before = await room.verify()
  expect(before).toMatchObject({ spooled: 2, lost: 0, duplicated: 0, phantom: 0 })
  expect(before.heartbeats).toMatchObject({ lost: 0, duplicated: 0, phantom: 0 })
  expect(before.heartbeats.spooled).toBeGreaterThan(9)

  const back = room.produce(args, env)
  expect(await back.exited).toBe(0)
  expect(await back.stdout).toContain('2 of 2 items')
  expect(await room.verify()).toMatchObject({ spooled: 0, lost: 0, duplicated: 0, phantom: 0, behind: 0 })
  const rows = await room.sql`select round, count, readings from production_lines where soda_name = 'Tonic'`
  expect(rows.map((r) => ({ ...r }))).toEqual([{ round: 1, count: 2, readings: 2 }])
})

test('a consumer killed and a producer killed in the middle: every reading and every sign of life once, one round', async () => {
  const args = [
    '--config',
    room.file('kills.json', { F1: [{ sodaName: 'Mate', number: 5, sensorID: 'S1-1' }], F2: [], F3: [] }),
  ]
  const env = { PRODUCER_ID: 'soda-kills' }
  const made = async (count: number) => {
    const [row] = await room.sql`select count from production_lines where soda_name = 'Mate'`
    return (row?.count ?? 0) >= count
  }
  const first = room.produce(args, env)
  await until('the first item', () => made(1))
  process.kill(consumer.pid, 'SIGKILL')
  consumer = await openConsumer(room.env, PARTITIONS)
  await until('the second item', () => made(2))
  first.child.kill('SIGKILL')
  await first.exited
  const second = room.produce(args, env)
  expect(await second.exited).toBe(0)
  const report = await room.verify()
  expect(report).toMatchObject({ lost: 0, duplicated: 0, phantom: 0, gaps: 0, behind: 0 })
  expect(report.heartbeats.counted).toBe(report.heartbeats.accepted)
  const rows = await room.sql`select round, count, readings from production_lines where soda_name = 'Mate'`
  expect(rows.map((r) => ({ ...r }))).toEqual([{ round: 1, count: 5, readings: 5 }])
})

test('what of a configuration cannot be done is a warning each; what is none at all is exit 78', async () => {
  const said = async (content: unknown, code: number, level: string) => {
    const { exited, stderr } = room.produce(
      ['--config', room.file('bad.json', content), '--factories', '2'],
      { PRODUCER_ID: 'soda-bad' },
    )
    expect(await exited).toBe(code)
    return saidAt(level, await stderr).join('\n')
  }
  const warned = await said({ F1: [{ sodaName: 'Cola', number: 3, sensorID: 'S7-7' }], F9: [] }, 0, 'WARN')
  expect(warned).toContain('bad.json has no part for factory F2: it makes nothing')
  expect(warned).toContain('F1: Cola on S7-7 is skipped: F1 has no sensor S7-7, it has S1-1')
  expect(warned).toContain('bad.json has a part for F9, which does not run')
  expect(await said('{"F1": [', 78, 'ERROR')).toMatch(/bad\.json is not JSON: line 1, column 9/)
  expect(await said({ F1: [{ sodaName: 'Cola', number: 'ten', sensorID: 'S1-1' }] }, 78, 'ERROR')).toContain(
    'F1[0].number: ',
  )
  const missing = room.produce(['--config', 'nowhere.json'], { PRODUCER_ID: 'soda-bad' })
  expect(await missing.exited).toBe(78)
  expect(await missing.stderr).toContain('there is no such file')
})

test('a sensor that stops is an alarm within a few of its intervals; one that finished is none; broken messages are dead letters', async () => {
  const { sql, env } = room
  const producer = kafkaClients({ brokers: (env.KAFKA_BROKERS ?? '').split(','), clientId: 'foreign' })
    .current()
    .producer({ idempotent: false })
  await producer.connect()
  const send = (topic: string | undefined, key: string, value: string) =>
    producer.send({ topic: topic ?? '', acks: -1, messages: [{ key, value }] })
  const beat = (sensorId: string, status = 'active') =>
    send(
      env.SODA_HEARTBEAT_TOPIC,
      sensorId,
      JSON.stringify({ sensorId, tier: '1.1', timestamp: new Date().toISOString().slice(0, -1), status }),
    )
  const alarm = async (sensorId: string) =>
    (await sql`select active, anomaly_type, "timestamp" from alerts where sensor_id = ${sensorId}`)[0]
  try {
    for (let i = 0; i < 8; i++) {
      await Promise.all([beat('S8-1'), beat('S8-2', i === 7 ? 'finished' : 'active')])
      if (i < 7) await Bun.sleep(1000) // the rhythm itself is what is tried
    }
    await send(env.SODA_TOPIC, 'S8-1', 'no JSON')
    await send(env.SODA_TOPIC, 'S8-1', JSON.stringify({ factoryId: 'F8', sensorId: 'S8-1' }))
    await send(
      env.SODA_HEARTBEAT_TOPIC,
      'S8-1',
      JSON.stringify({ sensorId: 'S8-1', tier: '1.1', timestamp: 'now', status: 'active' }),
    )
    const stopped = Date.now()
    const raised = await until('an alarm of S8-1', () => alarm('S8-1'), 60_000)
    expect(raised).toMatchObject({ active: true, anomaly_type: 'sensor_silent' })
    expect(raised.timestamp.getTime() - stopped).toBeLessThan(10_000)
    await beat('S8-1')
    await until('the alarm to end', async () => (await alarm('S8-1'))?.active === false)
    expect(await alarm('S8-2')).toBeUndefined()
    const letters = await sql`select topic, reason from dead_letters where sensor_id = 'S8-1' order by 1, 2`
    expect(
      letters.map((l) => `${l.topic === env.SODA_TOPIC ? 'readings' : 'beats'} ${l.reason}`).sort(),
    ).toEqual(['beats schema', 'readings decode', 'readings schema'])
    expect(await room.verify()).toMatchObject({ lost: 0, duplicated: 0, phantom: 0 })
  } finally {
    await producer.disconnect()
  }
})
