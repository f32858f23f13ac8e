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

/** What no such parameter may be, by its own description: beyond every bound, of another kind, far too long. */
function badValuesOf({ schema }: Operation['parameters'][number]): string[] {
  const { type, format, minimum, maximum, maxLength, minLength, pattern } = schema as {
    [name: string]: string | number | undefined
  }
  const huge = ['9'.repeat(400), 'x'.repeat(10_000)]
  if (type === 'integer')
    return [
      ...huge,
      ...[Number(minimum) - 1, Number(maximum) + 1, `${minimum}.5`].map(String),
      ...['', 'one', '-', 'NaN', 'Infinity', '1,000', '5;', '[1]', "1' or '1'='1"],
    ]
  if (schema.enum)
    return [...huge, '', 'nothing-of-these', `${(schema.enum as string[])[0]} `, '*', 'constructor']
  if (format === 'date-time')
    return [...huge, '', 'now', '0', '2026-02-30T00:00:00Z', '2026-01-31', '2026-01-31T25:00:00Z', '-1']
  const bad = [...huge, 'x'.repeat(Number(maxLength ?? 400) + 1), 'a\0b', 'a\nb']
  if (minLength !== undefined || String(pattern).includes('{1,')) bad.push('')
  if (String(pattern).startsWith('^[A-Za-z0-9_-]'))
    bad.push('0', 'AAAA', btoa('[1,2]'), btoa('["x","y","z"'), '%')
  return bad
}

test('every parameter that is out of range, of another kind, huge or empty is refused by its name', async () => {
  let tried = 0
  for (const [path, method, operation] of paths) {
    const url = await placesOf(path)
    for (const parameter of operation.parameters.filter((p) => p.in === 'query')) {
      expect([path, parameter.name, Object.keys(parameter.schema).length > 0]).toEqual([
        path,
        parameter.name,
        true,
      ])
      for (const text of badValuesOf(parameter)) {
        const answer = await room.app.request(`${url}?${parameter.name}=${encoded(text)}`, {
          method: method.toUpperCase(),
        })
        const fields =
          answer.status === 422 ? ((await answer.json()) as any).errors.map((e: any) => e.field) : []
        const shown = [path, parameter.name, text.slice(0, 40)]
        expect([...shown, answer.status, fields.includes(parameter.name)]).toEqual([...shown, 422, true])
        tried++
      }
    }
    for (const query of ['unheard_of=1', '__proto__=1', `${'n'.repeat(5000)}=1`, '=1', '%00=1', 'a[b]=1']) {
      const answer = await room.app.request(`${url}?${query}`, { method: method.toUpperCase() })
      expect([path, method, query.slice(0, 20), answer.status]).toEqual([
        path,
        method,
        query.slice(0, 20),
        422,
      ])
      const { errors } = (await answer.json()) as { errors: { field: string }[] }
      expect(errors.map((e) => e.field)).toContain(decodeURIComponent(query.slice(0, -2)).slice(0, 100))
    }
  }
  expect(tried).toBeGreaterThan(400)
})

test('ranges that contradict themselves are refused by the field that is wrong', async () => {
  const [early, late] = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z']
  for (const [path, field] of [
    [`/api/series?sensor_id=temp-sensor-001&from=${late}&to=${early}`, 'from'],
    [`/api/series?sensor_id=temp-sensor-001&from=1900-01-01T00:00:00Z&to=${early}`, 'from'],
    [`/api/series?sensor_id=temp-sensor-001&from=${early}&last=1h`, 'last'],
    [`/api/flow?from=${late}&to=${early}`, 'from'],
    [`/api/export/readings?from=${late}&to=${early}`, 'from'],
    [`/api/export/alarms?from=${late}&to=${early}`, 'from'],
    [`/api/alarms?since=${late}&until=${early}`, 'since'],
  ] as const) {
    const answer = await room.get(path)
    const { errors = [] } = (await answer.json()) as { errors?: { field: string }[] }
    expect([path, answer.status, errors.map((e) => e.field)]).toEqual([path, 422, [field]])
  }
})

test('pages, too, refuse what they do not know, and say so to a person', async () => {
  for (const path of [
    '/',
    '/alarms',
    '/sensors',
    '/rules',
    '/incidents',
    '/dead-letters',
    '/docs',
    '/login',
    '/metrics',
    '/livez',
    '/readyz',
    '/openapi.json',
    '/events',
    '/tree',
  ]) {
    const answer = await room.get(`${path}?unheard_of=1`, { accept: 'text/html' })
    expect([path, answer.status]).toEqual([path, 422])
    await answer.body?.cancel()
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
  const own = await room.get('/api/alarms/acknowledge')
  expect([own.status, own.headers.get('allow')]).toEqual([405, 'POST'])
  const one = await room.app.request(await placesOf('/api/alarms/{alert_id}'), { method: 'PUT' })
  expect([one.status, one.headers.get('allow')]).toEqual([405, 'GET'])
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
