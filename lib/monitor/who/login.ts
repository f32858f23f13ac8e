import type { Context, Hono } from 'hono'
import { z } from 'zod'
import { parseQuery, Problem } from '../problem.ts'
import { loginPage } from '../page/login.ts'
import { clientOf } from './address.ts'
import { NO_SESSION, whoOf, type Identity } from './identity.ts'
import { createBuckets } from './rate.ts'
import { isOwnPath, refuseOtherSites } from './site.ts'

/** Ten wrong tokens at once, then one every five seconds, for each address; this machine too. */
const WRONG = { perSecond: 0.2, burst: 10 }
const MOST_BYTES = 4096
const NO_STORE = { 'cache-control': 'no-store' }

/** The log-in page and its two acts: plain forms, so that they work without scripts. */
export function serveLogin(app: Hono, identity: Identity): void {
  const allows = createBuckets(WRONG)
  const place = z.object({ to: z.string().max(2000).optional() })

  app.get('/login', (c) => {
    const { to } = parseQuery(c, place)
    return c.html(loginPage({ to: own(to), wrong: false }), 200, NO_STORE)
  })
  app.post('/login', async (c) => {
    refuseOtherSites(c)
    const form = await smallForm(c)
    const to = own(form.get('to') ?? undefined)
    const cookie = identity.logIn(form.get('token') ?? '')
    if (cookie === null) {
      if (!allows(clientOf(c) ?? 'this machine'))
        throw new Problem(429, 'Too many wrong tokens', 'Wait a minute', undefined, { 'retry-after': '60' })
      return c.html(loginPage({ to, wrong: true }), 401, NO_STORE)
    }
    const isSafe = new URL(c.req.url).protocol === 'https:' || c.req.header('x-forwarded-proto') === 'https'
    c.header('set-cookie', isSafe ? `${cookie}; Secure` : cookie)
    return c.redirect(to, 303)
  })
  app.post('/logout', (c) => {
    refuseOtherSites(c)
    if (whoOf(c).isSession) identity.logOut(c)
    c.header('set-cookie', NO_SESSION)
    return c.redirect('/login', 303)
  })
}

function own(path: string | undefined): string {
  return path !== undefined && isOwnPath(path) ? path : '/'
}

async function smallForm(c: Context): Promise<URLSearchParams> {
  const text = await c.req.text()
  if (text.length > MOST_BYTES)
    throw new Problem(413, 'Too large', `A form here has at most ${MOST_BYTES} bytes`)
  return new URLSearchParams(text)
}
