import { Hono, type Context } from 'hono'
import type { z } from 'zod'
import { z as schema } from 'zod'
import { log } from '../log.ts'
import * as answers from './answers.ts'
import { createDataFeed } from './feed.ts'
import type { Metrics } from './metrics.ts'
import { createChannel, type Channel } from './page/channel.ts'
import { documentOf } from './page/document.ts'
import { overview } from './page/overview.ts'
import * as present from './present.ts'
import { parseQuery, Problem, problemResponse } from './problem.ts'
import { readPublicFiles } from './public.ts'
import type { Snapshot } from './snapshot.ts'
import type { Streams } from './stream.ts'

export interface AppOptions {
  /** the newest snapshot; no route asks Kafka, and live routes ask nobody */
  current: () => Snapshot
  streams: Streams
  /** parse every answer by its schema before it is sent: in tests and development */
  checkAnswers: boolean
  metrics: Metrics
  clock?: () => number
}

type Env = { Variables: { requestId: string } }

/** All routes. Without a server in it, so that tests call `app.request()`. */
export function createApp(options: AppOptions): Hono<Env> {
  const { current, streams } = options
  const clock = options.clock ?? Date.now
  const files = readPublicFiles()
  const data = createDataFeed(current, clock)
  const views = new Map<string, Channel>([
    [
      'overview',
      createChannel(
        () => overview(current()),
        () => current().number,
        clock,
      ),
    ],
  ])
  const app = new Hono<Env>()

  app.use('*', async (c, next) => {
    c.set('requestId', Bun.randomUUIDv7())
    await next()
    for (const [name, value] of SECURITY_HEADERS) c.res.headers.set(name, value)
    c.res.headers.set('x-request-id', c.get('requestId'))
  })
  app.onError((error, c) => {
    if (error instanceof Problem) return problemResponse(c, error)
    log.error('request.failed', { path: c.req.path, request_id: c.get('requestId'), error })
    return problemResponse(
      c,
      new Problem(500, 'Internal error', 'The log has the reason under this request_id'),
    )
  })
  app.notFound((c) =>
    problemResponse(c, new Problem(404, 'Not found', `Nothing is at ${c.req.path.slice(0, 200)}`)),
  )

  const none = schema.object({})
  const limited = schema.object({ limit: schema.coerce.number().int().min(1).max(500).default(50) })
  const send = <T>(c: Context, shape: z.ZodType<T>, value: T) => {
    if (options.checkAnswers) shape.parse(value)
    return json(c, value)
  }

  app.get('/api/system-status', (c) => {
    parseQuery(c, none)
    return send(c, answers.systemStatus, present.presentSystemStatus(current()))
  })
  app.get('/api/consumer-health', (c) => {
    parseQuery(c, none)
    return send(c, answers.consumerHealth, present.presentConsumerHealth(current()))
  })
  app.get('/api/producer-health', (c) => {
    parseQuery(c, none)
    return send(c, answers.producerHealth, present.presentProducerHealth(current()))
  })
  app.get('/api/partition-assignment', (c) => {
    parseQuery(c, none)
    return send(c, answers.partitionAssignment, present.presentPartitionAssignment(current()))
  })
  app.get('/api/real-time-metrics', (c) => {
    parseQuery(c, none)
    return send(c, answers.realTimeMetrics, present.presentRealTimeMetrics(current()))
  })
  app.get('/api/recent-alerts', (c) => {
    const { limit } = parseQuery(c, limited)
    return send(c, answers.recentAlerts, present.presentRecentAlerts(current(), limit))
  })

  app.get('/livez', (c) => c.text('alive\n', 200, NO_STORE))
  app.get('/readyz', (c) => {
    const { verbose } = parseQuery(c, schema.object({ verbose: schema.string().optional() }))
    const s = current()
    const checks = {
      postgresql: s.consumers.status,
      kafka: s.kafka.status === 'ok' && s.kafka.data === null ? 'stale' : s.kafka.status,
    }
    const ready = Object.values(checks).every((status) => status === 'ok')
    const body =
      verbose === undefined
        ? { ready }
        : { ready, checks, errors: { postgresql: s.consumers.error, kafka: s.kafka.error }, at: s.at }
    return c.json(body, ready ? 200 : 503, NO_STORE)
  })

  app.get('/metrics', async (c) =>
    c.body(await options.metrics.render(), 200, { ...NO_STORE, 'content-type': options.metrics.contentType }),
  )

  app.get('/', (c) => {
    const channel = viewOf('overview')
    const { version, tree } = channel.current()
    return c.html(
      documentOf({ title: 'Plant monitor', tree, live: { view: 'overview', version }, serverTime: clock() }),
      200,
      NO_STORE,
    )
  })
  app.get('/tree', (c) => {
    const { view } = parseQuery(c, schema.object({ view: schema.string().max(200) }))
    return json(c, viewOf(view).current())
  })
  app.get('/events', (c) => {
    const { view, from } = parseQuery(
      c,
      schema.object({
        view: schema.string().max(200).optional(),
        from: schema.coerce.number().int().min(0).optional(),
      }),
    )
    const last = Number.parseInt(c.req.header('last-event-id') ?? '', 10)
    const start = Number.isSafeInteger(last) ? last : (from ?? null)
    return streams.open(view ?? 'data', view === undefined ? data : viewOf(view), start, clientOf(c))
  })
  app.get('/public/:name', (c) => {
    const file = files.get(c.req.param('name'))
    if (!file) throw new Problem(404, 'Not found')
    if (c.req.header('if-none-match') === file.etag) return c.body(null, 304, { etag: file.etag })
    return c.body(file.body, 200, { 'content-type': file.type, etag: file.etag, 'cache-control': 'no-cache' })
  })

  function viewOf(name: string): Channel {
    const view = views.get(name)
    if (!view)
      throw new Problem(422, 'Query not understood', undefined, [
        { field: 'view', message: 'is not a live page' },
      ])
    return view
  }
  return app
}

const NO_STORE = { 'cache-control': 'no-store' }

const SECURITY_HEADERS: [string, string][] = [
  [
    'content-security-policy',
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  ],
  ['x-content-type-options', 'nosniff'],
  ['referrer-policy', 'no-referrer'],
  ['cross-origin-opener-policy', 'same-origin'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['x-frame-options', 'DENY'],
]

function json(c: Context, value: unknown): Response {
  const body = JSON.stringify(value)
  const etag = `W/"${Bun.hash.wyhash(body).toString(36)}"`
  const headers = { etag, 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' }
  if (c.req.header('if-none-match') === etag) return c.body(null, 304, headers)
  return c.body(body, 200, headers)
}

/** Address of the client; null for this machine (and for tests, which have no server). */
function clientOf(c: Context): string | null {
  const server = c.env as { requestIP?: (request: Request) => { address: string } | null } | undefined
  const address = server?.requestIP?.(c.req.raw)?.address ?? null
  return address === null || address === '::1' || /^(::ffff:)?127\./.test(address) ? null : address
}
