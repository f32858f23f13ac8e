import { describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { parseConfig } from '../../lib/config.ts'
import { createBuckets, guard } from '../../lib/monitor/guard.ts'
import { Problem, problemResponse } from '../../lib/monitor/problem.ts'
import { guardOf } from '../../lib/monitor/serve.ts'

const TOKEN = 'a-token-of-sixteen-or-more'

function appWith(token: string | null) {
  const app = new Hono()
  app.use('*', guard({ token, perSecond: 5, burst: 5, trusted: ['10.0.0.9'] }))
  app.onError((error, c) => problemResponse(c, error as Problem))
  app.get('*', (c) => c.text('in'))
  return app
}
/** As a server would tell it. */
const from = (address: string) => ({ requestIP: () => ({ address }) })
const ask = (app: Hono, path: string, authorization?: string, address = '127.0.0.1') =>
  app.request(path, { headers: authorization ? { authorization } : {} }, from(address))
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

describe('guard()', () => {
  test.each([
    ['no word', undefined, 401],
    ['the token as bearer', `Bearer ${TOKEN}`, 200],
    ['the token as password of any name', basic(`ada:${TOKEN}`), 200],
    ['another token', 'Bearer wrong', 401],
    ['the token as a name', basic(`${TOKEN}:`), 401],
    ['another scheme', `Digest ${TOKEN}`, 401],
    ['the beginning of the token', `Bearer ${TOKEN.slice(0, -1)}`, 401],
  ])('%s: %#', async (_name, header, status) => {
    const answer = await ask(appWith(TOKEN), '/api/alarms', header)
    expect(answer.status).toBe(status)
    expect(answer.headers.has('www-authenticate')).toBe(status === 401)
  })
  test('leaves the health checks open', async () => {
    for (const path of ['/livez', '/readyz']) expect((await ask(appWith(TOKEN), path)).status).toBe(200)
  })
  test('limits an address, not this machine and not a listed peer', async () => {
    const app = appWith(null)
    const statuses = async (address: string) => {
      const all: number[] = []
      for (let i = 0; i < 8; i++) all.push((await ask(app, '/', undefined, address)).status)
      return all.filter((s) => s === 429).length
    }
    expect(await statuses('10.0.0.1')).toBeGreaterThanOrEqual(2)
    expect(await statuses('::ffff:10.0.0.2')).toBeGreaterThanOrEqual(2)
    for (const free of ['127.0.0.1', '::1', '10.0.0.9']) expect(await statuses(free)).toBe(0)
  })
})

test('createBuckets() refills with time, up to the burst', () => {
  let now = 0
  const allows = createBuckets({ perSecond: 2, burst: 3, clock: () => now })
  const taken = () => Array.from({ length: 10 }, () => allows('a')).filter(Boolean).length
  expect(taken()).toBe(3)
  now += 1000
  expect(taken()).toBe(2)
  now += 60_000
  expect(taken()).toBe(3)
})

describe('guardOf()', () => {
  test('an open address without a token is refused, unless somebody says so by name', () => {
    expect(() => guardOf(parseConfig({ MONITORING_HOST: '0.0.0.0' }))).toThrow('MONITORING_TOKEN')
    expect(() => guardOf(parseConfig({ MONITORING_HOST: '0.0.0.0', MONITORING_AUTH: 'off' }))).not.toThrow()
    expect(() => guardOf(parseConfig({ MONITORING_HOST: '0.0.0.0', MONITORING_TOKEN: TOKEN }))).not.toThrow()
    expect(() => guardOf(parseConfig({}))).not.toThrow()
  })
})
