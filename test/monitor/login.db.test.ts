import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import type { Browser } from 'playwright-core'
import { STACK_MS } from '../stack.ts'
import { openBrowser } from '../../chaos/act/picture.ts'
import { openPage, type Watched } from './browser.ts'
import { fillPlant, raiseAlarm } from './plant.ts'
import { openRoom, type Room } from './room.ts'

/** A monitor that asks who is there, before a real browser. */
const TOKENS = { viewer: 'viewer-token-0123456789', operator: 'operator-token-0123456789' }
let room: Room
let browser: Browser
let server: Bun.Server<undefined>
const stop = new AbortController()
const opened: Watched[] = []

beforeAll(async () => {
  room = await openRoom({
    MONITORING_TOKENS: `viewer:${TOKENS.viewer},operator:ada:${TOKENS.operator}`,
  })
  await fillPlant(room.sql)
  server = Bun.serve({ port: 0, idleTimeout: 30, development: false, fetch: room.app.fetch })
  void room.sampler.run(stop.signal)
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

async function logIn(path: string, token: string): Promise<Watched> {
  const one = await openPage(browser, new URL(path, server.url).href)
  opened.push(one)
  expect(new URL(one.page.url()).pathname).toBe('/login')
  await one.page.getByLabel('Token').fill(token)
  await one.page.getByRole('button', { name: 'Log in' }).click()
  return one
}

test('an operator logs in, is on the page that was wanted, acts under the own name, and logs out', async () => {
  const alarm = await raiseAlarm(room.sql)
  const { page, troubles } = await logIn(`/alarms/${alarm}`, TOKENS.operator)
  await page.waitForURL(new URL(`/alarms/${alarm}`, server.url).href)
  const [cookie] = await page.context().cookies()
  expect(cookie).toMatchObject({ name: 'session', httpOnly: true, sameSite: 'Strict' })
  await page.getByLabel('Your name').first().fill('somebody else')
  await page.getByRole('button', { name: 'Acknowledge' }).click()
  await page.locator('#journal').filter({ hasText: 'acknowledged by ada' }).waitFor()
  await page.goto(server.url.href)
  await page.locator('#stale').waitFor({ state: 'hidden' })
  await page.getByRole('button', { name: 'Log out ada' }).click()
  await page.waitForURL(/\/login$/)
  await page.goto(server.url.href)
  expect(new URL(page.url()).pathname).toBe('/login')
  expect(troubles).toEqual([])
}, 30_000)

test('a viewer sees everything live, is offered no act, and is refused one', async () => {
  const { page } = await logIn('/', TOKENS.viewer)
  await page.waitForURL(server.url.href)
  const alarm = await raiseAlarm(room.sql)
  await room.sql`select pg_notify('alerts', '')`
  await page.locator(`#alarm-${alarm}`).waitFor()
  expect(await page.locator(`#alarm-${alarm} button`).isVisible()).toBe(false)
  const status = await page.evaluate(
    async (id) => (await fetch(`/api/alarms/${id}/acknowledge`, { method: 'POST' })).status,
    alarm,
  )
  expect(status).toBe(403)
}, 30_000)

test('a wrong token is told so', async () => {
  const { page } = await logIn('/', 'nobody-has-this-token')
  await page.getByText('Nobody has that token').waitFor()
  expect(await page.context().cookies()).toEqual([])
}, 30_000)
