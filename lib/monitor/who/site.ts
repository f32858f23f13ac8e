import type { Context } from 'hono'
import { Problem } from '../problem.ts'
import { whoOf } from './identity.ts'

/**
 * A page of another site must not act through a person's browser. Browsers say where a request comes from; scripts
 * say nothing and pass, unless they come with a session, which only browsers have.
 */
export function refuseOtherSites(c: Context): void {
  const site = c.req.header('sec-fetch-site')
  if (site !== undefined) {
    if (site === 'same-origin' || site === 'none') return
    throw new Problem(403, 'Refused', `A request from another site: sec-fetch-site is ${site.slice(0, 40)}`)
  }
  const origin = c.req.header('origin')
  if (origin === undefined) {
    if (!whoOf(c).isSession) return
    throw new Problem(
      403,
      'Refused',
      'A session acts from our own pages: sec-fetch-site and origin are missing',
    )
  }
  if (URL.canParse(origin) && new URL(origin).host === new URL(c.req.url).host) return
  throw new Problem(403, 'Refused', 'A request from another site: origin and host differ')
}

/** Where a form without scripts returns to: the page that it stood on, on this site only. */
export function backTo(c: Context): string {
  const referer = c.req.header('referer')
  if (referer && URL.canParse(referer)) {
    const url = new URL(referer)
    if (url.host === new URL(c.req.url).host && isOwnPath(url.pathname)) return url.pathname + url.search
  }
  return '/#attention'
}

/** A path of this site: `//elsewhere` and `/\elsewhere` are not. */
export function isOwnPath(path: string): boolean {
  return /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(path)
}

export function isForm(c: Context): boolean {
  return c.req.header('content-type')?.startsWith('application/x-www-form-urlencoded') ?? false
}
