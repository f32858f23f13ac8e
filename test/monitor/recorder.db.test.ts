import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { createRecorder } from '../../lib/monitor/incident/recorder.ts'
import type { Snapshot } from '../../lib/monitor/snapshot.ts'
import { until } from '../door.ts'
import { database, STACK_MS } from '../stack.ts'
import { calm, iso, snapshot, without } from './played.ts'

setDefaultTimeout(20_000)

let sql: Sql
beforeAll(async () => {
  const { url } = await database()
  sql = connect(url, { name: 'test', max: 1 })
}, STACK_MS)
afterAll(() => closeSql(sql))

const LEFT_OPEN = '01a20000-0000-7000-8000-000000000001'
const MINE = '01a20000-0000-7000-8000-000000000002'
const isOpen = async (id: string) => {
  const [row] = await sql`select closed_at is null as open from incidents where incident_id = ${id}`
  return row?.open as boolean | undefined
}

test('what a monitor left open is closed by the next, however soon that came; what goes on stays open', async () => {
  await sql`insert into incidents (incident_id, opened_at, noticed_at, title, causes, steps, cost)
    values (${LEFT_OPEN}, now(), now(), 'c1 died', '[]', '[]', '{}')`
  const recorder = createRecorder(
    () => sql,
    null,
    () => MINE,
  )
  const flow = { status: 'ok', as_of: null, error: null, data: null } as const
  const look = (s: Snapshot) => recorder.observe({ ...s, flow })
  const away = { status: 'dead', connected: false, last_heartbeat: iso(121) } as const
  for (const s of calm(0, 121)) look(s)
  look(without(122, away))
  await until('the new incident', () => isOpen(MINE), 5000)
  expect(await isOpen(LEFT_OPEN)).toBe(true)
  await sql`update incidents set updated_at = now() - interval '61 seconds'`
  look(snapshot(153))
  await until('the old one to be closed', async () => (await isOpen(LEFT_OPEN)) === false, 5000)
  expect(await isOpen(MINE)).toBe(true)
})
