import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { STACK_MS } from '../stack.ts'
import { openBrowser, openPage, type Watched } from './browser.ts'
import { NAUGHTY } from './naughty.ts'
import { fillPlant, raiseAlarm, tellRebalance } from './plant.ts'
import { openRoom, type Room } from './room.ts'

const AXE = readFileSync(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')

let room: Room
let browser: Browser
let server: Bun.Server<undefined>
let beat: Timer
const stop = new AbortController()
const opened: Watched[] = []

beforeAll(async () => {
  room = await openRoom()
  await fillPlant(room.sql)
  await tellRebalance(room.sql)
  server = Bun.serve({ port: 0, idleTimeout: 30, development: false, fetch: room.app.fetch })
  void room.sampler.run(stop.signal)
  // The plant's programs go on reporting, as they would.
  beat = setInterval(
    () =>
      void room.sql`update consumer_health set last_heartbeat = now() where status = 'active'`.catch(
        () => {},
      ),
    1000,
  )
  browser = await openBrowser()
}, STACK_MS)
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})
afterAll(async () => {
  clearInterval(beat)
  stop.abort()
  await browser?.close()
  await server?.stop(true)
  await room?.close()
})

async function open(path: string, options: BrowserContextOptions = {}): Promise<Watched> {
  const one = await openPage(browser, new URL(path, server.url).href, options)
  opened.push(one)
  return one
}
/** An alarm that the monitor knows of. */
async function raise(over: Record<string, unknown> = {}): Promise<string> {
  const id = await raiseAlarm(room.sql, over)
  await room.sql`select pg_notify('alerts', '')`
  const until = Date.now() + 5000
  while (!room.sampler.current().alerts.data?.list.some((a) => a.alert_id === id)) {
    if (Date.now() > until) throw new Error('the monitor did not see the alarm')
    await Bun.sleep(20)
  }
  return id
}
const rowOf = (page: Page, alarm: string) => page.locator(`#alarm-${alarm}`)
const acknowledgedBy = async (alarm: string) =>
  (await room.sql`select acknowledged_by from alerts where alert_id = ${alarm}`)[0]!.acknowledged_by

describe('the overview', () => {
  test('is complete at first paint, without scripts', async () => {
    const alarm = await raise()
    const { page } = await open('/', { javaScriptEnabled: false })
    expect(await page.locator('h2').allTextContents()).toEqual(
      expect.arrayContaining([
        'Attention',
        'Flow',
        'Consumers',
        'Partitions',
        'Producers',
        'Sensors',
        'Trends',
        'System',
      ]),
    )
    expect(await page.locator('#sensors .sensor').count()).toBe(15)
    expect(await page.locator('#consumers tbody tr').count()).toBe(3)
    expect(await rowOf(page, alarm).textContent()).toContain('42.48')
  })

  test('shows an alarm within two seconds, without being loaded again', async () => {
    const { page, troubles } = await open('/')
    await page.evaluate(() => void (document.title = 'the same page'))
    await page.locator('#stale').waitFor({ state: 'hidden' })
    const alarm = await raiseAlarm(room.sql, { sensor_id: 'vibration-sensor-001' })
    await room.sql`select pg_notify('alerts', '')`
    await rowOf(page, alarm).waitFor({ timeout: 2000 })
    expect(await page.title()).toBe('the same page')
    expect(troubles).toEqual([])
  })

  test('goes grey and says so when the stream dies, and comes back by itself', async () => {
    const own = Bun.serve({ port: 0, development: false, fetch: room.app.fetch })
    const one = await openPage(browser, own.url.href)
    opened.push(one)
    const banner = one.page.locator('#stale')
    await one.page.waitForTimeout(500)
    const port = own.port
    await own.stop(true)
    await banner.filter({ hasText: 'STALE' }).waitFor({ timeout: 14_000 })
    const again = Bun.serve({ port, development: false, fetch: room.app.fetch })
    await banner.waitFor({ state: 'hidden', timeout: 14_000 })
    await again.stop(true)
  }, 40_000)

  test('asks again and again where streams do not pass', async () => {
    const { page } = await open('/')
    await page.route('**/events**', (route) => route.abort())
    // The stream that is open already goes on until the page is loaded again.
    await page.reload({ waitUntil: 'domcontentloaded' })
    const alarm = await raise()
    await rowOf(page, alarm).waitFor({ timeout: 15_000 })
    await page.locator('#stale').waitFor({ state: 'hidden' })
  }, 30_000)

  test('holds still while paused, and catches up', async () => {
    const { page } = await open('/')
    await page.getByRole('button', { name: 'Pause' }).click()
    const alarm = await raise()
    await room.sql`select pg_notify('alerts', '')`
    await page
      .locator('#stale')
      .filter({ hasText: /Paused: [2-9]/ })
      .waitFor()
    expect(await rowOf(page, alarm).count()).toBe(0)
    await page.getByRole('button', { name: 'Go on' }).click()
    await rowOf(page, alarm).waitFor()
  })

  test('tells the story of a consumer that died', async () => {
    const { page } = await open('/')
    await room.sql`update consumer_health set status = 'stopped', last_heartbeat = now() where consumer_id = 'consumer-3'`
    await page.locator('#incident').filter({ hasText: 'consumer-3 was stopped' }).waitFor({ timeout: 3000 })
    await page.locator('#consumer-consumer-3').filter({ hasText: 'stopped' }).waitFor()
    await room.sql`update consumer_health set status = 'active', last_heartbeat = now() where consumer_id = 'consumer-3'`
  })

  test.each([360, 640, 1280])('fits a window of %i pixels', async (width) => {
    await raiseAlarm(room.sql)
    const { page } = await open('/', { viewport: { width, height: 800 } })
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width)
  })
})

describe('acknowledge', () => {
  test('by mouse: the row says so without a reload', async () => {
    const alarm = await raise()
    const { page, troubles } = await open('/')
    await rowOf(page, alarm).getByRole('button').click()
    await page.waitForFunction(
      (id) => document.getElementById(`alarm-${id}`)?.classList.contains('acked'),
      alarm,
    )
    expect(await acknowledgedBy(alarm)).toBe('operator')
    expect(troubles).toEqual([])
  })
  test('by keyboard alone', async () => {
    const alarm = await raise({ severity: 'critical', timestamp: new Date(Date.now() + 1000) })
    const { page } = await open('/')
    await page.keyboard.press('j')
    await page.keyboard.press('a')
    await page.waitForFunction(
      (id) => document.getElementById(`alarm-${id}`)?.classList.contains('acked'),
      alarm,
    )
    expect(await acknowledgedBy(alarm)).toBe('operator')
  })
  test('without scripts, and back on the page', async () => {
    const alarm = await raise()
    const { page } = await open('/', { javaScriptEnabled: false })
    await rowOf(page, alarm).getByRole('button').click()
    await page.waitForURL(server.url.href)
    expect(await acknowledgedBy(alarm)).toBe('operator')
  })
  test('with a name and a comment, on the alarm’s own page', async () => {
    const alarm = await raise()
    const { page } = await open(`/alarms/${alarm}`)
    await page.getByLabel('Your name').fill('ada')
    await page.getByLabel('Comment').fill('<b>fan</b> is coming')
    await page.getByRole('button', { name: 'Acknowledge' }).click()
    await page.locator('#journal').filter({ hasText: 'acknowledged by ada: <b>fan</b> is coming' }).waitFor()
  })
})

describe('bad names', () => {
  test('stay text everywhere: no dialog, no refused script, no element made of data', async () => {
    for (const [i, text] of NAUGHTY.entries()) {
      const name = text.slice(0, 64)
      await raiseAlarm(room.sql, {
        sensor_id: `naughty-${i}`,
        description: text,
        anomaly_type: text,
        rule_id: text,
        location: room.sql.json({ machine_id: text, zone: text }),
        why: room.sql.json({ [text]: text }),
        acknowledged: i % 2 === 0,
        acknowledged_by: text,
        shelve_reason: text,
      })
      await room.sql`insert into alert_journal (alert_id, sensor_id, rule_id, transition, at, actor, reason) select alert_id, sensor_id, rule_id, 'noted', now(), ${text}, ${text} from alerts where sensor_id = ${`naughty-${i}`}`
      const [sensor] =
        await room.sql`insert into sensors (sensor_id, sensor_type, unit, factory_section, machine_id, zone) values (${`odd-${i}`}, 'temperature', ${text.slice(0, 16)}, ${name}, ${name}, ${name}) returning sensor_key`
      await room.sql`insert into sensor_latest (sensor_id, sensor_key, measured_at, value, level, quality, flags, topic_key, partition, "offset", readings) values (${`odd-${i}`}, ${sensor!.sensor_key}, now(), 1, 0, 1, 0, 1, 0, 1, 1)`
      await room.sql`insert into system_events (source, event, severity, message) values (${text}, 'noted', 'warning', ${text})`
      await room.sql`insert into dead_letters (cluster_id, topic, partition, "offset", reason, message, detected_by) values ('c', ${text}, 0, ${i}, ${text}, ${text}, ${text})`
    }
    await room.sql`update consumer_health set status = 'paused', paused_reason = ${NAUGHTY[3]!}, last_error = ${NAUGHTY[0]!} where consumer_id = 'consumer-2'`
    for (let i = 0; i < 6; i++) await room.sampler.sampleOnce()
    const one = await room.sql`select alert_id from alerts where sensor_id = 'naughty-1'`
    const paths = [
      '/',
      '/alarms?state=all&limit=500',
      '/sensors',
      '/sensors?page=2',
      `/alarms/${one[0]!.alert_id}`,
      `/machines/${encodeURIComponent(NAUGHTY[0]!)}`,
      `/sensors/odd-0`,
      '/dead-letters',
      '/incidents',
      '/docs',
    ]
    for (const path of paths) {
      const { page, troubles } = await open(path)
      await page.waitForTimeout(300)
      // The page again, by the other way: from the stream's tree instead of HTML.
      const found = await page.evaluate(() => ({
        made: document.querySelectorAll(
          '#page script, #page img, #page iframe, #page style, #page link, #page base, #page math, #page object',
        ).length,
        armed: [...document.querySelectorAll('#page *')].filter((e) =>
          [...e.attributes].some(
            (a) =>
              a.name.startsWith('on') ||
              (/^javascript:/i.test(a.value.trim()) && (a.name === 'href' || a.name === 'action')),
          ),
        ).length,
        root: document.querySelectorAll('#page').length,
      }))
      expect([path, found, troubles]).toEqual([path, { made: 0, armed: 0, root: 1 }, []])
    }
    await room.sql`update consumer_health set status = 'active', paused_reason = null where consumer_id = 'consumer-2'`
  }, 90_000)
})

describe('everybody can read it', () => {
  const pages = [
    '/',
    '/alarms?state=all',
    '/sensors/temp-sensor-001',
    '/machines/machine-001',
    '/incidents',
    '/docs',
    '/?view=wall',
  ] as const
  test.each(pages.flatMap((path) => (['light', 'dark'] as const).map((scheme) => [path, scheme] as const)))(
    '%s in %s: axe finds nothing',
    async (path, colorScheme) => {
      const { page } = await open(path, { colorScheme, reducedMotion: 'reduce' })
      await page.waitForTimeout(300)
      await page.evaluate(AXE)
      const found = await page.evaluate(async () => {
        const { violations } = await (globalThis as any).axe.run(document, { resultTypes: ['violations'] })
        return violations.map(
          (v: any) =>
            `${v.id}: ${v.nodes
              .slice(0, 3)
              .map((n: any) => n.html)
              .join(' | ')}`,
        )
      })
      expect(found).toEqual([])
    },
  )
})
