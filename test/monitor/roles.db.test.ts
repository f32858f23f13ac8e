import { afterAll, beforeAll, expect, test } from 'bun:test'
import { MONITOR_ROLES } from '../../lib/kinds.ts'
import { STACK_MS } from '../stack.ts'
import { fillPlant, raiseAlarm } from './plant.ts'
import { openRoom, type Room } from './room.ts'

/** What acts, and who may. Everything else only shows: whoever has a token may look. */
const ACTS: Record<string, (typeof MONITOR_ROLES)[number]> = {
  'POST /api/alarms/acknowledge': 'operator',
  'POST /api/alarms/:alert_id/acknowledge': 'operator',
  'POST /api/alarms/:alert_id/shelve': 'operator',
  'POST /api/alarms/:alert_id/unshelve': 'operator',
  'POST /api/machines/:machine_id/rebaseline': 'operator',
  'POST /api/sensors/:sensor_id/out-of-service': 'operator',
  'POST /api/sensors/:sensor_id/in-service': 'operator',
  'POST /api/rules/:rule_id': 'admin',
  'POST /api/rule-books': 'admin',
}
/** Health checks, and what the log-in page is made of. */
const OPEN = ['GET /livez', 'GET /readyz', 'GET /login', 'POST /login', 'GET /public/:name']
/** Ends whatever session there is. */
const ANYBODY_KNOWN = ['POST /logout']

let room: Room
let routes: string[]
beforeAll(async () => {
  const tokens = MONITOR_ROLES.map((role) => `${role}:${role}-token-0123456789`)
  room = await openRoom({ MONITORING_TOKENS: tokens.join(',') })
  await fillPlant(room.sql)
  for (let i = 0; i < 3; i++) await room.sampler.sampleOnce()
  routes = [...new Set(room.app.routes.filter((r) => r.method !== 'ALL').map((r) => `${r.method} ${r.path}`))]
}, STACK_MS)
afterAll(() => room.close())

async function statusOf(route: string, role: string | null): Promise<number> {
  const [method = '', path = ''] = route.split(' ')
  const url = path
    .replace(':alert_id', await raiseAlarm(room.sql))
    .replace(':sensor_id', 'temp-sensor-001')
    .replace(/:\w+/, 'nothing')
  const answer = await room.app.request(url, {
    method,
    headers: role === null ? {} : { authorization: `Bearer ${role}-token-0123456789` },
  })
  await answer.body?.cancel()
  return answer.status
}

test('every route that acts is in the table, and the description says the same', async () => {
  const acting = routes.filter(
    (r) => !r.startsWith('GET ') && !OPEN.includes(r) && !ANYBODY_KNOWN.includes(r),
  )
  expect(acting.sort()).toEqual(Object.keys(ACTS).sort())
  const answer = await room.get('/openapi.json', { authorization: 'Bearer viewer-token-0123456789' })
  const { paths } = (await answer.json()) as any
  for (const [path, methods] of Object.entries<any>(paths)) {
    for (const [method, operation] of Object.entries<any>(methods)) {
      const route = `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`
      expect([route, operation['x-role']]).toEqual([route, ACTS[route] ?? 'viewer'])
    }
  }
})

test('every route × every role', async () => {
  expect(routes.length).toBeGreaterThan(40)
  for (const route of routes) {
    const needed = ACTS[route] ?? 'viewer'
    const seen = await statusOf(route, null)
    expect([route, 'nobody', seen === 401]).toEqual([route, 'nobody', !OPEN.includes(route) || seen === 401])
    if (OPEN.includes(route)) continue
    for (const role of MONITOR_ROLES) {
      const may = MONITOR_ROLES.indexOf(role) >= MONITOR_ROLES.indexOf(needed)
      const status = await statusOf(route, role)
      expect([route, role, status]).toEqual([route, role, may ? status : 403])
      expect([route, role, [401, 403].includes(status)]).toEqual([route, role, !may])
      expect([route, role, status < 500]).toEqual([route, role, true])
    }
  }
})

test('a wrong token opens nothing that is not open', async () => {
  for (const route of routes.filter((r) => !OPEN.includes(r)))
    expect([route, await statusOf(route, 'somebody')]).toEqual([route, 401])
})
