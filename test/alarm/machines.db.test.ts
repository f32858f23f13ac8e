import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createBooks, listBooks, proposeBook, seedBook, type Books } from '../../lib/alarm/books.ts'
import { watchMachines } from '../../lib/alarm/machine-watch.ts'
import { rebaselineMachine } from '../../lib/alarm/rebaseline.ts'
import type { RuleBookText } from '../../lib/alarm/rulebook.ts'
import { parseConfig } from '../../lib/config.ts'
import { closeSql, connect, createDatabase, type Database, type Sql } from '../../lib/db/connect.ts'
import { database, STACK_MS } from '../stack.ts'

/** Machines on a real database: readings of three sensors in three partitions, six a minute, in hours gone by. */
let sql: Sql
let db: Database
let books: Books
const MINUTE = 60_000
const beganMs = Math.floor(Date.now() / MINUTE) * MINUTE - 14 * 60 * MINUTE
const COMMISSIONING = 400

beforeAll(async () => {
  const { url } = await database()
  sql = connect(url, { name: 'test', max: 2 })
  db = createDatabase(url, { name: 'watch', role: 'consumer', max: 3 })
  await seedBook(sql, parseConfig({}))
  const [book] = await listBooks(sql, 1)
  const { rules, ...rest } = book?.book as RuleBookText
  const quick = rules.map((rule) =>
    rule.kind === 'equipment' ? { ...rule, commissioning: COMMISSIONING } : rule,
  )
  await proposeBook(sql, { ...rest, rules: quick }, 'test', 'a short commissioning')
  books = createBooks(db)
  await books.refresh()
  await sql`insert into topics (topic) values ('sensor-data')`
  await sql`
    insert into sensors (sensor_id, sensor_type, unit, factory_section, machine_id, zone, first_seen_at)
    select 'sensor-' || i || '-' || m, (array['temperature', 'vibration', 'energy'])[i], '', 'production', m, 'zone-a',
      ${new Date(beganMs)}
    from generate_series(1, 3) i, unnest(array['machine-1', 'machine-2']) m`
  await sql`insert into sensors (sensor_id, sensor_type, unit, factory_section, machine_id, zone) values ('alone', 'energy', '', 'production', 'machine-3', '')`
}, STACK_MS)
afterAll(async () => {
  await db.close()
  await closeSql(sql)
})

/**
 * Readings of the given minutes, arriving now; `off` is added to the first two sensors of machine-1. The partitions are
 * then stored to the end of those minutes, and no further: that is how far the watch may go.
 */
async function measured(from: number, to: number, off = 0): Promise<void> {
  const end = new Date(beganMs + to * MINUTE)
  await sql`
    insert into readings (measured_at, value, "offset", sensor_key, quality, partition, topic_key, level)
    select t, 50 + hashtext(s.sensor_id || extract(epoch from t - ${new Date(beganMs)}::timestamptz)) / 2147483648.0
        + case when s.machine_id = 'machine-1' and s.sensor_type <> 'energy' then ${off}::float8 else 0 end,
      extract(epoch from t)::bigint, s.sensor_key, 1, s.sensor_key % 3, 1, 0
    from generate_series(${new Date(beganMs + from * MINUTE)}::timestamptz, ${end}::timestamptz - interval '1 second',
      interval '10 seconds') t, sensors s`
  await sql`
    insert into partition_progress (cluster_id, topic, partition, next_offset, epoch, owner, claimed_at, newest_measured_at)
    select 'cluster', 'sensor-data', p, 0, 1, 'test', now(), ${end} from generate_series(0, 2) p
    on conflict (cluster_id, topic, partition) do update set newest_measured_at = excluded.newest_measured_at, updated_at = now()`
  await rolledUp()
}

/** Waits until what has arrived is in the roll-ups: they stay a second behind. */
async function rolledUp(): Promise<void> {
  const [{ arrived }] = (await sql`select max(received_at) as arrived from readings`) as unknown as [
    { arrived: Date },
  ]
  const deadline = performance.now() + 20_000
  for (;;) {
    const [row] = await sql<{ to: Date }[]>`select rolled_up_to as to from roll_up_readings('1 day')`
    if (row && row.to > arrived) return
    if (performance.now() > deadline)
      throw new Error(`rolled up to ${row?.to}, not to ${arrived}, after 20 s`)
    await Bun.sleep(50)
  }
}

const watch = async (consumerId: string) =>
  (await watchMachines({ database: db, books, consumerId, alertTopic: 'alerts' })).told

async function alarms() {
  return sql`select * from alerts where anomaly_type = 'equipment_condition' order by "timestamp"`
}

async function machine(id = 'machine-1') {
  const [row] = await sql`select * from machines where machine_id = ${id}`
  return row
}

describe('the condition of a machine', () => {
  test(
    'commissioning is silent, is counted, and ends by itself; one sensor alone is no machine',
    async () => {
      await measured(0, 200)
      expect(await watch('consumer-1')).toBe(0)
      expect(await machine()).toMatchObject({ condition: 'commissioning', commissioning: COMMISSIONING })
      await measured(200, 450)
      expect(await watch('consumer-1')).toBe(0)
      expect(await machine()).toMatchObject({ condition: 'normal', state_version: 2 })
      expect(await machine('machine-3')).toBeUndefined()
    },
    STACK_MS,
  )

  test(
    'two channels that leave their baseline are one alarm, explained by their shares, although each lies elsewhere',
    async () => {
      await measured(450, 480, 3)
      // three consumers look at once: each minute is judged by one of them
      const told = await Promise.all(['consumer-1', 'consumer-2', 'consumer-3'].map(watch))
      expect(told.reduce((a, b) => a + b)).toBe(1)
      const [alarm, ...more] = await alarms()
      expect(more).toEqual([])
      expect(alarm).toMatchObject({
        sensor_id: 'machine-1',
        sensor_type: 'machine',
        rule_id: 'machine.condition',
        active: true,
        severity: 'high',
        group_id: null,
      })
      expect(
        alarm?.why.contributions
          .slice(0, 2)
          .map((c: any) => c.sensor_id)
          .sort(),
      ).toEqual(['sensor-1-machine-1', 'sensor-2-machine-1'])
      // it explains itself like any other: what was in force, the minutes before it, where they stand
      expect(alarm?.why).toMatchObject({
        rule: { id: 'machine.condition', kind: 'equipment' },
        limits: { 'machine.condition': { threshold: expect.anything() } },
        recent_of: alarm?.why.contributions[0].sensor_id,
        rare: null,
        live: true,
      })
      expect(alarm?.why.recent).toHaveLength(8)
      expect(alarm?.why.contributions[2].share).toBeLessThan(0.1)
      expect(alarm?.description).toMatch(/^machine-1: sensor-[12]-machine-1: /)
      expect(await machine()).toMatchObject({ condition: 'alarmed', alert_id: alarm?.alert_id })
      expect(await machine('machine-2')).toMatchObject({ condition: 'normal', alert_id: null })
      const [message] = await sql`select payload from outbox where alert_id = ${alarm?.alert_id}`
      expect(message?.payload).toMatchObject({ state: 'raised', sensor_id: 'machine-1' })
    },
    STACK_MS,
  )

  test(
    'it stays while the condition lasts and ends when the machine is back',
    async () => {
      await measured(480, 500, 3)
      expect(await watch('consumer-2')).toBe(0)
      await measured(500, 660)
      expect(await watch('consumer-3')).toBe(1)
      const [alarm] = await alarms()
      expect(alarm).toMatchObject({ active: false, acknowledged: false })
      const journal =
        await sql`select transition from alert_journal where alert_id = ${alarm?.alert_id} order by entry`
      expect(journal.map((j) => j.transition)).toEqual(['raised', 'cleared'])
    },
    STACK_MS,
  )

  test(
    'the same minutes judged again from an older state give the same alarm with the same id, and no second row',
    async () => {
      const before = await alarms()
      await sql`update machines set state = null, channels = '[]', next_minute = ${new Date(beganMs)}`
      await watch('consumer-1')
      expect((await alarms()).map((a) => a.alert_id)).toEqual(before.map((a) => a.alert_id))
    },
    STACK_MS,
  )

  test(
    'a new baseline is a person’s act: the alarm ends with it, and commissioning begins again',
    async () => {
      await measured(660, 680, 5)
      expect(await watch('consumer-1')).toBe(1)
      const act = { factorySection: null, by: 'anna', reason: 'new bearings', alertTopic: 'alerts' }
      expect(await rebaselineMachine(sql, { ...act, machineId: 'nobody' })).toBe(0)
      expect(await rebaselineMachine(sql, { ...act, machineId: 'machine-1' })).toBe(1)
      const last = (await alarms()).at(-1)
      expect(last).toMatchObject({ active: false })
      const [entry] =
        await sql`select actor, reason from alert_journal where alert_id = ${last?.alert_id} order by entry desc limit 1`
      expect(entry).toEqual({ actor: 'anna', reason: 'machine-1: a new baseline begins: new bearings' })
      expect(await machine()).toMatchObject({
        condition: 'commissioning',
        state: null,
        alert_id: null,
        baseline_by: 'anna',
      })
      const events = await sql`select source, event from system_events where event = 'machine.rebaselined'`
      expect([...events]).toEqual([{ source: 'anna', event: 'machine.rebaselined' }])
      // what was measured before the act is no part of the new baseline
      expect(await watch('consumer-2')).toBe(0)
      expect((await machine())?.channels).toEqual([])
    },
    STACK_MS,
  )

  test(
    'minutes that were all judged at the last look are not asked for again',
    async () => {
      const options = { database: db, books, consumerId: 'consumer-1', alertTopic: 'alerts' }
      const { judged } = await watchMachines(options)
      expect(judged).toBeGreaterThan(0)
      await sql`
        update machines set next_minute = timestamptz 'epoch' + ${judged} * interval '1 microsecond' - interval '1 minute'
        where machine_id = 'machine-1'`
      const before = await machine()
      expect(await watchMachines(options, undefined, judged)).toEqual({ told: 0, judged })
      expect((await machine())?.next_minute).toEqual(before?.next_minute)
      await watchMachines(options)
      expect((await machine())?.next_minute).not.toEqual(before?.next_minute)
    },
    STACK_MS,
  )
})
