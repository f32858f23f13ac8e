import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { createHindsight } from '../../lib/ingest/hindsight.ts'
import { isHeld } from '../../lib/ingest/overdue.ts'
import { backtest } from '../backtest.ts'
import { database, STACK_MS } from '../stack.ts'

/**
 * Silence in hindsight: an hour of six sensors, three seconds apart, in three partitions. What the consumers held back then
 * is held back now: a producer that was down, a partition that lagged, a plant that was stopped as a whole.
 */
let url: string
let sql: Sql
beforeAll(async () => {
  ;({ url } = await database())
  sql = connect(url, { name: 'test', max: 1 })
  await sql`insert into topics (topic) values ('sensor-data')`
  await sql`insert into runs (run_id) values ('run-1')`
  await sql`insert into sensors (sensor_id, sensor_type, unit, factory_section, machine_id, zone)
    select 'temp-' || n, 'temperature', '°C', 'production', 'machine-' || n, 'zone-a' from generate_series(0, 5) n`
  await sql`insert into producer_health (producer_id, run_id, fleet, status, started_at, last_heartbeat)
    values ('plant', 'run-1', 'factory', 'active', now() - interval '3 hours', now())`
  await sql`insert into consumer_health (consumer_id, instance_id, status, last_heartbeat)
    values ('consumer-1', gen_random_uuid(), 'active', now())`
  await claimed(-70 * 60)
}, STACK_MS)
afterAll(() => closeSql(sql))

/** Seconds from now. */
async function claimed(at: number): Promise<void> {
  const assigned = JSON.stringify([0, 1, 2].map((partition) => ({ topic: 'sensor-data', partition })))
  await sql`insert into rebalancing_events (at, group_id, consumer_id, instance_id, event_type, assigned)
    values (now() + make_interval(secs => ${at}::float8), 'g', 'consumer-1', gen_random_uuid(), 'rebalance_complete', ${assigned}::text::jsonb)`
}

/** Readings of these sensors between two moments (seconds from now); each partition's come `late` seconds after the last. */
async function speak(from: number, to: number, sensors = [0, 1, 2, 3, 4, 5], arrivesAt?: number) {
  await sql`
    insert into readings (received_at, measured_at, value, "offset", seq, sensor_key, run_key, quality, partition, topic_key, level, claimed_level)
    select coalesce(now() + make_interval(secs => ${arrivesAt ?? null}::float8), m + interval '300 milliseconds'), m, 25,
      (3600000 + s * 1000)::bigint, 1, k.sensor_key, r.run_key, 1, n % 3, t.topic_key, 0, 0
    from generate_series(${from}::float8::numeric, ${to}::float8::numeric, 3) s
    cross join jsonb_array_elements_text(${JSON.stringify(sensors)}::text::jsonb) e(text)
    cross join lateral (select text::integer as n) n
    cross join lateral (select now() + make_interval(secs => s::float8 + n * 0.4) as m) m
    join sensors k on k.sensor_id = 'temp-' || n cross join runs r cross join topics t`
}

const QUIET = { id: 'quiet', kind: 'silence', severity: 'high', anomaly_type: 'sensor_silent' }

test('silence is predicted where the consumers would have told it, and nowhere else', async () => {
  await speak(-3400, -2400)
  // the producer was down for two minutes: one alarm told of it
  await sql`insert into alerts (alert_id, "timestamp", sensor_id, sensor_type, anomaly_type, severity, sensor_unit,
      sensor_alert_level, location, detected_by, description, rule_id, rule_version, why, topic, partition, "offset", active, cleared_at)
    values (gen_random_uuid(), now() - interval '2389 seconds', 'plant', 'producer', 'producer_down', 'high', '', 'normal', '{}',
      'consumer-1', 'down', 'producer.down', 0, '{}', 'producer_health', 0,
      (extract(epoch from now() - interval '2399 seconds') * 1e6)::bigint, false, now() - interval '2280 seconds')`
  await speak(-2280, -1900)
  // the consumers lagged for two minutes: what was measured then arrived at their end
  await speak(-1897, -1780, undefined, -1778)
  await speak(-1777, -1500)
  // everything was stopped for five minutes
  await claimed(-1200)
  await speak(-1195, -900)
  // one sensor fell silent for five minutes, the others went on
  await speak(-897, -600, [1, 2, 3, 4, 5])
  await speak(-597, -3)
  const { readings, would, rules } = await backtest(url, [QUIET])
  expect(rules).toEqual([
    { rule: 'producer.down', was: 1, would: null }, // no reading says it: nothing to try
    { rule: 'quiet', was: 0, would: 1 },
  ])
  expect(readings).toBeGreaterThan(5000)
  expect(would.map((w) => [w.sensor_id, w.rule])).toEqual([['temp-0', 'quiet']])
}, 60_000)

describe('hindsight', () => {
  const s = (seconds: number) => seconds * 1e6
  const past = createHindsight({
    producers: [
      { producer_id: 'plant', run_id: 'run-1', status: 'active', started_us: s(0), heartbeat_us: s(1000) },
      { producer_id: 'line', run_id: 'run-2', status: 'stopped', started_us: s(500), heartbeat_us: s(600) },
    ],
    outages: [{ producer_id: 'plant', from: s(100), to: s(200) }],
    claims: [{ at: s(300), topic: 't', partition: 1 }],
    lags: [{ topic: 't', partition: 0, from: s(400), to: s(450) }],
    listenedUntil: s(1000),
  })
  const held = (runId: string, now: number) =>
    isHeld({ from: s(now - 1), patience: s(12) }, past.producer(runId, s(now)), s(now))

  test.each([
    [1, 'while it is well', 'run-1', 50, false],
    [2, 'while it is down', 'run-1', 150, true],
    [3, 'right after its return', 'run-1', 205, true],
    [4, 'once every sensor has had time to speak', 'run-1', 213, false],
    [5, 'right after its start', 'run-2', 505, true],
    [6, 'before it was stopped', 'run-2', 590, false],
    [7, 'after it was stopped on purpose', 'run-2', 700, true],
    [8, 'of a producer that nobody knows', 'run-9', 700, false],
  ] as const)('case %i: silence is held back %s', (_case, _words, run, now, expected) => {
    expect(held(run, now)).toBe(expected)
  })

  test('knows claims and lag of each partition', () => {
    expect([
      past.claimedAt('t', 1, s(299)),
      past.claimedAt('t', 1, s(301)),
      past.claimedAt('t', 0, s(301)),
    ]).toEqual([-Infinity, s(300), -Infinity])
    expect([past.claimedNext('t', 1, s(299)), past.claimedNext('t', 1, s(301))]).toEqual([s(300), Infinity])
    expect([399, 420, 451].map((at) => past.hasLagged('t', 0, s(at)))).toEqual([false, true, false])
  })
})
