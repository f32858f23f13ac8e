import { timingSafeEqual } from 'node:crypto'
import type { Context, MiddlewareHandler } from 'hono'
import { Problem } from './problem.ts'

/**
 * Who may ask, and how often. A token guards everything but /livez and /readyz: as bearer token for scripts, as password
 * of any name for browsers (which then send it with pages, streams and forms alike). Each address may ask so many times a
 * second; this machine and listed peers are not counted.
 */
export interface GuardOptions {
  /** null: everybody may */
  token: string | null
  perSecond: number
  burst: number
  trusted: readonly string[]
  clock?: () => number
}

const OPEN = new Set(['/livez', '/readyz'])
/** Beyond this many addresses the one that was quiet for longest is forgotten: memory stays bounded. */
const MOST_CLIENTS = 10_000

export function guard(options: GuardOptions): MiddlewareHandler {
  const expected = options.token === null ? null : digest(options.token)
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
    if (expected !== null && !OPEN.has(c.req.path) && !isKnown(c.req.header('authorization'), expected)) {
      throw new Problem(
        401,
        'Who are you?',
        'Send the token as bearer token, or as password of any name',
        undefined,
        {
          'www-authenticate': 'Basic realm="Plant monitor", charset="UTF-8"',
        },
      )
    }
    await next()
  }
}

function isKnown(header: string | undefined, expected: Uint8Array): boolean {
  const [scheme = '', value = ''] = (header ?? '').split(' ')
  const kind = scheme.toLowerCase()
  if (kind === 'bearer') return timingSafeEqual(digest(value), expected)
  if (kind !== 'basic') return false
  const text = Buffer.from(value, 'base64').toString()
  return timingSafeEqual(digest(text.slice(text.indexOf(':') + 1)), expected)
}

/** Equal lengths, whatever was sent: comparing takes the same time. */
function digest(text: string): Uint8Array {
  return new Bun.CryptoHasher('sha256').update(text).digest()
}

/** Token buckets: `burst` at once, refilled at `perSecond`. */
export function createBuckets(
  options: Pick<GuardOptions, 'perSecond' | 'burst' | 'clock'>,
): (client: string) => boolean {
  const clock = options.clock ?? Date.now
  const buckets = new Map<string, { left: number; at: number }>()
  return (client) => {
    const now = clock()
    const known = buckets.get(client)
    const left = known
      ? Math.min(options.burst, known.left + ((now - known.at) / 1000) * options.perSecond)
      : options.burst
    buckets.delete(client)
    buckets.set(client, { left: left < 1 ? left : left - 1, at: now })
    if (buckets.size > MOST_CLIENTS) {
      const oldest = buckets.keys().next()
      if (!oldest.done) buckets.delete(oldest.value)
    }
    return left >= 1
  }
}

/** Address of the client; null for this machine (and for tests, which have no server). */
export function clientOf(c: Context): string | null {
  const server = c.env as { requestIP?: (request: Request) => { address: string } | null } | undefined
  const address = server?.requestIP?.(c.req.raw)?.address.replace(/^::ffff:/, '') ?? null
  return address === null || address === '::1' || address.startsWith('127.') ? null : address
}
