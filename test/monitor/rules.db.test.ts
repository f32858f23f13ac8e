import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createBooks, seedBook } from '../../lib/alarm/books.ts'
import { parseConfig } from '../../lib/config.ts'
import { STACK_MS } from '../stack.ts'
import { fillPlant } from './plant.ts'
import { openRoom, type Room } from './room.ts'

let room: Room
beforeAll(async () => {
  room = await openRoom()
  await fillPlant(room.sql)
  await room.sampler.sampleOnce()
}, STACK_MS)
afterAll(() => room.close())

const post = (path: string, body: unknown) =>
  room.app.request(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
const newest = async () => (await room.json('/api/rules')) as any
const ruleOf = (book: any, id: string) => book.rules.find((r: any) => r.id === id)

test('before anybody made a version the file’s rules are shown, and can be changed into the first', async () => {
  const before = await newest()
  expect(before).toMatchObject({ status: 'ok', version: 0, author: 'file', created_at: null, in_force: [] })
  expect(ruleOf(before, 'temperature.high')).toMatchObject({ limit: 35, enabled: true, kind: 'limit' })
  const answer = await post('/api/rules/temperature.high', {
    limit: 36,
    reason: 'a warm summer',
    by: 'ada',
    based_on: 0,
  })
  expect(answer.status).toBe(200)
  const { version } = (await answer.json()) as any
  expect(await newest()).toMatchObject({ version, author: 'ada', reason: 'a warm summer' })
  expect(ruleOf(await newest(), 'temperature.high').limit).toBe(36)
})

describe('POST /api/rules/:rule_id', () => {
  test('a limit, on and off: each a version of its own, with who and why', async () => {
    await post('/api/rules/temperature.high', { limit: 37.5, deadband: 2, reason: 'x', by: 'ada' })
    await post('/api/rules/temperature.high', { enabled: false, reason: 'being tried', by: 'bob' })
    const one = await room.json('/api/rules/temperature.high')
    expect(one.rule).toMatchObject({ limit: 37.5, deadband: 2, enabled: false })
    expect(one.history.slice(0, 2)).toMatchObject([
      { author: 'bob', reason: 'being tried', rule: { enabled: false } },
      { author: 'ada', rule: { limit: 37.5, enabled: true } },
    ])
    expect(one.history.map((h: any) => h.version)).toEqual(
      one.history.map((h: any) => h.version).toSorted((a: number, b: number) => b - a),
    )
  })
  test('a consumer hears of it at once, without a restart', async () => {
    const stop = new AbortController()
    const books = createBooks({ sql: room.sql })
    const following = books.follow(stop.signal)
    const { version } = (await (
      await post('/api/rules/energy.high', { limit: 155, reason: 'heard?' })
    ).json()) as any
    const until = Date.now() + 4000
    while (books.latest().version < version) {
      if (Date.now() > until) throw new Error('the new book was not heard of within 4 s')
      await Bun.sleep(10)
    }
    const rule = books.latest().book.rules.find((r) => r.id === 'energy.high')
    expect(rule).toMatchObject({ limit: 155 })
    stop.abort()
    await following
  })
  test('the same form works without scripts, and leads back', async () => {
    const answer = await room.app.request('/api/rules/humidity.high', {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'sec-fetch-site': 'same-origin',
        referer: 'http://localhost/rules/humidity.high',
      },
      body: 'limit=61.5&reason=rain&by=ada&enabled=true',
    })
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/rules/humidity.high'])
    expect(ruleOf(await newest(), 'humidity.high').limit).toBe(61.5)
  })
  test('who looked at an older version changes nothing', async () => {
    const { version } = await newest()
    const first = await post('/api/rules/pressure.high', { limit: 1041, reason: 'x', based_on: version })
    expect(first.status).toBe(200)
    const second = await post('/api/rules/pressure.high', { limit: 1042, reason: 'y', based_on: version })
    expect(second.status).toBe(409)
    expect(ruleOf(await newest(), 'pressure.high').limit).toBe(1041)
  })
  test.each([
    ['no reason', { limit: 30 }, 'reason'],
    ['nothing to change', { reason: 'x' }, 'limit'],
    ['a limit that is no number', { limit: 'warm', reason: 'x' }, 'limit'],
    ['no limit at all', { limit: null, reason: 'x' }, 'limit'],
    ['an empty limit', { limit: ' ', reason: 'x' }, 'limit'],
    ['a list in place of a limit', { limit: [5], reason: 'x' }, 'limit'],
    ['yes in place of a limit', { limit: true, reason: 'x' }, 'limit'],
    ['an endless limit', { limit: 'Infinity', reason: 'x' }, 'limit'],
    ['a field that its kind has not', { threshold: 3, reason: 'x' }, 'temperature.high: rules.'],
    ['a negative deadband', { deadband: -1, reason: 'x' }, 'temperature.high: rules.'],
    ['another field', { anomaly_type: 'x', reason: 'x' }, 'anomaly_type'],
    ['a severity that nobody knows', { severity: 'loud', reason: 'x' }, 'severity'],
  ])('refuses %s with the field named', async (_what, body, field) => {
    const before = (await newest()).version
    const answer = await post('/api/rules/temperature.high', body)
    expect(answer.status).toBe(422)
    expect(((await answer.json()) as any).errors[0].field).toStartWith(field)
    expect((await newest()).version).toBe(before)
  })
  test('a rule that is not there is not found', async () => {
    expect((await post('/api/rules/nothing.here', { limit: 1, reason: 'x' })).status).toBe(404)
    expect((await room.get('/api/rules/nothing.here')).status).toBe(404)
    expect((await room.get('/api/rules/NOTHING')).status).toBe(404)
  })
})

describe('POST /api/rule-books', () => {
  const limit = { id: 'a', kind: 'limit', side: 'high', limit: 1, severity: 'low', anomaly_type: 'x' }
  test('a whole book, as an object or as its text; an older one can be brought back', async () => {
    const old = (await newest()).version
    const made = await post('/api/rule-books', { book: { rules: [limit] }, reason: 'a new plant', by: 'ada' })
    expect(made.status).toBe(200)
    expect((await newest()).rules.map((r: any) => r.id)).toEqual(['a'])
    const { rule_book } = await room.json(`/api/rule-books/${old}`)
    const back = await post('/api/rule-books', {
      book: JSON.stringify(rule_book.book),
      reason: `version ${old} again`,
    })
    expect(back.status).toBe(200)
    expect((await newest()).rules.length).toBeGreaterThan(30)
    const { rule_books } = await room.json('/api/rule-books?limit=2')
    expect(rule_books.map((b: any) => b.reason)).toEqual([`version ${old} again`, 'a new plant'])
  })
  test('every fault of it is told, with the id of the rule', async () => {
    const answer = await post('/api/rule-books', {
      book: { rules: [limit, { ...limit, limit: 'x' }, { ...limit, id: 'b', kind: 'guess' }] },
      reason: 'x',
    })
    expect(answer.status).toBe(422)
    const { errors } = (await answer.json()) as any
    expect(errors.map((e: any) => e.field)).toEqual(
      expect.arrayContaining(['a: rules.1.limit', 'b: rules.2.kind']),
    )
  })
  test.each([
    ['NUL', 'a: rules.0.title', { title: 'a\u0000b' }],
    ['half a character', 'a: rules.0.response', { response: 'a\ud800' }],
    ['NUL in a topic', 'a: rules.0.applies.topics.0', { applies: { topics: ['a\u0000'] } }],
    ['half a type', 'a: rules.0.applies.sensor_types.0', { applies: { sensor_types: ['\udfff'] } }],
    ['NUL in a machine', 'a: rules.0.applies.machine_ids.0', { applies: { machine_ids: ['\u0000'] } }],
  ])('text that can’t be stored is refused by its field: %s', async (_what, field, more) => {
    const answer = await post('/api/rule-books', { book: { rules: [{ ...limit, ...more }] }, reason: 'x' })
    expect(answer.status).toBe(422)
    expect(((await answer.json()) as any).errors[0].field).toBe(field)
  })
  test('what is no JSON is refused by its field', async () => {
    const answer = await post('/api/rule-books', { book: '{', reason: 'x' })
    expect(((await answer.json()) as any).errors[0].field).toBe('book')
  })
  test('versions page through all of them once', async () => {
    const seen: number[] = []
    let cursor = ''
    do {
      const body = await room.json(`/api/rule-books?limit=3${cursor}`)
      seen.push(...body.rule_books.map((b: any) => b.version))
      cursor = body.next_cursor === null ? '' : `&cursor=${body.next_cursor}`
    } while (cursor !== '')
    const [row] = await room.sql`select count(*)::int as count from rule_books`
    expect(seen).toHaveLength(row!.count)
    expect(seen).toEqual(seen.toSorted((a, b) => b - a))
  })
})

test('the pages show what is in force, its past, and a whole version', async () => {
  await seedBook(room.sql, parseConfig({ TEMPERATURE_WARNING_THRESHOLD: '33' }))
  const list = await (await room.get('/rules')).text()
  expect(list).toContain('temperature.high')
  expect(list).toContain('above 33')
  expect(list.length).toBeLessThan(60_000)
  const one = await (await room.get('/rules/temperature.high')).text()
  expect(one).toContain('action="/api/rules/temperature.high"')
  expect(one).toContain('a warm summer')
  const { version } = await newest()
  expect(await (await room.get(`/rule-books/${version}`)).text()).toContain('Apply as the newest version')
  for (const path of ['/rules/nothing.here', '/rule-books/0', '/rule-books/x', '/rule-books/99999'])
    expect([path, (await room.get(path)).status]).toEqual([path, 404])
})
