import { afterAll, beforeAll, expect, test } from 'bun:test'
import { STACK_MS } from '../stack.ts'
import { NAUGHTY, UNSTORABLE } from './naughty.ts'
import { fillPlant, raiseAlarm } from './plant.ts'
import { openRoom, type Room } from './room.ts'

interface Operation {
  parameters: { name: string; in: string; schema: Record<string, unknown> }[]
  responses: Record<string, unknown>
}

let room: Room
let paths: [path: string, method: string, operation: Operation][]
beforeAll(async () => {
  room = await openRoom()
  await fillPlant(room.sql)
  await raiseAlarm(room.sql)
  for (let i = 0; i < 6; i++) await room.sampler.sampleOnce()
  const document = await room.json('/openapi.json')
  paths = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(
    ([path, methods]) =>
      Object.entries(methods).map(([method, operation]): [string, string, Operation] => [
        path,
        method,
        operation,
      ]),
  )
}, STACK_MS)
afterAll(() => room.close())

/** Half a surrogate pair has no encoding: its three bytes, as somebody careless would send them. */
const encoded = (text: string) => (text.isWellFormed() ? encodeURIComponent(text) : 'a%ED%A0%80b')

async function placesOf(path: string): Promise<string> {
  const [alarm] = await room.sql`select alert_id from alerts limit 1`
  return path
    .replace('{alert_id}', alarm!.alert_id)
    .replace('{sensor_id}', 'temp-sensor-001')
    .replace('{incident_id}', crypto.randomUUID())
    .replace('{dead_letter_id}', '7')
    .replace('{rule_id}', 'temperature.high')
    .replace('{version}', '1')
}

test('every path answers as its own description says', async () => {
  expect(paths.length).toBeGreaterThan(25)
  for (const [path, method, operation] of paths) {
    const url = (await placesOf(path)) + (path === '/api/series' ? '?sensor_id=temp-sensor-001' : '')
    const answer = await room.app.request(url, { method: method.toUpperCase() })
    // What it answers with a body was parsed by its schema on the way: a difference would be a 500.
    expect([path, method, Object.keys(operation.responses)]).toEqual([
      path,
      method,
      expect.arrayContaining([String(answer.status)]),
    ])
    expect([path, answer.status < 500]).toEqual([path, true])
    await answer.body?.cancel()
  }
})

test('every parameter refuses nonsense by its name, and none of it is a fault of ours', async () => {
  for (const [path, method, operation] of paths) {
    if (method !== 'get') continue
    const url = await placesOf(path)
    for (const parameter of operation.parameters.filter((p) => p.in === 'query')) {
      for (const text of [
        '',
        '\0',
        '-1',
        '99999999999999999999',
        'x'.repeat(500),
        ...UNSTORABLE,
        ...NAUGHTY.filter((_, i) => i % 40 === 0),
      ]) {
        const answer = await room.get(`${url}?${parameter.name}=${encoded(text)}`)
        expect([path, parameter.name, text.slice(0, 20), answer.status < 500]).toEqual([
          path,
          parameter.name,
          text.slice(0, 20),
          true,
        ])
        await answer.body?.cancel()
      }
      const twice = await room.get(`${url}?${parameter.name}=1&${parameter.name}=2`)
      expect(twice.status).toBe(422)
      expect(((await twice.json()) as any).errors.map((e: { field: string }) => e.field)).toContain(
        parameter.name,
      )
    }
    expect((await room.get(`${url}?unheard_of=1`)).status).toBe(422)
  }
})

test('every bad name in a path is not found, or found to be nothing', async () => {
  for (const text of [...NAUGHTY, '\0', 'a\0b']) {
    for (const place of [
      '/api/alarms/',
      '/api/sensors/',
      '/api/incidents/',
      '/api/dead-letters/',
      '/alarms/',
      '/sensors/',
      '/machines/',
      '/incidents/',
      '/api/rules/',
      '/api/rule-books/',
      '/rules/',
      '/rule-books/',
      '/public/',
    ]) {
      const answer = await room.get(place + encodeURIComponent(text))
      expect([place, text, [200, 404, 422].includes(answer.status)]).toEqual([place, text, true])
    }
  }
})

test('another method is named as such', async () => {
  const answer = await room.app.request('/api/alarms', { method: 'DELETE' })
  expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET'])
})

test('a file of readings is whole, with a head, and no cell is a formula', async () => {
  await room.sql`insert into readings (measured_at, value, "offset", sensor_key, quality, partition, topic_key, level) select now(), g, g, 1, 1, 0, 1, 0 from generate_series(1, 5000) g`
  await room.sql`update sensors set machine_id = '=1+1,"x"' where sensor_key = 1`
  const csv = await (await room.get('/api/export/readings')).text()
  const lines = csv.trimEnd().split('\r\n')
  expect(lines).toHaveLength(5001)
  expect(lines[0]).toStartWith('timestamp,sensor_id,')
  expect(lines[1]).toContain(`"'=1+1,""x"""`)
  const ndjson = await (await room.get('/api/export/readings?format=ndjson')).text()
  expect(
    ndjson
      .trimEnd()
      .split('\n')
      .map((l) => JSON.parse(l).value)
      .toSorted((a: number, b: number) => a - b)
      .at(-1),
  ).toBe(5000)
})
