import { afterAll, beforeAll, expect, test } from 'bun:test'
import { STACK_MS } from '../stack.ts'
import { fillPlant, raiseAlarm } from './plant.ts'
import { openRoom, type Room } from './room.ts'

let room: Room
let alarm: string
beforeAll(async () => {
  room = await openRoom()
  await fillPlant(room.sql, { sensors: 5 })
  alarm = await raiseAlarm(room.sql)
  const contributions = [
    { sensor_id: 'vibration-sensor-001', share: 0.9, level: 8, activity: 2, commissioned: 1 },
  ]
  await room.sql`
    insert into machines (factory_section, machine_id, channels, next_minute, condition, score, contributions, commissioning,
      baseline_since, alert_id)
    values ('production', 'machine-001', '["vibration-sensor-001"]', now() - interval '1 hour', 'alarmed', 0.8,
        ${JSON.stringify(contributions)}::text::jsonb, 1440, now() - interval '9 days', ${alarm}),
      ('packaging', 'machine-2', '[]', now(), 'commissioning', 0, '[]', null, null, null)`
  for (let i = 0; i < 3; i++) await room.sampler.sampleOnce()
}, STACK_MS)
afterAll(() => room.close())

const rebaseline = (machine: string, body: unknown) =>
  room.app.request(`/api/machines/${machine}/rebaseline`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

test('GET /api/machines: the worst first, with what has to do with it', async () => {
  const { status, machines } = await room.json('/api/machines')
  expect(status).toBe('ok')
  expect(machines.map((m: any) => [m.machine_id, m.condition])).toEqual([
    ['machine-001', 'alarmed'],
    ['machine-2', 'commissioning'],
  ])
  expect(machines[0]).toMatchObject({ alert_id: alarm, commissioning_minutes: 1440, baseline_by: null })
  expect(machines[0].contributions[0]).toMatchObject({ sensor_id: 'vibration-sensor-001', share: 0.9 })
})

test('the page of a machine tells its condition, what has to do with it, and offers a new baseline', async () => {
  const page = await (await room.app.request('/machines/machine-001')).text()
  expect(page).toContain('Condition of the machine as a whole')
  expect(page).toContain('alarmed')
  expect(page).toMatch(/vibration-sensor-001<\/a>.*90 %/s)
  expect(page).toContain(`href="/alarms/${alarm}"`)
  expect(page).toContain('action="/api/machines/machine-001/rebaseline"')
  expect(page).toMatch(/Its baseline began <time/)
  expect(page).not.toContain('[object')
  // without scripts: the form itself
  const sent = await room.app.request('/api/machines/nothing/rebaseline', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', origin: 'http://localhost' },
    body: 'by=&reason=wear',
  })
  expect(sent.status).toBe(404)
})

test('a new baseline needs a reason and a machine', async () => {
  expect((await rebaseline('machine-001', {})).status).toBe(422)
  expect((await rebaseline('nothing', { reason: 'new bearings' })).status).toBe(404)
})

test('a new baseline ends the alarm and says who and why', async () => {
  const done = await rebaseline('machine-001', { reason: 'new bearings', by: 'anna' })
  expect([done.status, await done.json()]).toEqual([200, { machine_id: 'machine-001', machines: 1 }])
  const [row] = await room.sql`select active from alerts where alert_id = ${alarm}`
  expect(row?.active).toBe(false)
  const { journal } = await room.json(`/api/alarms/${alarm}`)
  expect(journal.filter((j: any) => j.transition === 'cleared')).toMatchObject([
    { actor: 'anna', reason: 'machine-001: a new baseline begins: new bearings' },
  ])
  const machines =
    await room.sql`select condition, state, alert_id, baseline_by, baseline_reason from machines where machine_id = 'machine-001'`
  expect([...machines]).toEqual([
    {
      condition: 'commissioning',
      state: null,
      alert_id: null,
      baseline_by: 'anna',
      baseline_reason: 'new bearings',
    },
  ])
})
