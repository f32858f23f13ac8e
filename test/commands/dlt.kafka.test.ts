import { afterAll, beforeAll, expect, test } from 'bun:test'
import { kafkaClients } from '../../lib/kafka/client.ts'
import { until } from '../door.ts'
import { startPlant, supervise, type Plant, type Supervised } from '../failure/plant.ts'
import { STACK_MS } from '../stack.ts'

/**
 * A plant whose consumers may register five sensors: the messages of all others become dead letters, with their numbers.
 * Then the consumers may register more, and the letters go back.
 */
let plant: Plant
let consumers: Supervised[] = []
const FOREIGN = 'foreign-1'

beforeAll(async () => {
  plant = await startPlant({ rate: 100, env: { MAX_SENSORS: '5' } })
  await until('dead letters', async () => (await letters()) > 300, 90_000)
  await sendForeign(foreignReading(21), foreignReading(22), '{"sensor_id":"foreign-1","value":23}', 'no JSON')
  await plant.producer.stop()
}, STACK_MS + 150_000)
afterAll(async () => {
  await Promise.all(consumers.map((c) => c.stop()))
  await plant?.stop()
}, 90_000)

async function letters(): Promise<number> {
  return (await plant.sql<{ n: number }[]>`select count(*)::bigint as n from dead_letters`)[0]?.n ?? 0
}

function foreignReading(value: number): string {
  return JSON.stringify({
    timestamp: new Date().toISOString(),
    sensor_id: FOREIGN,
    sensor_type: 'temperature',
    location: { factory_section: 'production', machine_id: 'machine-001', zone: 'zone-a' },
    value,
    unit: '°C',
  })
}

async function sendForeign(...values: string[]): Promise<void> {
  const clients = kafkaClients({ brokers: plant.config.KAFKA_BROKERS, clientId: 'foreign' })
  const producer = clients.current().producer({ idempotent: false })
  await producer.connect()
  const messages = values.map((value) => ({ partition: 0, key: FOREIGN, value }))
  await producer.send({ topic: plant.config.SENSOR_TOPIC, acks: -1, messages })
  await producer.disconnect()
}

/** As the consumers are told now. */
let maxSensors = '5'

async function dlt(...args: string[]): Promise<{ code: number; lines: string[]; err: string }> {
  const child = Bun.spawn([process.execPath, '--no-env-file', 'lib/commands/dlt.ts', ...args], {
    env: { ...plant.env, MAX_SENSORS: maxSensors },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, lines: out.split('\n').filter((line) => line !== ''), err }
}

async function foreignValues(): Promise<number[]> {
  const rows = await plant.sql<{ value: number }[]>`
    select value from sensor_readings where sensor_id = ${FOREIGN} order by "offset"`
  return rows.map((row) => row.value)
}

test('verify counts every dead letter once, before anything is sent again', async () => {
  const report = await plant.verify()
  expect(report).toMatchObject({ lost: 0, duplicated: 0, phantom: 0, behind: 0 })
  expect(report.dead_lettered).toBeGreaterThan(300)
  expect(report.stored + report.dead_lettered).toBe(report.accepted)
}, 120_000)

test('list says how many of each reason, show says what one is', async () => {
  const { lines } = await dlt('list', '--json')
  const { dead_letters } = JSON.parse(lines.join('\n'))
  const limit = dead_letters.find((c: { reason: string }) => c.reason === 'sensor_limit')
  const schema = dead_letters.find((c: { reason: string }) => c.reason === 'schema')
  expect(limit.count + schema.count + 1).toBe(await letters())
  const shown = await dlt('show', String(schema.newest_id))
  expect(shown.code).toBe(0)
  expect(shown.lines.join('\n')).toContain('{"sensor_id":"foreign-1","value":23}')
  expect(shown.lines.join('\n')).toContain('7b 22 73 65') // {"se
  expect(await dlt('show', '999999999')).toMatchObject({ code: 1 })
})

test('a dry run sends nothing', async () => {
  const before = await letters()
  maxSensors = '10000'
  const { code, err } = await dlt('redrive', '--reason', 'sensor_limit', '--dry-run')
  expect(code).toBe(0)
  expect(err).toContain(`${before - 2} would be sent`)
  const marked = await plant.sql`select 1 from dead_letters where redriven_at is not null`
  expect(marked.length).toBe(0)
})

test('what the consumers still have no room for is not sent', async () => {
  const before = await letters()
  maxSensors = '5'
  const { code, err } = await dlt('redrive', '--reason', 'sensor_limit')
  expect({ code, err }).toEqual({ code: 1, err: `${before - 2} still broken\n` })
})

test('sent back too soon each is a dead letter once more: sent once, and counted once', async () => {
  const before = await letters()
  maxSensors = '10000' // which the consumers have not heard of
  const { code, err } = await dlt('redrive', '--reason', 'sensor_limit')
  expect({ code, err }).toEqual({ code: 0, err: `${before - 2} sent\n` })
  await until('them to come back', async () => (await letters()) === before + before - 2, 60_000)
  const report = await plant.verify()
  expect(report).toMatchObject({ lost: 0, duplicated: 0, phantom: 0, behind: 0 })
  expect(report.stored + report.dead_lettered).toBe(report.accepted)
}, 150_000)

test('sent again, and again, each is stored once, and the ledger stays true', async () => {
  await Promise.all(plant.consumers.map((c) => c.stop()))
  const env = { ...plant.env, MAX_SENSORS: '10000' }
  consumers = [1, 2].map((n) =>
    supervise(`again-${n}`, ['consumer.ts'], { ...env, CONSUMER_ID: `again-${n}` }, plant.config.STATE_DIR),
  )
  const first = await dlt('redrive', '--reason', 'sensor_limit')
  expect(first).toMatchObject({ code: 0, err: expect.stringMatching(/^(\d+) already sent, \1 sent\n$/) })
  const stored = await plant.verify()
  expect(stored).toMatchObject({ lost: 0, duplicated: 0, phantom: 0, dead_lettered: 0, behind: 0 })
  expect(stored.stored).toBe(stored.accepted)
  expect(await foreignValues()).toEqual([21, 22])

  const second = await dlt('redrive', '--reason', 'sensor_limit')
  expect(second.err).toMatch(/^\d+ already sent\n$/)
  const third = await dlt('redrive', '--reason', 'sensor_limit', '--again')
  expect(third.err).toBe(second.err) // the log has them
  await plant.sql`update dead_letters set redriven_at = null where run_id is not null` // as if killed before marking
  const fourth = await dlt('redrive', '--reason', 'sensor_limit')
  expect(fourth.err).toMatch(/^\d+ sent, 4 already sent\n$/) // the two foreign ones, and their second letters
  expect(await plant.verify()).toMatchObject({ ...stored, unidentified: expect.anything() })
  expect(await foreignValues()).toEqual([21, 22])
}, 300_000)

test('one that is still broken is not sent; corrected it is, as a foreign message', async () => {
  const broken = await dlt('redrive', '--reason', 'schema')
  expect(broken).toMatchObject({ code: 1, err: '1 still broken\n' })
  const [row] = await plant.sql<
    { id: number }[]
  >`select dead_letter_id as id from dead_letters where reason = 'schema'`
  const changes = ['sensor_type=temperature', 'unit=°C', `timestamp=${new Date().toISOString()}`]
  const places = ['location.factory_section=p', 'location.machine_id=m', 'location.zone=z']
  const sets = [...changes, ...places].flatMap((change) => ['--set', change])
  expect(await dlt('redrive', String(row?.id), '--rate', '10', ...sets)).toMatchObject({
    code: 0,
    err: '1 sent\n',
  })
  await until('the corrected reading', async () => (await foreignValues()).includes(23), 60_000)
  expect(await plant.verify()).toMatchObject({ lost: 0, duplicated: 0, phantom: 0 })
}, 150_000)

test('what it is not given it asks for', async () => {
  expect(await dlt('redrive')).toMatchObject({ code: 2 })
  expect(await dlt('scatter')).toMatchObject({ code: 2 })
  expect(await dlt('redrive', 'first')).toMatchObject({ code: 2 })
  expect(await dlt('redrive', '1', '--value-file', 'missing.json')).toMatchObject({ code: 2 })
  expect(await dlt('redrive', '999999999')).toMatchObject({
    code: 1,
    err: expect.stringContaining('Cannot send 999999999: there is no such dead letter'),
  })
})

test('a field cannot be set in what is no object: said of that letter, and no end of the others', async () => {
  const { code, lines } = await dlt('redrive', '--all', '--dry-run', '--set', 'value=3')
  expect(code).toBe(1)
  expect(lines.filter((line) => line.includes('still broken'))).toEqual([
    expect.stringContaining('has no field to set, for it is no JSON object'),
  ])
  expect(lines.at(-1)).toContain('already sent')
})
