import type { Context, Hono } from 'hono'
import { z } from 'zod'
import { fieldErrors, parseQuery, Problem } from './problem.ts'

/**
 * One path of the API, told once: its parameters, its answer and what it does. The routes, their checks and
 * /openapi.json are all made from this.
 */
export interface Endpoint<P, Q, B, A> {
  method: 'get' | 'post'
  /** `:name` stands for a parameter */
  path: string
  tag: string
  summary: string
  params?: z.ZodType<P>
  query?: z.ZodObject<z.ZodRawShape, z.core.$strip> & z.ZodType<Q>
  body?: z.ZodType<B>
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
    const query = parseQuery(c, e.query ?? NO_PARAMETERS)
    const params = e.params ? parseParams(e.params, c.req.param()) : {}
    const body = e.method === 'post' ? await parseBody(c, e.body) : undefined
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

async function parseBody(c: Context, shape: z.ZodType | undefined): Promise<unknown> {
  refuseOtherSites(c)
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase() ?? ''
  const text = await c.req.text()
  if (text.length > MAX_BODY_BYTES)
    throw new Problem(413, 'Too large', `A body has at most ${MAX_BODY_BYTES} bytes`)
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

/** A page of another site must not act through a person's browser. Scripts send neither header and pass. */
function refuseOtherSites(c: Context): void {
  const site = c.req.header('sec-fetch-site')
  if (site !== undefined) {
    if (site === 'same-origin' || site === 'none') return
    throw new Problem(403, 'Refused', `A request from another site: sec-fetch-site is ${site.slice(0, 40)}`)
  }
  const origin = c.req.header('origin')
  if (origin === undefined) return
  if (URL.canParse(origin) && new URL(origin).host === new URL(c.req.url).host) return
  throw new Problem(403, 'Refused', 'A request from another site: origin and host differ')
}

function isForm(c: Context): boolean {
  return c.req.header('content-type')?.startsWith('application/x-www-form-urlencoded') ?? false
}

/** Where a form without scripts returns to: the page that it stood on, on this site only. */
function backTo(c: Context): string {
  const referer = c.req.header('referer')
  if (referer && URL.canParse(referer)) {
    const url = new URL(referer)
    if (url.host === new URL(c.req.url).host && /^\/(?![/\\])/.test(url.pathname))
      return url.pathname + url.search
  }
  return '/#attention'
}
