import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeSql, connect } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { startTestPostgres, type TestPostgres } from '../../lib/local/testbed.ts'
import { STACK_MS } from '../stack.ts'
import { fillPlant, raiseAlarm } from './plant.ts'
import { openRoomOn, type Room } from './room.ts'

/** A server of its own: it is frozen and killed here. */
let server: TestPostgres
let room: Room
let alarm: string
const dir = mkdtempSync(join(tmpdir(), 'monitor-outage-'))

beforeAll(async () => {
  server = await startTestPostgres({ dir })
  const owner = connect(server.url, { name: 'test', max: 1 })
  await migrate(owner)
  await closeSql(owner)
  room = await openRoomOn(server.url)
  await fillPlant(room.sql)
  alarm = await raiseAlarm(room.sql)
  for (let i = 0; i < 10; i++) await room.sampler.sampleOnce()
  await room.get(`/api/alarms/${alarm}`)
}, STACK_MS)
afterAll(async () => {
  await room.close()
  await server.stop()
  rmSync(dir, { recursive: true, force: true })
})

const PATHS = [
  '/api/system-status',
  '/api/consumer-health',
  '/api/producer-health',
  '/api/partition-assignment',
  '/api/real-time-metrics',
  '/api/recent-alerts',
  '/api/alarms',
  '/api/sensors',
  '/api/rebalances',
  '/api/incidents',
  '/',
  '/alarms',
  '/sensors',
  '/incidents',
  '/metrics',
]

async function expectOldButThere(): Promise<void> {
  await room.sampler.sampleOnce()
  for (const path of PATHS) expect([path, (await room.get(path)).status]).toEqual([path, 200])
  const consumers = await room.json('/api/consumer-health')
  expect(consumers).toMatchObject({ status: 'error', error: { title: 'PostgreSQL does not answer' } })
  expect(consumers.consumers).toHaveLength(3)
  expect((await room.json(`/api/alarms/${alarm}`)).alarm.alert_id).toBe(alarm)
  expect((await room.get('/readyz')).status).toBe(503)
  const page = await (await room.get('/')).text()
  expect(page).toContain('PostgreSQL does not answer')
  expect(page).toContain('temp-sensor-001')
  const write = await room.app.request(`/api/alarms/${alarm}/acknowledge`, { method: 'POST' })
  expect([write.status, write.headers.get('content-type')]).toEqual([503, 'application/problem+json'])
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).map(Number)
}

async function expectFresh(): Promise<void> {
  const until = Date.now() + 20_000
  for (;;) {
    await room.sampler.sampleOnce()
    if ((await room.json('/api/consumer-health')).status === 'ok') return
    if (Date.now() > until) throw new Error('the monitor did not come back')
    await Bun.sleep(100)
  }
}

test('PostgreSQL frozen: the last that was known, with its age; a write says 503; back by itself', async () => {
  // The sessions are processes of their own: all of them stand still.
  const all = [server.pid, ...childrenOf(server.pid)]
  for (const pid of all) process.kill(pid, 'SIGSTOP')
  try {
    await expectOldButThere()
  } finally {
    for (const pid of all) process.kill(pid, 'SIGCONT')
  }
  await expectFresh()
}, 60_000)

test('PostgreSQL killed and started again: the same', async () => {
  await server.kill()
  await expectOldButThere()
  await server.start()
  await expectFresh()
  const { incidents } = await room.json('/api/incidents')
  expect(incidents.flatMap((i: { causes: string[] }) => i.causes)).toContain('PostgreSQL')
}, 60_000)
