import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Context } from 'hono'
import { MONITOR_ROLES, type MonitorRole, type Token } from '../../kinds.ts'
import { Problem } from '../problem.ts'
import { addressOf } from './address.ts'

/** Somebody who may ask. Roles include those before them: an operator may all that a viewer may. */
export interface Who {
  role: MonitorRole
  /** stands in journals where `isNamed`; else a person says a name with each act */
  name: string
  isNamed: boolean
  /** the browser sends it by itself: such a request must show that it comes from our own page */
  isSession: boolean
}

/**
 * Who somebody is: by a token (bearer, or password of any name), by the cookie of a browser that logged in with one, or
 * by what a listed proxy says. Tokens are kept as digests and compared in constant time.
 *
 * A session is a signed statement, kept by the browser alone: which token, until when, and a number of its own. Its key
 * is made of the token, so a token that is taken away ends its sessions, and a restart of the monitor does not.
 */
export interface Identity {
  /** null: nobody that we know */
  of(c: Context): Who | null
  /** the cookie of a new session; null where the token is not known */
  logIn(token: string): string | null
  logOut(c: Context): void
  isNeeded: boolean
}

export interface IdentityOptions {
  /** none: everybody may do everything */
  tokens: readonly Token[]
  sessionMs: number
  /** addresses whose x-forwarded-user and x-forwarded-role are believed */
  proxies: readonly string[]
  clock?: () => number
}

const COOKIE = 'session'
const EVERYBODY: Who = { role: 'admin', name: 'operator', isNamed: false, isSession: false }
/** Sessions that were ended before their time; beyond this many the oldest are forgotten. */
const MOST_ENDED = 10_000

export function createIdentity(options: IdentityOptions): Identity {
  const clock = options.clock ?? Date.now
  const known = options.tokens.map(({ role, name, token }) => {
    const key = digest(token)
    return { key, id: digest(key).toString('hex').slice(0, 16), role, name, isNamed: name !== role }
  })
  const ended = new Map<string, number>()
  const isNeeded = known.length > 0 || options.proxies.length > 0

  function ofToken(token: string) {
    const given = digest(token)
    return known.filter(({ key }) => timingSafeEqual(key, given))[0] ?? null
  }

  /** `ID.END.NUMBER.SIGNATURE` */
  function ofCookie(cookie: string) {
    const [id = '', end = '', number = '', signature = ''] = cookie.split('.')
    const holder = known.find((k) => k.id === id)
    if (!holder || !(Number(end) > clock()) || ended.has(number)) return null
    const expected = Buffer.from(sign(holder.key, `${id}.${end}.${number}`))
    const given = Buffer.from(signature)
    return given.length === expected.length && timingSafeEqual(given, expected) ? holder : null
  }

  return {
    isNeeded,
    of(c) {
      if (!isNeeded) return EVERYBODY
      const proxied = ofProxy(c, options.proxies)
      if (proxied) return proxied
      const token = tokenOf(c.req.header('authorization'))
      const cookie = token === null ? cookieOf(c) : null
      const found = token !== null ? ofToken(token) : cookie !== null ? ofCookie(cookie) : null
      return (
        found && { role: found.role, name: found.name, isNamed: found.isNamed, isSession: token === null }
      )
    },
    logIn(token) {
      const holder = ofToken(token)
      if (!holder) return null
      const statement = `${holder.id}.${clock() + options.sessionMs}.${crypto.randomUUID()}`
      return `${COOKIE}=${statement}.${sign(holder.key, statement)}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${Math.floor(options.sessionMs / 1000)}`
    },
    logOut(c) {
      const [, end = '', number = ''] = cookieOf(c)?.split('.') ?? []
      for (const [one, until] of ended) if (until < clock() || ended.size >= MOST_ENDED) ended.delete(one)
      if (number !== '') ended.set(number, Number(end))
    },
  }
}

/** Ends the cookie in the browser. */
export const NO_SESSION = `${COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0`

/** Who sent this request, as the guard found out. */
export function whoOf(c: Context): Who {
  return (c.get('who') as Who | undefined) ?? EVERYBODY
}

export function mayBe(who: Who, role: MonitorRole): boolean {
  return MONITOR_ROLES.indexOf(who.role) >= MONITOR_ROLES.indexOf(role)
}

/** Throws a 403 that names the role where this one does not have it. */
export function requireRole(c: Context, role: MonitorRole): void {
  const who = whoOf(c)
  if (mayBe(who, role)) return
  throw new Problem(403, 'Not allowed', `This needs the role ${role}; this token has the role ${who.role}`)
}

/** Who stands in the journal: the name that the token is for, else the one that was given. */
export function actorOf(c: Context, given: string): string {
  const who = whoOf(c)
  return who.isNamed ? who.name : given
}

function ofProxy(c: Context, proxies: readonly string[]): Who | null {
  const address = addressOf(c)
  if (address === null || !proxies.includes(address)) return null
  const name = c.req.header('x-forwarded-user')
  const role = MONITOR_ROLES.find((r) => r === c.req.header('x-forwarded-role'))
  if (!name || !/^[\w.@ -]{1,64}$/.test(name)) return null
  return { role: role ?? 'viewer', name, isNamed: true, isSession: true }
}

function tokenOf(header: string | undefined): string | null {
  const [, scheme = '', value = ''] = /^(bearer|basic) +(\S+)$/i.exec(header ?? '') ?? []
  if (scheme === '') return header === undefined ? null : ''
  if (scheme.toLowerCase() === 'bearer') return value
  const text = Buffer.from(value, 'base64').toString()
  return text.includes(':') ? text.slice(text.indexOf(':') + 1) : ''
}

function cookieOf(c: Context): string | null {
  return (
    new RegExp(`(?:^|; *)${COOKIE}=([\\w.-]{1,300})(?:;|$)`).exec(c.req.header('cookie') ?? '')?.[1] ?? null
  )
}

function sign(key: Uint8Array, text: string): string {
  return createHmac('sha256', key).update(`session ${text}`).digest('base64url')
}

/** Equal lengths, whatever was sent: comparing takes the same time. */
function digest(text: string | Uint8Array): Buffer {
  return Buffer.from(new Bun.CryptoHasher('sha256').update(text).digest())
}
