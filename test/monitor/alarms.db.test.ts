import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { STACK_MS } from '../stack.ts'
import { fillPlant, raiseAlarm } from './plant.ts'
import { openRoom, type Room } from './room.ts'

let room: Room
beforeAll(async () => {
  room = await openRoom()
  await fillPlant(room.sql)
  await room.sampler.sampleOnce()
}, STACK_MS)
afterAll(() => room.close())

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  room.app.request(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
const stored = async (id: string) => (await room.sql`select * from alerts where alert_id = ${id}`)[0]!
const transitions = async (id: string) =>
  (
    await room.sql`select transition, actor, reason from alert_journal where alert_id = ${id} order by entry`
  ).map((r) => ({ ...r }))

describe('acknowledge', () => {
  test('marks the alarm as seen, says who in the journal, and tells the outbox', async () => {
    const id = await raiseAlarm(room.sql)
    const answer = await post(`/api/alarms/${id}/acknowledge`, { by: 'ada', comment: 'fan is coming' })
    expect(await answer.json()).toEqual({ alert_id: id, changed: true })
    expect(await stored(id)).toMatchObject({
      active: true,
      acknowledged: true,
      acknowledged_by: 'ada',
      acknowledge_comment: 'fan is coming',
    })
    expect(await transitions(id)).toEqual([
      { transition: 'acknowledged', actor: 'ada', reason: 'fan is coming' },
    ])
    const [message] = await room.sql`select topic, key, payload from outbox where alert_id = ${id}`
    expect(message).toMatchObject({ topic: 'alerts', key: 'temp-sensor-001' })
    expect(message!.payload).toMatchObject({
      alert_id: id,
      state: 'acknowledged',
      by: 'ada',
      rule: { id: 'limit.temperature', version: 1 },
    })
  })
  test('a second time changes nothing and tells nobody', async () => {
    const id = await raiseAlarm(room.sql)
    await post(`/api/alarms/${id}/acknowledge`, { by: 'ada' })
    const again = await post(`/api/alarms/${id}/acknowledge`, { by: 'bob' })
    expect(await again.json()).toEqual({ alert_id: id, changed: false })
    expect((await stored(id)).acknowledged_by).toBe('ada')
    expect(await transitions(id)).toHaveLength(1)
  })
  test('many at once: only those that were named', async () => {
    const [a, b, c] = [await raiseAlarm(room.sql), await raiseAlarm(room.sql), await raiseAlarm(room.sql)]
    const unknown = crypto.randomUUID()
    const body = (await (
      await post('/api/alarms/acknowledge', { alert_ids: [a, b, unknown], by: 'ada' })
    ).json()) as any
    expect(body.acknowledged.toSorted()).toEqual([a, b].toSorted())
    expect(body.unchanged).toEqual([unknown])
    expect((await stored(c)).acknowledged).toBe(false)
  })
  test('works as a plain form, and leads back to the page', async () => {
    const id = await raiseAlarm(room.sql)
    const answer = await post(`/api/alarms/${id}/acknowledge`, 'by=ada&comment=', {
      'content-type': 'application/x-www-form-urlencoded',
      'sec-fetch-site': 'same-origin',
      referer: 'http://localhost/alarms?state=open',
    })
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/alarms?state=open'])
    expect((await stored(id)).acknowledged_by).toBe('ada')
  })
  test.each([
    ['another site by header', { 'sec-fetch-site': 'cross-site' }],
    ['a sibling site', { 'sec-fetch-site': 'same-site' }],
    ['another origin', { origin: 'https://elsewhere.example' }],
    ['a null origin', { origin: 'null' }],
  ])('refuses %s', async (_name, headers) => {
    const id = await raiseAlarm(room.sql)
    const answer = await post(
      `/api/alarms/${id}/acknowledge`,
      { by: 'eve' },
      headers as Record<string, string>,
    )
    expect(answer.status).toBe(403)
    expect((await stored(id)).acknowledged).toBe(false)
  })
  test.each([
    ['not JSON', '{', 400],
    ['an unknown field', { colour: 'red' }, 422],
    ['a name with a line break', { by: 'a\nb' }, 422],
    ['a name that is too long', { by: 'x'.repeat(65) }, 422],
    ['an empty name', { by: '' }, 422],
    ['a list', [], 422],
    ['a body that is too large', { comment: 'x'.repeat(70_000) }, 413],
  ])('refuses %s', async (_name, body, status) => {
    const id = await raiseAlarm(room.sql)
    const answer = await post(`/api/alarms/${id}/acknowledge`, body)
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect((await stored(id)).acknowledged).toBe(false)
  })
  test('an alarm that does not exist is not found; a text that is no id neither', async () => {
    expect((await post(`/api/alarms/${crypto.randomUUID()}/acknowledge`, {})).status).toBe(404)
    expect((await post('/api/alarms/1%20or%201=1/acknowledge', {})).status).toBe(404)
  })
})

describe('shelve', () => {
  test('needs a reason and an end, and ends by itself', async () => {
    const id = await raiseAlarm(room.sql)
    expect((await post(`/api/alarms/${id}/shelve`, { minutes: 15 })).status).toBe(422)
    expect((await post(`/api/alarms/${id}/shelve`, { minutes: 0, reason: 'x' })).status).toBe(422)
    expect(
      (await post(`/api/alarms/${id}/shelve`, { minutes: 15, reason: 'sensor is being changed', by: 'ada' }))
        .status,
    ).toBe(200)
    expect((await room.json(`/api/alarms/${id}`)).alarm.state).toBe('shelved')
    await room.sql`update alerts set shelved_until = now() - interval '1 second' where alert_id = ${id}`
    expect((await room.json(`/api/alarms/${id}`)).alarm.state).toBe('active_unacknowledged')
  })
  test('can be taken back', async () => {
    const id = await raiseAlarm(room.sql)
    await post(`/api/alarms/${id}/shelve`, { minutes: 15, reason: 'test', by: 'ada' })
    expect(await (await post(`/api/alarms/${id}/unshelve`, { by: 'bob' })).json()).toEqual({
      alert_id: id,
      changed: true,
    })
    expect((await transitions(id)).map((t) => [t.transition, t.actor])).toEqual([
      ['shelved', 'ada'],
      ['unshelved', 'bob'],
    ])
  })
  test('an alarm that is over and seen can’t be shelved', async () => {
    const id = await raiseAlarm(room.sql, { active: false, acknowledged: true })
    expect((await post(`/api/alarms/${id}/shelve`, { minutes: 5, reason: 'late' })).status).toBe(409)
  })
})

describe('/api/alarms', () => {
  test('pages through everything once, in either order', async () => {
    const ids: string[] = []
    for (let i = 0; i < 7; i++)
      ids.push(
        await raiseAlarm(room.sql, {
          sensor_id: 'paged',
          timestamp: new Date(1_700_000_000_000 + (i >> 1) * 1000),
        }),
      )
    for (const order of ['asc', 'desc']) {
      const seen: string[] = []
      let cursor = ''
      do {
        const body = await room.json(`/api/alarms?state=all&sensor_id=paged&limit=3&order=${order}${cursor}`)
        seen.push(...body.alarms.map((a: { alert_id: string }) => a.alert_id))
        cursor = body.next_cursor === null ? '' : `&cursor=${body.next_cursor}`
      } while (cursor !== '')
      expect(seen.toSorted()).toEqual(ids.toSorted())
    }
  })
  test('an open alarm never falls out, however old', async () => {
    const id = await raiseAlarm(room.sql, { sensor_id: 'ancient', timestamp: new Date('2001-01-01') })
    expect((await room.json('/api/alarms?sensor_id=ancient')).alarms[0].alert_id).toBe(id)
  })
  test('one alarm says why, and what happened to it', async () => {
    const id = await raiseAlarm(room.sql)
    await post(`/api/alarms/${id}/acknowledge`, { by: 'ada' })
    const body = await room.json(`/api/alarms/${id}`)
    expect(body.alarm).toMatchObject({ alert_id: id, why: { limit: 40 }, topic: 'sensor-data', offset: 123 })
    expect(body.journal.map((j: { transition: string }) => j.transition)).toEqual(['acknowledged'])
  })
  test('one alarm shows the minutes around it, in numbers and as a picture; a producer’s has none', async () => {
    // twenty readings a quarter of a minute apart, the alarm in their middle, and one long before
    await room.sql`
      insert into readings (received_at, measured_at, value, "offset", sensor_key, quality, partition, topic_key, level)
      select now(), now() + (n - 10) * interval '15 seconds', 30 + n, n, s.sensor_key, 1, 0, t.topic_key, 0
      from generate_series(0, 20) n, sensors s, topics t where s.sensor_id = 'temp-sensor-001'
      union all select now() - interval '1 hour', now() - interval '1 hour', 99, 0, s.sensor_key, 1, 0, t.topic_key, 0
      from sensors s, topics t where s.sensor_id = 'temp-sensor-001'`
    const id = await raiseAlarm(room.sql, { why: room.sql.json({ high: 40, recent: [] }) })
    const { around } = await room.json(`/api/alarms/${id}`)
    expect(around).toMatchObject({ sensor_id: 'temp-sensor-001', resolution: 'raw' })
    expect(around.points.map((p: any) => p.mean)).toEqual(Array.from({ length: 21 }, (_, n) => 30 + n))
    const page = await (await room.get(`/alarms/${id}`)).text()
    expect(page).toContain('The minutes around it')
    expect(page).toContain('<line class="limit"')
    expect(page).toMatch(/<line class="raised" x1="(299|300)\.\d"/)
    expect(page.match(/<path d="(M[^"]*)"/)?.[1]?.split('L')).toHaveLength(21)
    expect(page).toContain('30.00 to 50.00')
    const machine = await raiseAlarm(room.sql, {
      sensor_type: 'machine',
      sensor_id: 'machine-001',
      rule_id: 'machine.group',
      why: room.sql.json({ sensors: ['temp-sensor-001'] }),
    })
    expect((await room.json(`/api/alarms/${machine}`)).around.sensor_id).toBe('temp-sensor-001')
    expect(await (await room.get(`/alarms/${machine}`)).text()).toContain(
      '/alarms?state=all&amp;machine_id=machine-001',
    )
    const producer = await raiseAlarm(room.sql, { sensor_type: 'producer', sensor_id: 'plant' })
    expect((await room.json(`/api/alarms/${producer}`)).around).toBeNull()
  })
  test('one alarm says why nobody is called', async () => {
    const group = await raiseAlarm(room.sql)
    const member = await raiseAlarm(room.sql, { suppressed: 'group', group_id: group })
    expect(await (await room.get(`/alarms/${member}`)).text()).toContain(
      `nobody: part of <a href="/alarms/${group}"`,
    )
    const waiting = await raiseAlarm(room.sql, { suppressed: 'waiting', calls_at: new Date() })
    expect(await (await room.get(`/alarms/${waiting}`)).text()).toContain('in a few seconds, unless')
  })
  test('the figures of the alarm system count what was raised', async () => {
    const { kpis } = await room.json('/api/alarm-kpis')
    expect(kpis.raised).toBeGreaterThan(10)
    expect(kpis.top[0].sensor_id).toBe('temp-sensor-001')
  })
  test.each([
    'state=broken',
    'sort=sensor_value',
    'order=up',
    'severity=bad',
    'since=yesterday',
    'cursor=abc',
    'limit=501',
    'cursor=WyJ4IiwieSJd',
    'sensor_id=%00',
    `zone=${'z'.repeat(65)}`,
  ])('refuses %s with the field named', async (query) => {
    const answer = await room.get(`/api/alarms?${query}`)
    expect(answer.status).toBe(422)
    expect(((await answer.json()) as any).errors[0].field).toBe(query.split('=')[0]!)
  })
})
