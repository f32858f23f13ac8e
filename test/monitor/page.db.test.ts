import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { STACK_MS } from '../stack.ts'
import { openBrowser } from '../../chaos/act/picture.ts'
import { axeFaults, openPage, type Watched } from './browser.ts'
import { fillPlant, raiseAlarm, tellRebalance } from './plant.ts'
import { openRoom, type Room } from './room.ts'

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

describe('acts beyond acknowledging, without scripts', () => {
  test('a rule gets another limit', async () => {
    const { page } = await open('/rules/temperature.high', { javaScriptEnabled: false })
    await page.getByLabel('limit').fill('36.5')
    const form = page.locator('form').filter({ hasText: 'Change' })
    await form.getByLabel('Reason').fill('a warm summer')
    await form.getByLabel('Your name').fill('ada')
    await form.getByRole('button').click()
    await page.locator('#history').filter({ hasText: 'above 36.5' }).waitFor()
    expect(await page.locator('#history').textContent()).toContain('by ada')
    await page.getByRole('button', { name: 'Change' }).click()
    // no reason was given: the browser itself says so, and nothing is sent
    expect(new URL(page.url()).pathname).toBe('/rules/temperature.high')
  }, 30_000)
  test('a sensor is taken out of service and returned', async () => {
    const { page } = await open('/sensors/pressure-sensor-001', { javaScriptEnabled: false })
    await page.getByLabel('Reason').fill('calibration')
    await page.getByRole('button', { name: 'Take out of service' }).click()
    const until = Date.now() + 8000
    while (!(await page.locator('#service').textContent())?.includes('calibration')) {
      if (Date.now() > until) throw new Error('the page did not say that it is out of service')
      await page.reload()
    }
    await page.getByRole('button', { name: 'Return to service' }).click()
    const [row] = await room.sql`select count(*)::int as count from out_of_service`
    expect(row!.count).toBe(0)
  }, 30_000)
  test('what was refused is a page that says why and leads back', async () => {
    const { page } = await open('/rules/temperature.high', { javaScriptEnabled: false })
    await page.getByLabel('deadband').fill('-1')
    const form = page.locator('form').filter({ hasText: 'Change' })
    await form.getByLabel('Reason').fill('x')
    await form.getByRole('button').click()
    expect(await page.locator('h1').textContent()).toBe('Rule book not understood')
    expect(await page.locator('li').textContent()).toContain('deadband')
    await page.getByRole('link', { name: 'Back' }).click()
    expect(new URL(page.url()).pathname).toBe('/rules/temperature.high')
  }, 30_000)
})

describe('everybody can read it', () => {
  test('in forced colours every state has a shape, a word and a border, and nothing is lost', async () => {
    const alarm = await raise()
    const { page, troubles } = await open('/', { forcedColors: 'active' })
    const found = await page.evaluate((id) => {
      const row = document.getElementById(`alarm-${id}`)
      const status = row?.querySelector('.status')
      const tile = document.querySelector('.sensor')
      return {
        forced: matchMedia('(forced-colors: active)').matches,
        shape: status?.querySelector('.shape')?.textContent,
        word: status?.textContent?.includes('critical'),
        unseen: row?.textContent?.includes('UNACK'),
        border: tile ? getComputedStyle(tile).borderStyle !== 'none' : false,
        mark: getComputedStyle(document.querySelector('svg.bar .mark') ?? document.body).fill,
      }
    }, alarm)
    expect(found).toMatchObject({ forced: true, shape: '■', word: true, unseen: true, border: true })
    expect(found.mark).not.toBe('none')
    expect(troubles).toEqual([])
  })

  const pages = [
    '/',
    '/alarms?state=all',
    '/sensors/temp-sensor-001',
    '/rules',
    '/rules/temperature.high',
    '/login',
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
      expect(await axeFaults(page)).toEqual([])
    },
    30_000, // axe looks at every element of a large page; how fast it does is nobody's promise
  )
})
