import { Hono, type Context, type MiddlewareHandler } from 'hono'
import { z } from 'zod'
import type { RuleBookText } from '../alarm/rulebook.ts'
import type { Sql } from '../db/connect.ts'
import { log } from '../log.ts'
import { alarmEndpoints } from './api/alarms.ts'
import { incidentEndpoints } from './api/incidents.ts'
import { lineEndpoints } from './api/lines.ts'
import { liveEndpoints } from './api/live.ts'
import { logbookEndpoints } from './api/logbook.ts'
import { machineEndpoints } from './api/machines.ts'
import { ruleEndpoints } from './api/rules.ts'
import { serviceEndpoints } from './api/service.ts'
import { sensorEndpoints } from './api/sensors.ts'
import { json, register, type AnyEndpoint } from './endpoint.ts'
import { exportEndpoints } from './export.ts'
import { createDataFeed } from './feed.ts'
import type { Incident } from './incident/incident.ts'
import { LINE_TARGETS, type LineTargets } from './lines.ts'
import type { Metrics } from './metrics.ts'
import { openApi } from './openapi.ts'
import { problemPage } from './page/problem.ts'
import { servePages } from './pages.ts'
import { parseQuery, Problem, problemResponse } from './problem.ts'
import { readPublicFiles } from './public.ts'
import { createRecall } from './recall.ts'
import type { Snapshot } from './snapshot.ts'
import type { Streams } from './stream.ts'
import { createViews } from './views.ts'
import { clientOf } from './who/address.ts'
import { type Identity } from './who/identity.ts'
import { serveLogin } from './who/login.ts'
import { backTo, isForm } from './who/site.ts'
import { createWrite } from './write.ts'

export interface AppOptions {
  /** the newest snapshot; no route asks Kafka, and live routes ask nobody */
  current: () => Snapshot
  /** the pool of the moment */
  sql: () => Sql
  streams: Streams
  metrics: Metrics
  lineTargets?: LineTargets
  /** the rules in force until a consumer has made the first version */
  bookOfFile: RuleBookText
  alertTopic: string
  version: string
  /** somebody changed an alarm: the sampler may look at once */
  onChange: () => void
  /** the newest incidents of this process */
  recentIncidents: () => Incident[]
  /** who may ask, and how often */
  guard: MiddlewareHandler
  identity: Identity
  /** parse every answer by its schema before it is sent: in tests and development */
  checkAnswers: boolean
  clock?: () => number
}

/** All routes. Without a server in it, so that tests call `app.request()`. */
export function createApp(options: AppOptions): Hono {
  const { current, sql, streams } = options
  const clock = options.clock ?? Date.now
  const outage = () => current().consumers.error?.detail ?? null
  const recall = createRecall(clock, outage)
  const views = createViews(current, options.recentIncidents, clock)
  const data = createDataFeed(current, clock)
  const files = readPublicFiles()
  const incidents = { sql, recall, clock, recent: options.recentIncidents }
  const lines = { current, sql, recall, targets: options.lineTargets ?? LINE_TARGETS }
  const write = createWrite(outage, options.onChange)
  const rules = { sql, recall, write, bookOfFile: options.bookOfFile }
  const endpoints = [
    ...liveEndpoints(current),
    ...alarmEndpoints({
      sql,
      recall,
      write,
      clock,
      alertTopic: options.alertTopic,
    }),
    ...ruleEndpoints(rules),
    ...serviceEndpoints({ current, sql, write, clock, alertTopic: options.alertTopic }),
    ...sensorEndpoints({ current, sql, recall, clock }),
    ...lineEndpoints(lines),
    ...machineEndpoints({ sql, recall, write, alertTopic: options.alertTopic }),
    ...logbookEndpoints({ sql, recall }),
    ...incidentEndpoints(incidents),
    ...exportEndpoints(sql, clock),
  ]
  const description = openApi(endpoints, options.version)
  const app = new Hono()

  app.use('*', async (c, next) => {
    c.set('requestId', Bun.randomUUIDv7())
    await next()
    for (const [name, value] of SECURITY_HEADERS) c.res.headers.set(name, value)
    c.res.headers.set('x-request-id', c.get('requestId'))
  })
  app.use('*', options.guard)
  app.onError((error, c) => {
    const problem =
      error instanceof Problem
        ? error
        : new Problem(500, 'Internal error', 'The log has the reason under this request_id')
    if (problem !== error)
      log.error('request.failed', { path: c.req.path, request_id: c.get('requestId'), error })
    return isForPeople(c)
      ? c.html(problemPage(problem, backTo(c)), problem.status, NO_STORE)
      : problemResponse(c, problem)
  })
  app.notFound((c) => {
    const allow = methodsOf(endpoints, c.req.path)
    if (allow !== '')
      return problemResponse(
        c,
        new Problem(405, 'Method not allowed', `This path knows ${allow}`, undefined, { allow }),
      )
    throw new Problem(404, 'Not found', `Nothing is at ${c.req.path.slice(0, 200)}`)
  })

  serveLogin(app, options.identity)
  const named = endpoints.filter((e) => e.path.includes(':'))
  const fixed = endpoints.filter((e) => !named.includes(e))
  for (const e of fixed) register(app, e, options.checkAnswers)
  // What is a path of its own is nobody's name, whatever the method.
  for (const e of fixed) app.all(e.path, (c) => c.notFound())
  for (const e of named) register(app, e, options.checkAnswers)
  servePages(app, { current, sql, recall, views, clock, openApi: description, incidents, lines, rules })

  const nothing = z.object({})
  const probe = z.object({ verbose: z.string().max(10).optional() })
  app.get('/openapi.json', (c) => {
    parseQuery(c, nothing)
    return json(c, description)
  })
  app.get('/metrics', async (c) => {
    parseQuery(c, nothing)
    const text = await options.metrics.render()
    return c.body(text, 200, { ...NO_STORE, 'content-type': options.metrics.contentType })
  })
  app.get('/livez', (c) => {
    parseQuery(c, probe)
    return c.text('alive\n', 200, NO_STORE)
  })
  app.get('/readyz', (c) => {
    const { verbose } = parseQuery(c, probe)
    const { ready, ...rest } = readiness(current())
    return c.json(verbose === undefined ? { ready } : { ready, ...rest }, ready ? 200 : 503, NO_STORE)
  })

  app.get('/tree', (c) => {
    const { view } = parseQuery(c, z.object({ view: z.string().max(200) }))
    return json(c, viewOf(view).current())
  })
  app.get('/events', (c) => {
    const { view, from } = parseQuery(
      c,
      z.object({ view: z.string().max(200).optional(), from: z.coerce.number().int().min(0).optional() }),
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

  function viewOf(name: string) {
    const view = views.get(name)
    if (!view)
      throw new Problem(422, 'Query not understood', undefined, [
        { field: 'view', message: 'is not a live page' },
      ])
    return view
  }
  return app
}

/** Methods that a path knows, as `Allow` has them; '' where nothing is there. */
function methodsOf(endpoints: readonly AnyEndpoint[], path: string): string {
  const own = endpoints.filter((e) => e.path === path)
  const alike = endpoints.filter((e) => new RegExp(`^${e.path.replace(/:\w+/g, '[^/]+')}$`).test(path))
  return (own.length > 0 ? own : alike).map((e) => e.method.toUpperCase()).join(', ')
}

/** Ready: PostgreSQL and Kafka answered the newest question. */
function readiness(s: Snapshot) {
  const checks = {
    postgresql: s.consumers.status,
    kafka: s.kafka.status === 'ok' && s.kafka.data === null ? 'stale' : s.kafka.status,
  }
  return {
    ready: Object.values(checks).every((status) => status === 'ok'),
    checks,
    errors: { postgresql: s.consumers.error, kafka: s.kafka.error },
    at: s.at,
  }
}

/** A browser that goes to a page or sends a form; what scripts and our own page ask for is JSON. */
function isForPeople(c: Context): boolean {
  if (!(c.req.header('accept') ?? '').includes('text/html')) return false
  return !c.req.path.startsWith('/api/') || isForm(c)
}

const NO_STORE = { 'cache-control': 'no-store' }

const SECURITY_HEADERS: [string, string][] = [
  [
    'content-security-policy',
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  ],
  ['x-content-type-options', 'nosniff'],
  // A form without scripts returns to the page that it stood on.
  ['referrer-policy', 'same-origin'],
  ['cross-origin-opener-policy', 'same-origin'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['x-frame-options', 'DENY'],
]
