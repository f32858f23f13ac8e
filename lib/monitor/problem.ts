import type { Context } from 'hono'
import { z } from 'zod'

declare module 'hono' {
  interface ContextVariableMap {
    requestId: string
  }
}

/** Every fault of the API as RFC 9457 problem+json. `errors` names the fields, where fields were at fault. */
export class Problem extends Error {
  constructor(
    readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 421 | 422 | 429 | 500 | 503,
    readonly title: string,
    readonly detail?: string,
    readonly errors?: { field: string; message: string }[],
    readonly headers: Record<string, string> = {},
  ) {
    super(detail ?? title)
  }
}

export function problemResponse(c: Context, p: Problem): Response {
  const body = {
    type: 'about:blank',
    title: p.title,
    status: p.status,
    detail: p.detail,
    instance: new URL(c.req.url).pathname.slice(0, 500),
    request_id: c.get('requestId'),
    errors: p.errors,
  }
  return c.body(JSON.stringify(body), p.status, {
    ...p.headers,
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
  })
}

/** Query parameters by their schema. Unknown, repeated and bad ones: 422, each named. */
export function parseQuery<T extends z.ZodRawShape>(
  c: Context,
  schema: z.ZodObject<T>,
): z.infer<z.ZodObject<T>> {
  const given: Record<string, string> = {}
  const errors: { field: string; message: string }[] = []
  const parameters = new URL(c.req.url).searchParams
  for (const name of new Set(parameters.keys())) {
    const field = name.slice(0, 100)
    const values = parameters.getAll(name)
    // Own names alone: `__proto__` is no parameter, and would not become a member.
    if (!Object.hasOwn(schema.shape, name)) errors.push({ field, message: 'is not a parameter of this path' })
    else if (values.length > 1) errors.push({ field, message: 'must be given once' })
    else given[name] = values[0] ?? ''
  }
  const told = new Set(errors.map((e) => e.field))
  const parsed = schema.safeParse(given)
  if (!parsed.success) errors.push(...fieldErrors(parsed.error).filter((e) => !told.has(e.field)))
  if (!parsed.success || errors.length > 0) {
    throw new Problem(
      422,
      'Query not understood',
      `Cannot answer: ${errors.length} parameter(s) are wrong`,
      errors,
    )
  }
  return parsed.data as z.infer<z.ZodObject<T>>
}

export function fieldErrors(error: z.ZodError): { field: string; message: string }[] {
  return error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ field: key.slice(0, 100), message: 'is not a parameter of this path' }))
      : [{ field: issue.path.join('.').slice(0, 100), message: issue.message }],
  )
}
