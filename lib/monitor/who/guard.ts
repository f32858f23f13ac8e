import type { MiddlewareHandler } from 'hono'
import { Problem } from '../problem.ts'
import { clientOf } from './address.ts'
import type { Identity } from './identity.ts'
import { createBuckets, type RateOptions } from './rate.ts'

/** Who may ask, and how often. */
export interface GuardOptions extends RateOptions {
  identity: Identity
  /** addresses that are not counted, beside this machine */
  trusted: readonly string[]
  /** only names of this machine may stand in `host`: a name of elsewhere that leads here is somebody's trick */
  isLocal: boolean
}

/** What everybody may: health checks, and what the log-in page is made of. */
const OPEN = /^\/(livez|readyz|login|public\/[\w.-]+)$/
const OWN_NAME = /^(localhost|[\w-]+\.localhost|127\.[\d.]+|\[::1\]|[\w-]+)(:\d+)?$/i

export function guard(options: GuardOptions): MiddlewareHandler {
  const { identity } = options
  const allows = createBuckets(options)
  return async (c, next) => {
    const client = clientOf(c)
    if (client !== null && !options.trusted.includes(client) && !allows(client)) {
      throw new Problem(
        429,
        'Too many requests',
        `More than ${options.perSecond} requests a second: wait`,
        undefined,
        { 'retry-after': '1' },
      )
    }
    if (options.isLocal && !OWN_NAME.test(c.req.header('host') ?? 'localhost'))
      throw new Problem(421, 'Not here', 'This monitor is for its own machine: ask for localhost')
    const who = identity.of(c)
    if (who) c.set('who', who)
    else if (!OPEN.test(c.req.path)) {
      const isPage = c.req.method === 'GET' && (c.req.header('accept') ?? '').includes('text/html')
      const path = new URL(c.req.url)
      if (isPage) return c.redirect(`/login?to=${encodeURIComponent(path.pathname + path.search)}`, 303)
      throw new Problem(
        401,
        'Who are you?',
        'Send a token as bearer token, or as password of any name; or log in at /login',
        undefined,
        { 'www-authenticate': 'Bearer realm="Plant monitor"' },
      )
    }
    await next()
  }
}
