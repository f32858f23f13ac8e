import type { Context, Hono } from 'hono'
import { z } from 'zod'
import type { MonitorRole } from '../kinds.ts'
import { fieldErrors, parseQuery, Problem } from './problem.ts'
import { requireRole } from './who/identity.ts'
import { backTo, isForm, refuseOtherSites } from './who/site.ts'

/**
 * One path of the API, told once: its parameters, its answer and what it does. The routes, their checks and
 * /openapi.json are all made from this.
 */
export interface Endpoint<P, Q, B, A> {
  method: 'get' | 'post'
  /** who may: without it whoever may look */
  role?: MonitorRole
  /** `:name` stands for a parameter */
  path: string
  tag: string
  summary: string
  params?: z.ZodType<P>
  query?: z.ZodObject<z.ZodRawShape, z.core.$strip> & z.ZodType<Q>
  body?: z.ZodType<B>
  /** default 64 KiB */
  maxBodyBytes?: number
  answer: z.ZodType<A>
  /** content types of answers that are streams instead of JSON */
  produces?: string[]
  handle(input: { params: P; query: Q; body: B; c: Context }): A | Response | Promise<A | Response>
}

// biome-ignore lint: the list holds endpoints of all shapes; each is typed where it is written
export type AnyEndpoint = Endpoint<never, never, never, unknown>

export function endpoint<P = unknown, Q = unknown, B = unknown, A = unknown>(
  e: Endpoint<P, Q, B, A>,
): AnyEndpoint {
  return e as unknown as AnyEndpoint
}

const NO_PARAMETERS = z.object({})
/** 64 KiB: a thousand ids fit. */
const MAX_BODY_BYTES = 64 * 1024

export function register(app: Hono, e: AnyEndpoint, checkAnswers: boolean): void {
  app.on(e.method.toUpperCase(), e.path, async (c: Context) => {
    requireRole(c, e.role ?? 'viewer')
    const query = parseQuery(c, e.query ?? NO_PARAMETERS)
    const params = e.params ? parseParams(e.params, c.req.param()) : {}
    const body =
      e.method === 'post' ? await parseBody(c, e.body, e.maxBodyBytes ?? MAX_BODY_BYTES) : undefined
    const answer = await e.handle({ params: params as never, query: query as never, body: body as never, c })
    if (answer instanceof Response) return answer
    if (checkAnswers) e.answer.parse(answer)
    if (e.method === 'post' && isForm(c)) return c.redirect(backTo(c), 303)
    return json(c, answer)
  })
}

export function json(c: Context, value: unknown): Response {
  const body = JSON.stringify(value)
  const etag = `W/"${Bun.hash.wyhash(body).toString(36)}"`
  const headers = { etag, 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' }
  if (c.req.header('if-none-match') === etag) return c.body(null, 304, headers)
  return c.body(body, 200, headers)
}

/** A parameter that does not fit names nothing: 404, without telling why. */
function parseParams(shape: z.ZodType, given: Record<string, string>): unknown {
  const parsed = shape.safeParse(given)
  if (!parsed.success) throw new Problem(404, 'Not found', 'Nothing has that name')
  return parsed.data
}

async function parseBody(c: Context, shape: z.ZodType | undefined, most: number): Promise<unknown> {
  refuseOtherSites(c)
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase() ?? ''
  const text = await c.req.text()
  if (Buffer.byteLength(text) > most)
    throw new Problem(413, 'Too large', `A body here has at most ${most} bytes`)
  let given: unknown
  if (type === 'application/json' || (type === '' && text === '')) {
    try {
      given = text === '' ? {} : JSON.parse(text)
    } catch {
      throw new Problem(400, 'Body not understood', 'The body is not JSON')
    }
  } else if (type === 'application/x-www-form-urlencoded') {
    const form = new URLSearchParams(text)
    const names = [...form.keys()]
    const repeated = names.find((name, i) => names.indexOf(name) !== i)
    if (repeated)
      throw new Problem(422, 'Body not understood', undefined, [
        { field: repeated, message: 'must be given once' },
      ])
    given = Object.fromEntries([...form].filter(([, value]) => value !== ''))
  } else {
    throw new Problem(415, 'Content type not understood', 'Send application/json or a form')
  }
  if (!shape) return undefined
  const parsed = shape.safeParse(given)
  if (!parsed.success) throw new Problem(422, 'Body not understood', undefined, fieldErrors(parsed.error))
  return parsed.data
}
