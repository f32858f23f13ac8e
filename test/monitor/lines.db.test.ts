import { afterAll, beforeAll, expect, test } from 'bun:test'
import { STACK_MS } from '../stack.ts'
import { openBrowser } from '../../chaos/act/picture.ts'
import { axeFaults, openPage } from './browser.ts'
import { NAUGHTY } from './naughty.ts'
import { fillPlant } from './plant.ts'
import { openRoom, type Room } from './room.ts'

let room: Room
const points = `{${Array.from({ length: 101 }, (_, i) => (i === 42 ? 3 : 0)).join(',')}}`

beforeAll(async () => {
  room = await openRoom()
  await fillPlant(room.sql)
}, STACK_MS)
afterAll(() => room.close())

async function fill(soda: string, round: number, count: number): Promise<void> {
  await room.sql`
    insert into production_lines (factory_id, sensor_id, soda_name, round, tier, total, count, readings, first_at, last_at,
      value, points, run_id)
    values ('F1', 'S1-1', ${soda}, ${round}, '1.1', 10, ${count}, 3, now() - interval '9 seconds', now() - interval '2 seconds',
      42, ${points}::text::bigint[], 'run-a')`
}

async function see(): Promise<void> {
  for (let i = 0; i < 2; i++) await room.sampler.sampleOnce()
}

test('a plant without lines has no section for them, and an empty answer', async () => {
  await see()
  expect(await (await room.get('/')).text()).not.toContain('Production lines')
  expect(await room.json('/api/production-lines')).toMatchObject({ status: 'ok', lines: [], sensors: [] })
})

test('lines are on the overview, each with a page of its own, in JSON and in the metrics', async () => {
  await fill('Coca-Cola', 1, 10)
  await fill('Coca-Cola', 2, 3)
  await room.sql`
    insert into sensor_heartbeats (sensor_id, run_id, tier, counted, status, since, last_at, up_micros, outages) values
      ('S1-1', 'run-a', '1.1', 8, 'active', now() - interval '11 seconds', now() - interval '1 second', 10000000, 0),
      ('S1-2', 'run-a', '2.1', 8, 'active', now() - interval '61 seconds', now() - interval '50 seconds', 11000000, 0)`
  await see()
  const overview = await (await room.get('/')).text()
  expect(overview).toContain('Production lines')
  expect(overview).toContain('3 of 10 items')
  expect(overview).toContain('href="/lines/F1/S1-1/Coca-Cola"')
  expect(overview).toContain('1 silent')

  const { lines, sensors, definitions } = await room.json('/api/production-lines')
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({
    soda_name: 'Coca-Cola',
    round: 2,
    state: 'running',
    count: 3,
    total: 10,
    quality: 1,
  })
  expect(lines[0].pace_per_minute).toBeCloseTo(60 / 3.5, 1)
  expect(lines[0].performance).toBeCloseTo(1, 2)
  expect(lines[0].oee).toBeCloseTo(1, 1)
  expect(Date.parse(lines[0].projected_end)).toBeGreaterThan(Date.now())
  expect(sensors.map((s: { sensor_id: string; status: string }) => [s.sensor_id, s.status])).toEqual([
    ['S1-1', 'alive'],
    ['S1-2', 'silent'],
  ])
  expect(Object.keys(definitions)).toEqual(['availability', 'performance', 'quality', 'oee'])
  expect((await room.json('/api/production-lines?factory_id=F9')).lines).toEqual([])

  const one = await room.json('/api/production-lines/F1/S1-1/Coca-Cola')
  expect(one.rounds.map((r: { round: number; state: string }) => [r.round, r.state])).toEqual([
    [2, 'running'],
    [1, 'complete'],
  ])
  const page = await (await room.get('/lines/F1/S1-1/Coca-Cola')).text()
  expect(page).toContain('data-view="line:F1/S1-1/Coca-Cola"')
  for (const words of ['Coca-Cola, F1', '3 of 10', 'Projected end', 'Availability', definitions.quality])
    expect(page).toContain(words)

  const metrics = await (await room.get('/metrics')).text()
  expect(metrics).toContain('factory_line_items{factory="F1",sensor="S1-1",soda="Coca-Cola"} 3')
  expect(metrics).toContain('factory_line_target_items{factory="F1",sensor="S1-1",soda="Coca-Cola"} 10')
  expect(metrics).toMatch(/factory_line_oee_ratio\{[^}]*figure="quality"\} 1\n/)
  expect(metrics).toContain('factory_line_sensor_up{sensor="S1-2"} 0')
})

test('people can read it: axe finds nothing, a phone shows it whole, and a count that rises is there without reloading', async () => {
  const server = Bun.serve({ port: 0, idleTimeout: 30, development: false, fetch: room.app.fetch })
  const browser = await openBrowser()
  try {
    for (const path of ['/', '/lines/F1/S1-1/Coca-Cola']) {
      const { page, troubles, close } = await openPage(browser, `http://127.0.0.1:${server.port}${path}`, {
        viewport: { width: 390, height: 844 },
        reducedMotion: 'reduce',
      })
      expect(await axeFaults(page)).toEqual([])
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390)
      expect(await page.locator('progress').first().getAttribute('max')).toBe('10')
      await room.sql`update production_lines set count = count + 1, last_at = now() where round = 2`
      const [row] = await room.sql`select count from production_lines where round = 2`
      await see()
      room.streams.tick()
      await page.getByText(`${row?.count} of 10`).first().waitFor()
      expect(troubles).toEqual([])
      await close()
    }
  } finally {
    await browser.close()
    await server.stop(true)
  }
}, 60_000)

test('two hundred factories are seen whole', async () => {
  await room.sql`
    insert into sensor_heartbeats (sensor_id, run_id, tier, counted, status, since, last_at, up_micros, outages)
    select 'S' || f || '-' || s, 'run-b', '1.1', 8, 'active', now() - interval '61 seconds',
      now() - case when f = 3 then interval '50 seconds' else interval '1 second' end, 11000000, 0
    from generate_series(1, 200) f, generate_series(1, 4) s`
  await room.sql`
    insert into production_lines (factory_id, sensor_id, soda_name, round, tier, total, count, readings, first_at, last_at,
      value, points, run_id)
    select 'F' || f, 'S' || f || '-' || s, 'Cola', 1, '1.1', 10, 3, 3, now() - interval '9 seconds',
      now() - interval '2 seconds', 42, ${points}::text::bigint[], 'run-b'
    from generate_series(1, 200) f, generate_series(1, 4) s`
  await see()
  const { lines, sensors } = await room.json('/api/production-lines?factory_id=F3')
  expect(lines.map((l: { state: string }) => l.state)).toEqual(Array(4).fill('silent'))
  expect(lines.every((l: { availability: number | null }) => l.availability !== null)).toBe(true)
  expect(sensors).toHaveLength(4)
  expect((await room.get('/lines/F99/S99-4/Cola')).status).toBe(200)
  const overview = await (await room.get('/')).text()
  expect(overview).toContain('801 lines, of which 500 are listed')
  expect(overview.match(/<progress /g)).toHaveLength(500)
  await room.sql`delete from production_lines where run_id = 'run-b'`
  await room.sql`delete from sensor_heartbeats where run_id = 'run-b'`
})

test('a name that is no line is not found; any name is only text', async () => {
  expect((await room.get('/lines/F1/S1-1/Nothing')).status).toBe(404)
  expect((await room.get('/api/production-lines/F1/S1-1/Nothing')).status).toBe(404)
  for (const text of NAUGHTY) {
    const answer = await room.get(`/lines/F1/S1-1/${encodeURIComponent(text)}`)
    expect([text, answer.status]).toEqual([text, 404])
  }
  const name = '<b>x</b> & "/"'
  await fill(name, 1, 3)
  await see()
  const page = await room.get(`/lines/F1/S1-1/${encodeURIComponent(name)}`)
  expect(page.status).toBe(200)
  expect(await page.text()).toContain('&lt;b&gt;x&lt;/b&gt; &amp; &quot;/&quot;, F1')
})
