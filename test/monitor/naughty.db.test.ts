import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import type { Browser } from 'playwright-core'
import { sensorId } from '../../lib/reading.ts'
import { STACK_MS } from '../stack.ts'
import { openBrowser } from '../../chaos/act/picture.ts'
import { openPage, type Watched } from './browser.ts'
import { NAUGHTY, UNSTORABLE } from './naughty.ts'
import { fillPlant } from './plant.ts'
import { openRoom, type Room } from './room.ts'

/** Every naughty text as id (where ids allow it), name, comment and reason, before a real browser. */
let room: Room
let browser: Browser
let server: Bun.Server<undefined>
const stop = new AbortController()
const opened: Watched[] = []

beforeAll(async () => {
  room = await openRoom()
  await fillPlant(room.sql)
  await fillWithNonsense()
  server = Bun.serve({ port: 0, idleTimeout: 30, development: false, fetch: room.app.fetch })
  void room.sampler.run(stop.signal)
  for (let i = 0; i < 3; i++) await room.sampler.sampleOnce()
  browser = await openBrowser()
}, STACK_MS)
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})
afterAll(async () => {
  stop.abort()
  await browser?.close()
  await server?.stop(true)
  await room?.close()
})

async function fillWithNonsense(): Promise<void> {
  const { sql } = room
  const list = JSON.stringify(
    NAUGHTY.map((text, i) => ({ i, text, id: sensorId.safeParse(text).success ? text : `odd-${i}` })),
  )
  const rows = sql`jsonb_to_recordset(${list}::text::jsonb) as n (i integer, text text, id text)`
  await sql`
    insert into sensors (sensor_id, sensor_type, unit, factory_section, machine_id, zone)
    select id, 'temperature', left(text, 16), left(text, 64), left(text, 64), left(text, 64) from ${rows}`
  await sql`
    insert into sensor_latest (sensor_id, sensor_key, measured_at, value, level, quality, flags, topic_key, partition, "offset", readings)
    select n.id, s.sensor_key, now(), 1, 0, 1, 0, 1, 0, 1, 1 from ${rows} join sensors s on s.sensor_id = n.id`
  await sql`
    insert into alerts (alert_id, "timestamp", sensor_id, sensor_type, anomaly_type, severity, sensor_value, sensor_unit,
      sensor_alert_level, location, detected_by, description, rule_id, rule_version, why, topic, partition, "offset",
      acknowledged, acknowledged_by, acknowledge_comment, shelved_by, shelve_reason)
    select gen_random_uuid(), now() - make_interval(secs => i), id, 'temperature', text, 'critical', 1, left(text, 16),
      'critical', jsonb_build_object('machine_id', text, 'zone', text), text, text, text, 1, jsonb_build_object(text, text),
      'sensor-data', 0, i, i % 2 = 0, text, text, text, text
    from ${rows}`
  await sql`
    insert into alert_journal (alert_id, sensor_id, rule_id, transition, at, actor, reason)
    select a.alert_id, a.sensor_id, a.rule_id, 'noted', now(), a.description, a.description from alerts a`
  await sql`insert into system_events (source, event, severity, message) select text, 'noted', 'warning', text from ${rows}`
  await sql`
    insert into dead_letters (cluster_id, topic, partition, "offset", reason, message, detected_by)
    select 'c', text, 0, i, text, text, text from ${rows}`
  await sql`insert into out_of_service (sensor_id, by, reason) select id, text, text from ${rows} where i % 3 = 0`
  await sql`
    update consumer_health set status = 'paused', paused_reason = ${NAUGHTY[0]!}, last_error = ${NAUGHTY[1]!}, host = ${NAUGHTY[2]!}
    where consumer_id = 'consumer-2'`
}

/** Opens it and looks: what stands there, by either way (HTML, or the tree that the stream sends), is text. */
async function expectOnlyText(one: Watched, path: string): Promise<void> {
  await one.page.goto(new URL(path, server.url).href, { waitUntil: 'domcontentloaded' })
  const found = await one.page.evaluate(() => ({
    made: document.querySelectorAll(
      'body script, body img, body iframe, body style, body link, body base, body math, body object, body embed, body meta, body video, body audio',
    ).length,
    armed: [...document.querySelectorAll('body *')].filter((e) =>
      [...e.attributes].some(
        (a) =>
          a.name.startsWith('on') ||
          // charts are drawn by our own script
          (a.name === 'style' && e.closest('[data-island]') === null) ||
          ((a.name === 'href' || a.name === 'action') && !/^[/#?](?![/\\])/.test(a.value)),
      ),
    ).length,
    roots: document.querySelectorAll('#content').length,
  }))
  expect([path, found, one.troubles]).toEqual([path, { made: 0, armed: 0, roots: 1 }, []])
}

async function watch(): Promise<Watched> {
  const one = await openPage(browser, new URL('/livez', server.url).href)
  opened.push(one)
  return one
}

test('there are a thousand of them, all different', () => {
  expect(new Set(NAUGHTY).size).toBe(NAUGHTY.length)
  expect(NAUGHTY.length).toBeGreaterThan(1000)
  expect(NAUGHTY.filter((text) => sensorId.safeParse(text).success).length).toBeGreaterThan(50)
})

test('in lists every one stays text: no dialog, no refused script, no element made of data', async () => {
  const one = await watch()
  await expectOnlyText(one, '/')
  // The page again from the stream's tree, which another reason makes it ask for.
  await one.page.evaluate(() => document.getElementById('page')?.replaceChildren())
  await one.page.waitForTimeout(1500)
  expect(one.troubles).toEqual([])
  const pages = Math.ceil((NAUGHTY.length + 15) / 60)
  for (let i = 1; i <= pages; i++) await expectOnlyText(one, `/sensors?page=${i}`)
  let next: string | null = '/alarms?state=all&limit=250'
  for (let i = 0; next !== null && i < 10; i++) {
    await expectOnlyText(one, next)
    next = await one.page.evaluate(
      () =>
        document
          .querySelector('#alarms a[href*="cursor="], a[href^="/alarms?"][href*="cursor="]')
          ?.getAttribute('href') ?? null,
    )
  }
  for (const path of ['/dead-letters', '/incidents', '/rules', '/docs', '/?view=wall'])
    await expectOnlyText(one, path)
}, 120_000)

test('on pages of their own: an alarm, a sensor, a machine', async () => {
  const one = await watch()
  const alarms =
    await room.sql`select alert_id, sensor_id, location ->> 'machine_id' as machine from alerts order by "offset"`
  for (const [i, alarm] of alarms.entries()) {
    const path = [
      `/alarms/${alarm.alert_id}`,
      `/sensors/${encodeURIComponent(alarm.sensor_id)}`,
      `/machines/${encodeURIComponent(alarm.machine)}`,
    ][i % 3]!
    if (i % 12 < 3) await expectOnlyText(one, path)
  }
}, 240_000)

test('as a query or a path that somebody was sent as a link', async () => {
  const one = await watch()
  for (const [i, text] of NAUGHTY.entries()) {
    const t = encodeURIComponent(text)
    const path = [
      `/alarms?sensor_id=${t}`,
      `/alarms?rule_id=${t}&state=all`,
      `/dead-letters?reason=${t}`,
      `/rules/${t}`,
      `/?view=${t}`,
      `/login?to=${t}`,
      `/nowhere/${t}`,
      `/alarms?${t}=1`,
    ][i % 8]!
    if (i % 4 === 0 || i % 8 === 5) await expectOnlyText(one, path)
  }
}, 240_000)

test('what no table can hold is refused or replaced, and is no fault of ours', async () => {
  const [alarm] = await room.sql`select alert_id from alerts where not acknowledged limit 1`
  for (const text of UNSTORABLE) {
    for (const body of [{ by: text }, { comment: text }]) {
      const answer = await room.app.request(`/api/alarms/${alarm!.alert_id}/acknowledge`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      expect([JSON.stringify(text), answer.status]).toEqual([JSON.stringify(text), 422])
    }
  }
})
