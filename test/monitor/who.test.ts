import { describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { parseConfig } from '../../lib/config.ts'
import { Problem, problemResponse } from '../../lib/monitor/problem.ts'
import { guardOf } from '../../lib/monitor/serve.ts'
import { createIdentity, whoOf } from '../../lib/monitor/who/identity.ts'
import { serveLogin } from '../../lib/monitor/who/login.ts'
import { createBuckets } from '../../lib/monitor/who/rate.ts'
import { backTo, isOwnPath } from '../../lib/monitor/who/site.ts'

const TOKEN = 'a-token-of-sixteen-or-more'
const TOKENS = `viewer:look-only-0123456789, operator:ada:${TOKEN}, admin:all-of-it-0123456789`

function appWith(env: Record<string, string>) {
  const app = new Hono()
  const { guard, identity } = guardOf(parseConfig(env))
  app.use('*', guard)
  app.onError((error, c) => problemResponse(c, error as Problem))
  serveLogin(app, identity)
  app.get('*', (c) => c.json(whoOf(c)))
  return app
}
/** As a server would tell it. */
const from = (address: string) => ({ requestIP: () => ({ address }) })
const ask = (app: Hono, path: string, headers: Record<string, string> = {}, address = '127.0.0.1') =>
  app.request(path, { headers }, from(address))
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

describe('a token', () => {
  test.each([
    ['no word', undefined, 401],
    ['the token as bearer', `Bearer ${TOKEN}`, 200],
    ['the token as password of any name', basic(`somebody:${TOKEN}`), 200],
    ['another token', 'Bearer wrong', 401],
    ['the token as a name', basic(`${TOKEN}:`), 401],
    ['another scheme', `Digest ${TOKEN}`, 401],
    ['the beginning of the token', `Bearer ${TOKEN.slice(0, -1)}`, 401],
    ['two words', `Bearer ${TOKEN} ${TOKEN}`, 401],
    ['nothing after the scheme', 'Bearer', 401],
  ])('%s: %#', async (_name, authorization, status) => {
    const answer = await ask(
      appWith({ MONITORING_TOKENS: TOKENS }),
      '/api/alarms',
      authorization ? { authorization } : {},
    )
    expect(answer.status).toBe(status)
    expect(answer.headers.has('www-authenticate')).toBe(status === 401)
  })
  test('says who acts, where it has a name', async () => {
    const app = appWith({ MONITORING_TOKENS: TOKENS })
    const of = async (token: string) => (await ask(app, '/', { authorization: `Bearer ${token}` })).json()
    expect(await of(TOKEN)).toMatchObject({ role: 'operator', name: 'ada', isNamed: true })
    expect(await of('look-only-0123456789')).toMatchObject({ role: 'viewer', isNamed: false })
  })
  test('the health checks need none', async () => {
    const app = appWith({ MONITORING_TOKENS: TOKENS })
    for (const path of ['/livez', '/readyz', '/public/monitor.css', '/login'])
      expect([path, (await ask(app, path)).status]).toEqual([path, 200])
  })
  test('somebody who wants a page is led to the log-in page, and from there to the page', async () => {
    const answer = await ask(appWith({ MONITORING_TOKENS: TOKENS }), '/alarms?state=all', {
      accept: 'text/html',
    })
    expect([answer.status, answer.headers.get('location')]).toEqual([
      303,
      '/login?to=%2Falarms%3Fstate%3Dall',
    ])
  })
})

describe('a session', () => {
  const logIn = (app: Hono, token: string, headers: Record<string, string> = {}, to = '/alarms') =>
    app.request(
      '/login',
      {
        method: 'POST',
        body: new URLSearchParams({ token, to }).toString(),
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      },
      from('10.0.0.1'),
    )
  test('begins with a token, is no script’s business, ends with its time', async () => {
    let now = 1_000_000
    const identity = createIdentity({
      tokens: [{ role: 'operator', name: 'ada', token: TOKEN }],
      sessionMs: 60_000,
      proxies: [],
      clock: () => now,
    })
    const cookie = identity.logIn(TOKEN)!
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict; Max-Age=60$/)
    expect(identity.logIn('another-token-of-sixteen')).toBeNull()
    const app = new Hono()
    app.get('*', (c) => c.json(identity.of(c)))
    const who = async (text: string) =>
      (await app.request('/', { headers: { cookie: text } })).json() as Promise<unknown>
    const value = cookie.split(';')[0]!
    expect(await who(value)).toMatchObject({ name: 'ada', role: 'operator', isSession: true })
    expect(await who(`theme=dark; ${value}; x=1`)).toMatchObject({ name: 'ada' })
    const [id, end, number, signature] = value.slice('session='.length).split('.')
    for (const forged of [
      `${id}.${Number(end) + 1}.${number}.${signature}`,
      `${id}.${end}.${number}.${signature!.slice(0, -1)}`,
      `${id}.${end}.${crypto.randomUUID()}.${signature}`,
      `${'0'.repeat(16)}.${end}.${number}.${signature}`,
      '...',
      '',
    ])
      expect(await who(`session=${forged}`)).toBeNull()
    now += 60_000
    expect(await who(value)).toBeNull()
  })
  test('leads to the page that was wanted, on this site alone', async () => {
    const app = appWith({ MONITORING_TOKENS: TOKENS })
    const answer = await logIn(app, TOKEN, { origin: 'http://localhost' })
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/alarms'])
    for (const elsewhere of ['//elsewhere.example', '/\\elsewhere.example', 'https://elsewhere.example', 'x'])
      expect((await logIn(app, TOKEN, {}, elsewhere)).headers.get('location')).toBe('/')
  })
  test('a wrong token is told so, and not for ever', async () => {
    const app = appWith({ MONITORING_TOKENS: TOKENS })
    const statuses = []
    for (let i = 0; i < 12; i++) statuses.push((await logIn(app, `wrong-${i}`)).status)
    expect(statuses.slice(0, 10)).toEqual(Array(10).fill(401))
    expect(statuses.slice(10)).toEqual([429, 429])
  })
  test('another site can’t log somebody in or out', async () => {
    const app = appWith({ MONITORING_TOKENS: TOKENS })
    expect((await logIn(app, TOKEN, { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    expect((await logIn(app, TOKEN, { origin: 'https://elsewhere.example' })).status).toBe(403)
  })
  test('ends by logging out, for whoever has kept its cookie', async () => {
    const app = appWith({ MONITORING_TOKENS: TOKENS })
    const cookie = (await logIn(app, TOKEN)).headers.get('set-cookie')!.split(';')[0]!
    expect((await ask(app, '/', { cookie })).status).toBe(200)
    const out = await app.request('/logout', {
      method: 'POST',
      headers: { cookie, 'sec-fetch-site': 'same-origin' },
    })
    expect([out.status, out.headers.get('set-cookie')]).toEqual([303, expect.stringContaining('Max-Age=0')])
    expect((await ask(app, '/', { cookie })).status).toBe(401)
  })
  test('where the page came over TLS the cookie goes no other way', async () => {
    const app = appWith({ MONITORING_TOKENS: TOKENS })
    const answer = await logIn(app, TOKEN, { 'x-forwarded-proto': 'https' })
    expect(answer.headers.get('set-cookie')).toEndWith('; Secure')
  })
})

describe('a proxy that logs people in', () => {
  const app = appWith({ MONITORING_PROXY: '10.0.0.7' })
  const headers = { 'x-forwarded-user': 'ada@plant', 'x-forwarded-role': 'operator' }
  test('is believed', async () => {
    expect(await (await ask(app, '/', headers, '10.0.0.7')).json()).toMatchObject({
      name: 'ada@plant',
      role: 'operator',
    })
  })
  test('a role that nobody knows is the least one', async () => {
    const answer = await ask(app, '/', { ...headers, 'x-forwarded-role': 'root' }, '10.0.0.7')
    expect(await answer.json()).toMatchObject({ role: 'viewer' })
  })
  test('anybody else who says so is not', async () => {
    for (const address of ['10.0.0.8', '127.0.0.1'])
      expect((await ask(app, '/', headers, address)).status).toBe(401)
  })
})

test('an address may ask so often, this machine and listed peers as they like', async () => {
  const app = appWith({ MONITORING_RATE: '5', MONITORING_BURST: '5', MONITORING_TRUSTED: '10.0.0.9' })
  const refused = async (address: string) => {
    const all: number[] = []
    for (let i = 0; i < 8; i++) all.push((await ask(app, '/', {}, address)).status)
    return all.filter((s) => s === 429).length
  }
  expect(await refused('10.0.0.1')).toBeGreaterThanOrEqual(2)
  expect(await refused('::ffff:10.0.0.2')).toBeGreaterThanOrEqual(2)
  for (const free of ['127.0.0.1', '::1', '10.0.0.9']) expect(await refused(free)).toBe(0)
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

test('without tokens only names of this machine are answered: a page elsewhere can’t point its own name here', async () => {
  const app = appWith({})
  for (const host of ['localhost:5000', '127.0.0.1:5000', '[::1]:5000', 'monitor:5000', 'plant.localhost'])
    expect([host, (await ask(app, '/', { host })).status]).toEqual([host, 200])
  for (const host of ['elsewhere.example', 'localhost.elsewhere.example:5000', '1.2.3.4', ''])
    expect([host, (await ask(app, '/', { host })).status]).toEqual([host, 421])
})

describe('guardOf()', () => {
  test('an open address without a token is refused, unless somebody says so by name', () => {
    const open = { MONITORING_HOST: '0.0.0.0' }
    expect(() => guardOf(parseConfig(open))).toThrow('MONITORING_TOKENS')
    const enough: Record<string, string>[] = [
      { MONITORING_AUTH: 'off' },
      { MONITORING_TOKEN: TOKEN },
      { MONITORING_TOKENS: TOKENS },
      { MONITORING_PROXY: '10.0.0.7' },
    ]
    for (const said of enough) expect(() => guardOf(parseConfig({ ...open, ...said }))).not.toThrow()
    expect(() => guardOf(parseConfig({}))).not.toThrow()
  })
})

test('isOwnPath() knows this site', async () => {
  for (const path of ['/', '/alarms?state=all', '/#attention'])
    expect([path, isOwnPath(path)]).toEqual([path, true])
  for (const path of ['', 'x', '//x', '/\\x', '/a\\b', '/a\nb', 'https://x', '/ü'])
    expect([path, isOwnPath(path)]).toEqual([path, false])
  const app = new Hono().get('*', (c) => c.text(backTo(c)))
  const back = async (referer: string) =>
    (await app.request('http://localhost/x', { headers: { referer } })).text()
  expect(await back('http://localhost/alarms?state=all')).toBe('/alarms?state=all')
  for (const referer of ['https://elsewhere.example/a', 'x', 'http://localhost//elsewhere.example/'])
    expect(await back(referer)).toBe('/#attention')
})
