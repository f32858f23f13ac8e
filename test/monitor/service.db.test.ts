import { afterAll, beforeAll, expect, test } from 'bun:test'
import { careOnce } from '../../lib/alarm/caretaker.ts'
import { createDatabase, type Database } from '../../lib/db/connect.ts'
import { STACK_MS } from '../stack.ts'
import { fillPlant, raiseAlarm } from './plant.ts'
import { openRoom, type Room } from './room.ts'

let room: Room
let consumers: Database
beforeAll(async () => {
  room = await openRoom()
  await fillPlant(room.sql)
  for (let i = 0; i < 3; i++) await room.sampler.sampleOnce()
  consumers = createDatabase(room.url, { name: 'caretaker', role: 'consumer', max: 1 })
}, STACK_MS)
afterAll(async () => {
  await consumers.close()
  await room.close()
})

const SENSOR = 'temp-sensor-001'
const post = (path: string, body: unknown) =>
  room.app.request(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
const suppressed = async (id: string) =>
  (await room.sql`select suppressed from alerts where alert_id = ${id}`)[0]!.suppressed
const told = async (id: string) => {
  const journal =
    await room.sql`select transition, actor from alert_journal where alert_id = ${id} order by entry`
  const outbox =
    await room.sql`select payload ->> 'state' as state from outbox where alert_id = ${id} order by entry`
  expect(outbox.map((row) => row.state)).toEqual(journal.map((row) => row.transition))
  return journal.map((row) => `${row.transition} by ${row.actor}`)
}
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await room.sampler.sampleOnce()
}

test('out of service: its open alarms fall quiet, the sensor says so, and by hand it is back', async () => {
  const id = await raiseAlarm(room.sql)
  const answer = await post(`/api/sensors/${SENSOR}/out-of-service`, {
    minutes: 60,
    reason: 'calibration',
    by: 'ada',
  })
  expect(answer.status).toBe(200)
  expect(await suppressed(id)).toBe('out_of_service')
  await settle()
  const { sensor } = await room.json(`/api/sensors/${SENSOR}`)
  expect(sensor.out_of_service).toMatchObject({ by: 'ada', reason: 'calibration' })
  const minutes = (Date.parse(sensor.out_of_service.until) - Date.now()) / 60_000
  expect(minutes).toBeGreaterThan(59)
  expect(minutes).toBeLessThan(61)
  expect((await room.json('/api/out-of-service')).sensors).toHaveLength(1)
  const page = await (await room.get(`/sensors/${SENSOR}`)).text()
  expect(page).toContain('Return to service')
  expect(await (await room.get('/')).text()).toContain('out of service')

  expect(await (await post(`/api/sensors/${SENSOR}/in-service`, { by: 'bob' })).json()).toEqual({
    sensor_id: SENSOR,
    in_service: true,
    changed: true,
  })
  expect(await suppressed(id)).toBeNull()
  expect(await told(id)).toEqual(['out_of_service by ada', 'in_service by bob'])
  await settle()
  expect((await room.json(`/api/sensors/${SENSOR}`)).sensor.out_of_service).toBeNull()
  const again = await post(`/api/sensors/${SENSOR}/in-service`, {})
  expect(await again.json()).toMatchObject({ changed: false })
})

test('its end brings it back by itself, and its alarms are heard again', async () => {
  const id = await raiseAlarm(room.sql)
  await post(`/api/sensors/${SENSOR}/out-of-service`, { minutes: 1, reason: 'repair', by: 'ada' })
  await careOnce({ database: consumers, consumerId: 'consumer-1', alertTopic: 'alerts' })
  expect(await suppressed(id)).toBe('out_of_service')
  await room.sql`update out_of_service set until = now() - interval '1 second'`
  await careOnce({ database: consumers, consumerId: 'consumer-1', alertTopic: 'alerts' })
  expect(await suppressed(id)).toBeNull()
  expect(await told(id)).toEqual(['out_of_service by ada', 'in_service by consumer-1'])
  const [event] = await room.sql`select message from system_events order by event_id desc limit 1`
  expect(event!.message).toContain('is back in service, by consumer-1: its time is over')
})

test('a shelved alarm stays shelved: only what service made quiet is heard again', async () => {
  const id = await raiseAlarm(room.sql, { suppressed: 'shelved' })
  await post(`/api/sensors/${SENSOR}/out-of-service`, { minutes: 1, reason: 'repair' })
  await post(`/api/sensors/${SENSOR}/in-service`, {})
  expect(await suppressed(id)).toBe('shelved')
})

test.each([
  ['no end', { reason: 'x' }, 422],
  ['no reason', { minutes: 5 }, 422],
  ['an end in the past', { minutes: 0, reason: 'x' }, 422],
  ['a year', { minutes: 525_600, reason: 'x' }, 422],
  ['a reason with a line break', { minutes: 5, reason: 'a\nb' }, 422],
])('refuses %s', async (_what, body, status) => {
  expect((await post(`/api/sensors/${SENSOR}/out-of-service`, body)).status).toBe(status)
})

test('a sensor that was never seen can’t be out of service', async () => {
  const answer = await post('/api/sensors/nobody/out-of-service', { minutes: 5, reason: 'x' })
  expect(answer.status).toBe(404)
})

test('a vibration sensor says its zone after ISO 20816', async () => {
  const { sensors } = await room.json('/api/sensors?sensor_type=vibration')
  expect(sensors.map((x: any) => x.iso_zone)).toEqual(['A', 'A', 'A'])
  await room.sql`update sensor_latest set value = 40, readings = readings + 1, measured_at = now(), updated_at = now() where sensor_id = 'vibration-sensor-001'`
  await settle()
  const { sensor } = await room.json('/api/sensors/vibration-sensor-001')
  expect(sensor.iso_zone).toBe('D')
  expect(await (await room.get('/sensors/vibration-sensor-001')).text()).toContain('zone D')
})
