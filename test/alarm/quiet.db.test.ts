import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { RaisedAlarm } from '../../lib/alarm/alarm.ts'
import { careOnce } from '../../lib/alarm/caretaker.ts'
import type { Channel } from '../../lib/alarm/channel.ts'
import { deliverPage } from '../../lib/alarm/notify.ts'
import { tellAlarms } from '../../lib/alarm/transitions.ts'
import { closeSql, connect, createDatabase, type Database, type Sql } from '../../lib/db/connect.ts'
import { acknowledgeAlarms, shelveAlarm, unshelveAlarm } from '../../lib/monitor/acts/alarms.ts'
import { inService, outOfService } from '../../lib/monitor/acts/service.ts'
import { database, STACK_MS } from '../stack.ts'
import { pagesOf } from './pages.ts'
import { alarm, cleared } from './raised.ts'

/** Shelves, sensors out of service and latched alarms: who is called, who hears of the end. */
let sql: Sql
let monitor: Sql
let db: Database
beforeAll(async () => {
  const { url } = await database()
  sql = connect(url, { name: 'test', max: 3 })
  monitor = connect(url, { name: 'monitor', role: 'monitor', max: 1 })
  db = createDatabase(url, { name: 'caretaker', role: 'consumer', max: 2 })
}, STACK_MS)
afterAll(async () => {
  await db.close()
  await closeSql(monitor)
  await closeSql(sql)
})

const RULE = { sensors: 3, window: 60, wait: 0 }
const ada = { by: 'ada', alertTopic: 'alerts' }
const raise = (...alarms: RaisedAlarm[]) => sql.begin((tx) => tellAlarms(tx, alarms, [], 'alerts', RULE))
const end = (...over: RaisedAlarm[]) =>
  sql.begin((tx) => tellAlarms(tx, [], over.map(cleared), 'alerts', RULE))
const care = () => careOnce({ database: db, consumerId: 'consumer-2', alertTopic: 'alerts' })
const inMinutes = (n: number) => new Date(Date.now() + n * 60_000)
const stored = async (a: RaisedAlarm) => (await sql`select * from alerts where alert_id = ${a.alert_id}`)[0]!
const shelfEnds = (a: RaisedAlarm) =>
  sql`update alerts set shelved_until = now() - interval '1 second' where sensor_id = ${a.sensor_id}`

let machines = 0
/** Further alarms of one sensor and rule, ten seconds apart. */
function alarmsOf(count: number, more: Partial<RaisedAlarm> = {}): RaisedAlarm[] {
  const machine = `quiet-${++machines}`
  return Array.from({ length: count }, (_, i) => alarm(machine, 0, i * 10, more))
}

/** What stands in the journal and, the same, on the topic. */
async function told(a: RaisedAlarm): Promise<string[]> {
  const journal =
    await sql`select transition from alert_journal where alert_id = ${a.alert_id} order by entry`
  const messages =
    await sql`select payload->>'state' as state from outbox where alert_id = ${a.alert_id} order by entry`
  expect(messages.map((m) => m.state)).toEqual(journal.map((j) => j.transition))
  return journal.map((j) => j.transition)
}

/** What a receiver hears of these alarms from the beginning on, up to a last one that is told for the purpose. */
async function heard(...alarms: RaisedAlarm[]): Promise<string[]> {
  const got: string[] = []
  const last = crypto.randomUUID()
  const channel: Channel = {
    name: `receiver-${last}`,
    async send({ alert_id, payload }) {
      const n = alarms.findIndex((a) => a.alert_id === alert_id)
      if (n >= 0 || alert_id === last) got.push(alert_id === last ? 'end' : `${n} ${payload.state}`)
    },
  }
  await sql`insert into notification_cursors (channel, transaction, entry) values (${channel.name}, '0', 0)`
  await sql`insert into outbox (topic, key, alert_id, payload) values ('alerts', 'k', ${last}, '{"state": "raised"}')`
  const deadline = performance.now() + 10_000
  while (got.at(-1) !== 'end' && performance.now() < deadline)
    await deliverPage(channel, db, new AbortController().signal)
  expect(got.pop()).toBe('end')
  return got
}

describe('a shelf is the sensor’s and the rule’s', () => {
  test('taken back on one alarm it is taken back: the next one calls', async () => {
    const [a, b, c] = alarmsOf(3) as [RaisedAlarm, RaisedAlarm, RaisedAlarm]
    await raise(a)
    await shelveAlarm(monitor, a.alert_id, inMinutes(480), 'repair', ada)
    await end(a)
    await raise(b)
    expect((await stored(b)).suppressed).toBe('shelved')
    expect(await unshelveAlarm(monitor, b.alert_id, ada)).toBe(true)
    await end(b)
    await raise(c)
    expect(await stored(c)).toMatchObject({ suppressed: null, shelved_until: null })
    expect(await told(a)).toEqual(['raised', 'shelved', 'cleared', 'unshelved'])
    expect(await unshelveAlarm(monitor, a.alert_id, ada)).toBe(false)
  })

  test('its new end is the end for all', async () => {
    const [a, b, c] = alarmsOf(3) as [RaisedAlarm, RaisedAlarm, RaisedAlarm]
    await raise(a)
    await shelveAlarm(monitor, a.alert_id, inMinutes(480), 'repair', ada)
    await acknowledgeAlarms(monitor, [a.alert_id], null, ada)
    await end(a)
    await raise(b)
    const until = inMinutes(5)
    await shelveAlarm(monitor, b.alert_id, until, 'nearly done', ada)
    expect(await stored(b)).toMatchObject({ suppressed: 'shelved', shelved_until: until })
    await end(b)
    await sql`update alerts set shelved_until = shelved_until - interval '6 minutes' where sensor_id = ${a.sensor_id}`
    await raise(c)
    expect(await stored(c)).toMatchObject({ suppressed: null, shelved_until: null })
    // over and seen: nothing is to be told of it
    expect(await told(a)).toEqual(['raised', 'shelved', 'acknowledged', 'cleared'])
  })

  test('another rule’s and another sensor’s stay as they are', async () => {
    const [a] = alarmsOf(1) as [RaisedAlarm]
    const others = [alarm(`quiet-${machines}`, 0, 1, { rule_id: 'warm' }), alarm(`quiet-${machines}`, 1, 1)]
    for (const one of [a, ...others]) {
      await raise(one)
      await shelveAlarm(monitor, one.alert_id, inMinutes(60), 'repair', ada)
    }
    await unshelveAlarm(monitor, a.alert_id, ada)
    for (const one of others) expect((await stored(one)).shelved_until).not.toBeNull()
  })

  test.each(['its end', 'a person'])(
    'ended by %s it calls for what is active, not for what is over',
    async (how) => {
      const all = alarmsOf(5)
      const [first, ...later] = all as [RaisedAlarm, ...RaisedAlarm[]]
      await raise(first)
      await shelveAlarm(monitor, first.alert_id, inMinutes(60), 'repair', ada)
      await end(first)
      for (const one of later) {
        await raise(one)
        if (one !== later.at(-1)) await end(one)
      }
      if (how === 'a person') await unshelveAlarm(monitor, first.alert_id, ada)
      else {
        await shelfEnds(first)
        await care()
      }
      expect(await heard(...all)).toEqual(['0 raised', '0 shelved', '0 cleared', '4 unshelved'])
      for (const one of later.slice(0, -1)) {
        expect(await told(one)).toEqual(['raised', 'cleared', 'unshelved'])
        expect((await stored(one)).suppressed).toBe('shelved') // for all of its life
      }
    },
  )
})

test('a shelf that has reached its end is lifted, once, and that is told', async () => {
  const id = crypto.randomUUID()
  await sql`insert into alerts (alert_id, "timestamp", sensor_id, sensor_type, anomaly_type, severity, sensor_unit,
      sensor_alert_level, location, detected_by, description, rule_id, rule_version, why, topic, partition, "offset",
      shelved_until, suppressed)
    values (${id}, now(), 'temp-9', 'temperature', 'x', 'medium', '', 'normal', '{}', 'c', 'hot', 'r', 1, '{}', 't', 0, 1,
      now() - interval '1 second', 'shelved')`
  await Promise.all([care(), care()])
  const [row] = await sql`select shelved_until, suppressed from alerts where alert_id = ${id}`
  expect({ ...row }).toEqual({ shelved_until: null, suppressed: null })
  const journal = await sql`select transition, reason from alert_journal where alert_id = ${id}`
  expect(journal.map((j) => ({ ...j }))).toEqual([{ transition: 'unshelved', reason: 'its time is over' }])
})

test('who was called before a sensor went out of service hears of the end; who was not does not', async () => {
  const [known, never] = [alarmsOf(1)[0]!, alarmsOf(1)[0]!]
  await raise(known)
  for (const one of [known, never]) await outOfService(monitor, one.sensor_id, inMinutes(60), 'repair', ada)
  await raise(never)
  await end(known, never)
  const all = ['0 raised', '0 out_of_service', '0 cleared']
  expect(await heard(known, never)).toEqual(all)
  // what is over does not come back
  for (const one of [known, never]) await inService(monitor, one.sensor_id, null, ada)
  expect(await heard(known, never)).toEqual(all)
})

describe('a latched alarm', () => {
  const latched = { latching: true }
  test('gives way to a newer one of its rule, and all hear of its end', async () => {
    const [old, young] = alarmsOf(2, latched) as [RaisedAlarm, RaisedAlarm]
    await raise(old)
    await end(old)
    await raise(young)
    expect([(await stored(old)).active, (await stored(young)).active]).toEqual([false, true])
    expect(await told(old)).toEqual(['raised', 'returned', 'cleared'])
    const [last] = await sql`
      select actor, reason from alert_journal where alert_id = ${old.alert_id} order by entry desc limit 1`
    expect({ ...last }).toEqual({
      actor: 'consumer-1',
      reason: 'a newer alarm of its rule has taken its place',
    })
  })

  test('gives way where both come in one batch, and the newest stays latched', async () => {
    const [old, young, newest] = alarmsOf(3, latched) as [RaisedAlarm, RaisedAlarm, RaisedAlarm]
    await raise(old)
    const over = [old, young, newest].map(cleared)
    await sql.begin((tx) => tellAlarms(tx, [young, newest], over, 'alerts', RULE))
    expect((await Promise.all([old, young, newest].map(stored))).map((row) => row.active)).toEqual([
      false,
      false,
      true,
    ])
  })

  /** Three sensors of a machine raise, which is a group. */
  async function groupOf(more: (n: number) => Partial<RaisedAlarm>) {
    const machine = `quiet-${++machines}`
    const members = [0, 1, 2].map((n) => alarm(machine, n, n, more(n)))
    for (const one of members) await raise(one)
    const [group] = await sql`select alert_id from alerts where sensor_id = ${machine}`
    return {
      members,
      isOpen: async () =>
        (await sql`select active from alerts where alert_id = ${group!.alert_id}`)[0]!.active,
    }
  }

  test('that was the last of its machine’s ends the alarm of the machine by its acknowledgement', async () => {
    const { members, isOpen } = await groupOf((n) => ({ latching: n === 0 }))
    await end(...members)
    await care()
    expect(await isOpen()).toBe(true)
    await acknowledgeAlarms(monitor, [members[0]!.alert_id], null, ada)
    await care()
    expect(await isOpen()).toBe(false)
  })

  test('… and by giving way', async () => {
    const { members, isOpen } = await groupOf((n) => ({ latching: n === 0 }))
    await end(...members)
    const [first] = members as [RaisedAlarm]
    await raise(alarm(first.location.machine_id, 0, 3600, latched)) // an hour later: not of the group
    expect(await isOpen()).toBe(false)
  })
})

test('a look for what is due reads few pages, however many alarms nobody has acknowledged', async () => {
  const [sample] = alarmsOf(1)
  await raise(sample!)
  await sql`insert into alerts select (jsonb_populate_record(a, jsonb_build_object('alert_id', gen_random_uuid(), 'active', false))).*
    from alerts a, generate_series(1, 5000) where alert_id = ${sample!.alert_id}`
  await care()
  const before = await pagesOf('alerts', sql, db.sql)
  await care()
  expect(before.heap).toBeGreaterThan(200)
  expect((await pagesOf('alerts', sql, db.sql)).read - before.read).toBeLessThan(before.heap)
})
