import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { alertmanager } from '../../lib/alarm/alertmanager.ts'
import { careOnce } from '../../lib/alarm/caretaker.ts'
import type { Channel } from '../../lib/alarm/channel.ts'
import { deliverPage, runChannel } from '../../lib/alarm/notify.ts'
import { outboxRelay } from '../../lib/alarm/outbox.ts'
import { sign, webhook } from '../../lib/alarm/webhook.ts'
import { closeSql, connect, createDatabase, type Database, type Sql } from '../../lib/db/connect.ts'
import { database, STACK_MS } from '../stack.ts'

/** A receiver on this machine: what came, and what it answers. */
interface Got {
  headers: Headers
  path: string
  body: any
  text: string
}
const got: Got[] = []
let answer: (n: number, body: any) => Response = () => new Response('ok')
let calls = 0
const receiver = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  async fetch(request) {
    const text = await request.text()
    const response = answer(++calls, JSON.parse(text))
    if (response.ok)
      got.push({
        headers: request.headers,
        path: new URL(request.url).pathname,
        body: JSON.parse(text),
        text,
      })
    return response
  },
})
const url = `http://127.0.0.1:${receiver.port}`

let sql: Sql
let db: Database
const signal = new AbortController().signal
const options = () => ({ database: db, consumerId: 'consumer-1', alertTopic: 'alerts' })

beforeAll(async () => {
  const { url: databaseUrl } = await database()
  sql = connect(databaseUrl, { name: 'test', max: 3 })
  db = createDatabase(databaseUrl, { name: 'notifier', role: 'consumer', max: 2 })
}, STACK_MS)
afterEach(() => {
  got.length = 0
  calls = 0
  answer = () => new Response('ok')
})
afterAll(async () => {
  await receiver.stop(true)
  await db.close()
  await closeSql(sql)
})

const alarm = (state: string, more: Record<string, unknown> = {}) => ({
  timestamp: '2026-01-01T00:00:00Z',
  sensor_id: 'temp-1',
  sensor_type: 'temperature',
  anomaly_type: 'critical_threshold_violation',
  severity: 'critical',
  location: { factory_section: 'production', machine_id: 'machine-1', zone: 'zone-a' },
  description: 'hot',
  rule: { id: 'temperature.high_high', version: 1 },
  state,
  ...more,
})

async function enqueue(id: string, payload: Record<string, unknown>): Promise<void> {
  await sql`insert into outbox (topic, key, alert_id, payload)
    values ('alerts', 'temp-1', ${id}, ${JSON.stringify({ alert_id: id, ...payload })}::text::jsonb)`
}

/** A channel with a cursor of its own, at the end of the outbox. */
async function atEnd(channel: Channel): Promise<Channel> {
  const own = { ...channel, name: `${channel.name}-${crypto.randomUUID()}` }
  await sql`insert into notification_cursors (channel, transaction, entry) values (${own.name}, pg_current_xact_id(), 0)`
  return own
}

/** Other tests' open transactions hold entries back for a moment: asks until so many have come. */
async function deliver(channel: Channel, count: number): Promise<void> {
  const deadline = performance.now() + 10_000
  while (got.length < count && performance.now() < deadline) await deliverPage(channel, db, signal)
}

test('a webhook gets every transition in order, signed; suppressed ones call nobody', async () => {
  const channel = await atEnd(webhook(`${url}/hook`, 'secret'))
  const id = crypto.randomUUID()
  await enqueue(id, alarm('raised'))
  await enqueue(crypto.randomUUID(), alarm('raised', { suppressed: 'group' }))
  await enqueue(id, alarm('acknowledged'))
  await enqueue(id, alarm('cleared'))
  await deliver(channel, 3)
  expect(got.map((g) => g.body.state)).toEqual(['raised', 'acknowledged', 'cleared'])
  for (const { headers, text } of got) {
    const timestamp = headers.get('x-factory-timestamp')!
    expect(headers.get('x-factory-signature')).toBe(sign('secret', timestamp, text))
    expect(headers.get('x-factory-signature')).not.toBe(sign('other', timestamp, text))
    expect(headers.get('x-factory-alert-id')).toBe(id)
  }
  await deliverPage(channel, db, signal)
  expect(got).toHaveLength(3)
})

test('an alarm that has waited for others of its machine is raised for the receiver when it calls', async () => {
  const channel = await atEnd(webhook(`${url}/hook`, null))
  const id = crypto.randomUUID()
  for (const told of [alarm('raised', { suppressed: 'waiting' }), alarm('called'), alarm('cleared')])
    await enqueue(id, told)
  await deliver(channel, 2)
  expect(got.map((g) => g.body.state)).toEqual(['raised', 'cleared'])
})

test('what cannot be delivered is tried again and holds up what follows; what is refused is told and left', async () => {
  const channel = await atEnd(webhook(`${url}/hook`, null))
  const [first, second] = [crypto.randomUUID(), crypto.randomUUID()]
  answer = (n) =>
    n <= 3
      ? new Response('busy', { status: 503 })
      : n === 5
        ? new Response('no', { status: 422 })
        : new Response('ok')
  await enqueue(first, alarm('raised'))
  await enqueue(second, alarm('raised'))
  await enqueue(first, alarm('cleared'))
  await runUntil(channel, () => got.length === 2)
  expect(got.map((g) => [g.body.alert_id, g.body.state])).toEqual([
    [first, 'raised'],
    [first, 'cleared'],
  ])
  expect(calls).toBe(6)
  const events = await sql`select message from system_events where event = 'notification.refused'`
  expect(events[0]!.message).toContain(second)
})

/** Runs a channel, with hardly a pause between its tries, until this holds. */
async function runUntil(channel: Channel, holds: () => boolean | Promise<boolean>): Promise<void> {
  const stop = new AbortController()
  const running = runChannel(channel, db, stop.signal, 10, [10])
  const deadline = performance.now() + 10_000
  while (!(await holds()) && performance.now() < deadline) await Bun.sleep(5)
  stop.abort()
  await running
}

describe('an alarm that the receiver does not take', () => {
  const asideOf = async ({ name }: Channel) =>
    (await sql`select alert_id from notifications_aside where channel = ${name}`).map((row) => row.alert_id)
  /** Each entry once: one that was under way when the channel was stopped comes again. */
  const told = () =>
    [...new Map(got.map((g) => [g.headers.get('x-factory-entry'), g.body])).values()].map((body) => [
      body.alert_id,
      body.state,
    ])

  test('holds up what is told of it and of no other; a restart later it has all, in order', async () => {
    const channel = await atEnd(webhook(`${url}/hook`, null))
    const [bad, b, c, d] = Array.from({ length: 4 }, () => crypto.randomUUID()) as [
      string,
      string,
      string,
      string,
    ]
    let isHealed = false
    answer = (_n, { alert_id }) => new Response('', { status: alert_id === bad && !isHealed ? 500 : 200 })
    await enqueue(bad, alarm('raised'))
    await enqueue(b, alarm('raised'))
    await enqueue(bad, alarm('acknowledged'))
    await enqueue(c, alarm('raised'))
    await enqueue(bad, alarm('cleared'))
    await runUntil(channel, () => told().length === 2)
    expect(told()).toEqual([
      [b, 'raised'],
      [c, 'raised'],
    ])
    expect(await asideOf(channel)).toEqual([bad])
    await enqueue(d, alarm('raised'))
    await runUntil(channel, () => told().length === 3)
    expect(told().at(-1)).toEqual([d, 'raised'])
    const events = await sql`select message from system_events where event = 'notification.aside'`
    expect(events.filter((e) => e.message.includes(bad))).toHaveLength(1)

    isHealed = true
    await runUntil(channel, async () => (await asideOf(channel)).length === 0)
    await enqueue(bad, alarm('raised'))
    await runUntil(channel, () => told().length === 7)
    expect(told().slice(3)).toEqual(
      ['raised', 'acknowledged', 'cleared', 'raised'].map((state) => [bad, state]),
    )
  })

  test('is not to blame where the receiver takes nothing: all wait, in their order', async () => {
    const channel = await atEnd(webhook(`${url}/hook`, null))
    const ids = Array.from({ length: 3 }, () => crypto.randomUUID())
    answer = (n) => new Response('', { status: n <= 15 ? 503 : 200 })
    for (const id of ids) await enqueue(id, alarm('raised'))
    await runUntil(channel, () => calls >= 15)
    expect(await asideOf(channel)).toEqual([])
    await runUntil(channel, () => told().length === 3)
    expect(told()).toEqual(ids.map((id) => [id, 'raised']))
  })

  test('does not end what comes after a page that calls nobody', async () => {
    const channel = await atEnd(webhook(`${url}/hook`, null))
    const [bad, other] = [crypto.randomUUID(), crypto.randomUUID()]
    answer = (_n, { alert_id }) => new Response('', { status: alert_id === bad ? 404 : 200 })
    await enqueue(bad, alarm('raised'))
    for (let i = 0; i < 120; i++) await enqueue(crypto.randomUUID(), alarm('raised', { suppressed: 'group' }))
    await enqueue(other, alarm('raised'))
    await runUntil(channel, () => told().length === 1)
    expect(told()).toEqual([[other, 'raised']])
  })

  test('finds its entries in the outbox for a week; what all have is kept for a day', async () => {
    const channel = await atEnd(webhook(`${url}/hook`, null))
    const [bad, other] = [crypto.randomUUID(), crypto.randomUUID()]
    answer = (_n, { alert_id }) => new Response('', { status: alert_id === bad ? 500 : 200 })
    for (const id of [bad, other, bad]) await enqueue(id, alarm('raised'))
    await runUntil(channel, async () => (await asideOf(channel)).length === 1)
    await sql`update notification_cursors set transaction = pg_current_xact_id(), entry = 0 where channel <> ${channel.name}`
    const keptAfter = async (days: number) => {
      await sql`update outbox set sent_at = now() - make_interval(days => ${days}) where alert_id in ${sql([bad, other])}`
      await outboxRelay(
        db,
        async () => {},
        null,
        signal,
        () => {},
      ).tidy?.()
      return (await sql`select alert_id from outbox where alert_id in ${sql([bad, other])}`).map(
        (row) => row.alert_id,
      )
    }
    expect(await keptAfter(2)).toEqual([bad, bad])
    expect(await keptAfter(8)).toEqual([])
    await runUntil(channel, async () => (await asideOf(channel)).length === 0)
    expect(await asideOf(channel)).toEqual([])
  })
})

test('an entry whose transaction is still open is waited for: none is skipped', async () => {
  const channel = await atEnd(webhook(`${url}/hook`, null))
  const [slow, quick] = [crypto.randomUUID(), crypto.randomUUID()]
  const written = Promise.withResolvers<void>()
  const commit = Promise.withResolvers<void>()
  const open = sql.begin(async (tx) => {
    await tx`insert into outbox (topic, key, alert_id, payload) values ('alerts', 'k', ${slow}, ${JSON.stringify(alarm('raised'))}::text::jsonb)`
    written.resolve()
    await commit.promise
  })
  await written.promise
  await enqueue(quick, alarm('raised'))
  await deliverPage(channel, db, signal)
  expect(got).toHaveLength(0)
  commit.resolve()
  await open
  await deliver(channel, 2)
  expect(got.map((g) => g.headers.get('x-factory-alert-id'))).toEqual([slow, quick])
})

test('transactions are counted, not spelt: the tenth comes after the ninth', async () => {
  const channel = { ...webhook(`${url}/hook`, null), name: 'from the first' }
  await sql`insert into notification_cursors (channel, transaction, entry) values (${channel.name}, '0', 0)`
  const id = crypto.randomUUID()
  for (const n of ['10', '9', '100', '99'])
    await sql`insert into outbox (topic, key, alert_id, payload, transaction)
      values ('alerts', 'k', ${id}, ${JSON.stringify(alarm('raised', { n }))}::text::jsonb, ${n}::xid8)`
  await deliver(channel, 4)
  const ours = got.filter((g) => g.headers.get('x-factory-alert-id') === id)
  expect(ours.map((g) => g.body.n)).toEqual(['9', '10', '99', '100'])
  await sql`delete from outbox where alert_id = ${id}`
})

test('two consumers do not deliver the same entry at once', async () => {
  const channel = await atEnd(webhook(`${url}/hook`, null))
  for (let i = 0; i < 20; i++) await enqueue(crypto.randomUUID(), alarm('raised'))
  await Promise.all([deliver(channel, 20), deliver(channel, 20)])
  expect(new Set(got.map((g) => g.headers.get('x-factory-alert-id'))).size).toBe(got.length)
  expect(got).toHaveLength(20)
})

test('Alertmanager gets one alert for an alarm, with the same labels from its raise to its end', async () => {
  const channel = await atEnd(alertmanager(url, 5000))
  const id = crypto.randomUUID()
  await enqueue(id, alarm('raised'))
  await enqueue(id, alarm('cleared'))
  await deliver(channel, 2)
  expect(got.map((g) => g.path)).toEqual(['/api/v2/alerts', '/api/v2/alerts'])
  const [raised, cleared] = got.map((g) => g.body[0])
  expect(raised.labels).toEqual(cleared.labels)
  expect(raised.labels).toMatchObject({
    alertname: 'critical_threshold_violation',
    severity: 'critical',
    machine_id: 'machine-1',
  })
  expect(Date.parse(raised.endsAt)).toBeGreaterThan(Date.now() + 60_000)
  expect(Date.parse(cleared.endsAt)).toBeLessThanOrEqual(Date.now())
})

test('Alertmanager hears of beginnings and ends only: what calls again is told with all that is open', async () => {
  const channel = await atEnd(alertmanager(url, 5000))
  const id = crypto.randomUUID()
  for (const told of [
    alarm('raised'),
    alarm('shelved'),
    alarm('returned'),
    alarm('unshelved', { active: true }),
    alarm('out_of_service', { suppressed: 'out_of_service', called: true }),
    alarm('in_service'),
    alarm('cleared'),
  ])
    await enqueue(id, told)
  await deliver(channel, 4)
  const isOpen = (body: any) => Date.parse(body[0].endsAt) > Date.now() + 60_000
  expect(got.map(({ body }) => [isOpen(body), body[0].startsAt !== undefined])).toEqual([
    [true, true],
    [false, false],
    [false, false],
    [false, false],
  ])
})

test('a producer that is down is one alarm until it is heard again; one that has finished is none', async () => {
  await sql`insert into producer_health (producer_id, run_id, fleet, status, last_heartbeat) values
    ('plant', 'run-1', 'factory', 'active', now() - interval '30 seconds'),
    ('line', 'run-2', 'soda', 'finished', now() - interval '30 seconds')`
  await Promise.all([careOnce(options()), careOnce(options())])
  await careOnce(options())
  const alarms = () => sql`select sensor_id, severity, active from alerts where rule_id = 'producer.down'`
  expect((await alarms()).map((a) => ({ ...a }))).toEqual([
    { sensor_id: 'plant', severity: 'high', active: true },
  ])
  await sql`update producer_health set last_heartbeat = now() where producer_id = 'plant'`
  await careOnce(options())
  expect((await alarms())[0]!.active).toBe(false)
  const journal = await sql`select transition from alert_journal where sensor_id = 'plant' order by entry`
  expect(journal.map((j) => j.transition)).toEqual(['raised', 'cleared'])
})
