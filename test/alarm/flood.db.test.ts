import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { RaisedAlarm } from '../../lib/alarm/alarm.ts'
import { careOnce } from '../../lib/alarm/caretaker.ts'
import { tellAlarms } from '../../lib/alarm/transitions.ts'
import { closeSql, connect, createDatabase, type Database, type Sql } from '../../lib/db/connect.ts'
import { createRandom } from '../../lib/fleet/random.ts'
import { database, STACK_MS } from '../stack.ts'
import { pagesOf } from './pages.ts'
import { alarm, cleared } from './raised.ts'

/** A machine that fails is one call: its sensors' alarms come from three partitions, over some seconds, in any order. */
let url: string
let sql: Sql
let db: Database
beforeAll(async () => {
  ;({ url } = await database())
  sql = connect(url, { name: 'test', max: 6 })
  db = createDatabase(url, { name: 'caretaker', role: 'consumer', max: 2 })
}, STACK_MS)
afterAll(async () => {
  await db.close()
  await closeSql(sql)
})

const RULE = { sensors: 3, window: 60, wait: 10 }
let machines = 0

/** A new machine with so many sensors that the tables know. */
async function machineWith(sensors: number): Promise<string> {
  const machine = `machine-${++machines}`
  for (let n = 0; n < sensors; n++)
    await sql`insert into sensors (sensor_id, sensor_type, unit, factory_section, machine_id, zone)
      values (${`${machine}-${n}`}, 'temperature', '°C', 'production', ${machine}, 'zone-a')`
  return machine
}

const raise = (...alarms: RaisedAlarm[]) => sql.begin((tx) => tellAlarms(tx, alarms, [], 'alerts', RULE))

const end = (a: RaisedAlarm) => sql.begin((tx) => tellAlarms(tx, [], [cleared(a)], 'alerts', RULE))

/** So many seconds go by for those that wait, and the caretaker looks. */
async function pass(seconds: number): Promise<void> {
  await sql`update alerts set calls_at = calls_at - make_interval(secs => ${seconds}),
    created_at = created_at - make_interval(secs => ${seconds}) where suppressed = 'waiting'`
  await careOnce({ database: db, consumerId: 'consumer-2', alertTopic: 'alerts' })
}

interface Told {
  sensor_id: string
  state: string
  suppressed?: string
  group?: string
}

async function told(machine: string): Promise<Told[]> {
  const rows = await sql<{ payload: Told }[]>`
    select payload from outbox where payload->'location'->>'machine_id' = ${machine} order by entry`
  return rows.map(({ payload }) => payload)
}

/** Whom a notifier would call for: what begins, and is not suppressed. */
async function calls(machine: string): Promise<string[]> {
  const all = await told(machine)
  return all
    .filter((m) => ['raised', 'called'].includes(m.state) && m.suppressed === undefined)
    .map((m) => m.sensor_id)
}

test.each(Array.from({ length: 12 }, (_, i) => i + 1))(
  'six sensors that fail within seconds, each partition late by its own measure, are one call (seed %d)',
  async (seed) => {
    const random = createRandom(`flood ${seed}`)
    const machine = await machineWith(6)
    const lateBy = [0, 1, 2].map(() => random.next() * 3)
    const severity = seed % 3 === 0 ? 'high' : 'medium'
    const events = [0, 1, 2, 3, 4, 5]
      .map((n) => ({ n, at: random.next() * 8 }))
      .map(({ n, at }) => ({ a: alarm(machine, n, at, { severity }), arrives: at + (lateBy[n % 3] ?? 0) }))
      .sort((a, b) => a.arrives - b.arrives)
    let now = 0
    for (const { a, arrives } of events) {
      await pass(arrives - now)
      await raise(a)
      now = arrives
    }
    await pass(60)
    expect(await calls(machine)).toEqual([machine])
    const quiet = await sql`select distinct suppressed, group_id is not null as grouped from alerts
      where location->>'machine_id' = ${machine} and sensor_type <> 'machine'`
    expect([...quiet]).toEqual([{ suppressed: 'group', grouped: true }])
  },
)

test('six at once from three partitions are one call, critical ones too', async () => {
  for (const severity of ['medium', 'critical']) {
    const machine = await machineWith(6)
    await Promise.all(
      [0, 1, 2].map((p) => raise(...[p, p + 3].map((n) => alarm(machine, n, n / 10, { severity })))),
    )
    await pass(60)
    expect(await calls(machine)).toEqual([machine])
  }
})

test('one that stays alone calls after its wait, and is told in order', async () => {
  const machine = await machineWith(6)
  const lonely = alarm(machine, 0, 1)
  await raise(lonely)
  await pass(9)
  expect(await calls(machine)).toEqual([])
  await pass(2)
  expect(await calls(machine)).toEqual([`${machine}-0`])
  await end(lonely)
  const messages = await told(machine)
  expect(messages.map((m) => [m.state, m.suppressed])).toEqual([
    ['raised', 'waiting'],
    ['called', undefined],
    ['cleared', undefined],
  ])
  const journal =
    await sql`select transition, reason from alert_journal where alert_id = ${lonely.alert_id} order by entry`
  expect(journal.map((j) => j.transition)).toEqual(['raised', 'called', 'cleared'])
  expect(journal[1]!.reason).toBe('its machine has no alarm for all by now')
})

test('one that is over before its wait is called for all the same', async () => {
  const machine = await machineWith(6)
  const short = alarm(machine, 0, 1)
  await raise(short)
  await end(short)
  expect((await told(machine)).map((m) => [m.state, m.suppressed])).toEqual([
    ['raised', 'waiting'],
    ['called', undefined],
    ['cleared', undefined],
  ])
})

test('one that is over before its wait and was shelved meanwhile calls nobody, and its end is quiet', async () => {
  const machine = await machineWith(6)
  const short = alarm(machine, 0, 1)
  await raise(short)
  await sql`update alerts set shelved_until = now() + interval '1 hour' where alert_id = ${short.alert_id}`
  await end(short)
  expect((await told(machine)).map((m) => [m.state, m.suppressed])).toEqual([
    ['raised', 'waiting'],
    ['cleared', 'shelved'],
  ])
})

describe('nobody waits', () => {
  test('at a machine that has not sensors enough', async () => {
    const machine = await machineWith(2)
    await raise(alarm(machine, 0, 1))
    expect(await calls(machine)).toEqual([`${machine}-0`])
  })

  test('for longer than two seconds where it is critical', async () => {
    const machine = await machineWith(6)
    await raise(alarm(machine, 0, 1, { severity: 'critical' }))
    await pass(2)
    expect(await calls(machine)).toEqual([`${machine}-0`])
  })

  test('for longer than the window, however many alarms come', async () => {
    const machine = await machineWith(6)
    for (let n = 0; n < 9; n++) {
      await raise(alarm(machine, n % 2, n * 8, { rule_id: `rule-${n}` }))
      await pass(8)
    }
    expect((await calls(machine)).length).toBeGreaterThan(0)
  })

  test('who was shelved meanwhile, until the shelf ends', async () => {
    const machine = await machineWith(6)
    const shelved = alarm(machine, 0, 1)
    await raise(shelved)
    await sql`update alerts set shelved_until = now() + interval '1 hour' where alert_id = ${shelved.alert_id}`
    await pass(11)
    expect(await calls(machine)).toEqual([])
    const [row] = await sql`select suppressed, calls_at from alerts where alert_id = ${shelved.alert_id}`
    expect({ ...row }).toEqual({ suppressed: 'shelved', calls_at: null })
  })
})

test('of a group that is less, the first critical alarm calls, and only the first', async () => {
  const machine = await machineWith(8)
  for (const n of [0, 1, 2]) await raise(alarm(machine, n, n))
  for (const n of [3, 4, 5]) await raise(alarm(machine, n, n, { severity: 'critical' }))
  await pass(60)
  expect(await calls(machine)).toEqual([machine, `${machine}-3`])
  expect((await told(machine)).filter((m) => m.state === 'grouped').map((m) => m.suppressed)).toEqual([
    'group',
    'group',
  ])
})

test('partitions that raise and clear at the same machines, and the caretaker, never wait for each other in a circle', async () => {
  const names = await Promise.all(Array.from({ length: 30 }, () => machineWith(6)))
  const faults: string[] = []
  const note = (error: Error) => void faults.push(error.message)
  let writing = 3
  /** one transaction raises at some of the machines in some order, and clears at others */
  async function write(partition: number): Promise<void> {
    const random = createRandom(`circle ${partition}`)
    const some = <T>(all: readonly T[], many: number) =>
      all
        .map((one) => ({ one, at: random.next() }))
        .sort((x, y) => x.at - y.at)
        .slice(0, many)
        .map(({ one }) => one)
    const open = new Set<RaisedAlarm>()
    for (let round = 0; round < 100; round++) {
      const raised = some(names, 6).map((name, i) =>
        alarm(name, partition + 3 * (round % 2), round / 10 + i / 1000, { latching: partition === 2 }),
      )
      const over = some([...open], open.size > 60 ? 40 : 2)
      await sql
        .begin((tx) => tellAlarms(tx, raised, over.map(cleared), 'alerts', { ...RULE, wait: 0.001 }))
        .catch(note)
      for (const one of raised) open.add(one)
      for (const one of over) open.delete(one)
    }
    writing--
  }
  async function care(): Promise<void> {
    while (writing > 0)
      await careOnce({ database: db, consumerId: 'consumer-2', alertTopic: 'alerts' }).catch(note)
  }
  await Promise.all([write(0), write(1), write(2), care()])
  expect(faults).toEqual([])
}, 60_000)

test('an alarm at a machine and its end read few pages, however many alarms and sensors there are at others', async () => {
  const own = connect(url, { name: 'test', role: 'consumer', max: 1 })
  const tell = (raised: RaisedAlarm[], over: RaisedAlarm[]) =>
    own.begin((tx) => tellAlarms(tx, raised, over.map(cleared), 'alerts', RULE))
  try {
    const sample = alarm(await machineWith(3), 0, 0)
    await tell([sample], [])
    await sql`insert into alerts select (jsonb_populate_record(a, jsonb_build_object('alert_id', gen_random_uuid(),
        'suppressed', null, 'sensor_id', 'far-' || n, 'location', a.location || jsonb_build_object('machine_id', 'far-' || n)))).*
      from alerts a, generate_series(1, 5000) n where alert_id = ${sample.alert_id}`
    await sql`insert into sensors (sensor_id, sensor_type, unit, factory_section, machine_id, zone)
      select 'far-' || n, 'temperature', '°C', 'production', 'far-' || n, 'zone-a' from generate_series(1, 20000) n`
    const one = alarm(await machineWith(3), 0, 0)
    for (const table of ['alerts', 'sensors']) {
      const before = await pagesOf(table, own)
      await tell([one], [])
      await tell([], [one])
      const { heap, read } = await pagesOf(table, own)
      expect(heap).toBeGreaterThan(100)
      expect(read - before.read).toBeLessThan(heap / 4)
      await sql`delete from alerts where alert_id = ${one.alert_id}`
    }
  } finally {
    await closeSql(own)
  }
})
