import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { rollUp as stepOfRollUps } from '../../lib/db/roll-up.ts'
import { database, STACK_MS } from '../stack.ts'

let url: string
let sql: Sql
let other: Sql
beforeAll(async () => {
  url = (await database()).url
  sql = connect(url, { name: 'test', max: 1 })
  other = connect(url, { name: 'test-other', max: 1 })
  await sql`insert into sensors (sensor_id, sensor_type, unit, factory_section, machine_id, zone) values ('s1', 'temperature', '°C', 'p', 'm', 'z')`
  await sql`insert into topics (topic) values ('t')`
}, STACK_MS)
afterAll(async () => {
  await closeSql(sql)
  await closeSql(other)
})

async function store(
  db: Sql,
  measuredAt: string,
  value: number,
  over: { level?: number; flags?: number } = {},
): Promise<void> {
  await db`insert into readings (measured_at, value, "offset", sensor_key, quality, partition, topic_key, level, flags)
    values (${measuredAt}, ${value}, 1, 1, 1, 0, 1, ${over.level ?? 0}, ${over.flags ?? 0})`
}

/** What a monitor does until it is no longer behind; open transactions may hold the last second back. */
async function rollUp(): Promise<void> {
  const until = Date.now() + 15_000
  const [{ target }] = (await sql`select now() as target`) as unknown as [{ target: Date }]
  for (;;) {
    const [row] = await sql<{ rolled_up_to: Date }[]>`select rolled_up_to from roll_up_readings('1 day')`
    if (row!.rolled_up_to >= target) return
    if (Date.now() > until) throw new Error('the roll-ups did not get there')
    await Bun.sleep(50)
  }
}
const minutes = () =>
  sql`select to_char(bucket at time zone 'utc', 'HH24:MI') as at, readings, total, lowest, highest, warnings, criticals from readings_1m order by bucket`
const plain = (rows: readonly object[]) => rows.map((r) => ({ ...r }))

describe('roll_up_readings()', () => {
  test('adds each reading once to its minute, hour and day, by event time', async () => {
    await store(sql, '2026-03-01T10:00:01Z', 20)
    await store(sql, '2026-03-01T10:00:59Z', 30, { level: 1 })
    await store(sql, '2026-03-01T10:01:00Z', 40, { level: 2 })
    await rollUp()
    await rollUp()
    expect(plain(await minutes())).toEqual([
      { at: '10:00', readings: 2, total: 50, lowest: 20, highest: 30, warnings: 1, criticals: 0 },
      { at: '10:01', readings: 1, total: 40, lowest: 40, highest: 40, warnings: 0, criticals: 1 },
    ])
    expect(plain(await sql`select readings, total, lowest, highest from readings_1h`)).toEqual([
      { readings: 3, total: 90, lowest: 20, highest: 40 },
    ])
    expect(plain(await sql`select readings from readings_1d`)).toEqual([{ readings: 3 }])
  })
  test('a late reading is added to its own old minute', async () => {
    await store(sql, '2026-03-01T10:00:30Z', 10, { flags: 1 })
    await rollUp()
    expect((await minutes())[0]).toMatchObject({ at: '10:00', readings: 3, total: 60, lowest: 10 })
  })
  test('a transaction that commits after a later one is not forgotten', async () => {
    let commit = () => {}
    const opened = Promise.withResolvers<void>()
    const slow = other.begin(async (tx) => {
      await tx`insert into readings (measured_at, value, "offset", sensor_key, quality, partition, topic_key, level)
        values ('2026-03-01T12:00:00Z', 1, 1, 1, 1, 0, 1, 0)`
      opened.resolve()
      await new Promise<void>((resolve) => (commit = resolve))
    })
    await opened.promise
    await store(sql, '2026-03-01T12:00:01Z', 2)
    for (let i = 0; i < 20; i++) {
      await sql`select roll_up_readings('1 day')`
      await Bun.sleep(60)
    }
    commit()
    await slow
    await rollUp()
    expect((await minutes()).at(-1)).toMatchObject({ at: '12:00', readings: 2, total: 3 })
  })
  test('what has an impossible time is left out, history with its own old times is not', async () => {
    await store(sql, '1970-01-01T00:00:00Z', 5, { flags: 2 })
    await store(sql, '2013-07-04T00:00:00Z', 5, { flags: 2 | 64 })
    await rollUp()
    const [first] =
      await sql`select to_char(min(bucket) at time zone 'utc', 'YYYY-MM') as month, to_regclass('readings_1m_201307') is not null as made from readings_1m`
    expect({ ...first }).toEqual({ month: '2013-07', made: true })
  })
  test('two at once do not add twice', async () => {
    await store(sql, '2026-03-01T13:00:00Z', 7)
    await Promise.all([
      rollUp(),
      other`select roll_up_readings('1 day')`,
      other`select roll_up_readings('1 day')`,
    ])
    await rollUp()
    expect((await minutes()).at(-1)).toMatchObject({ at: '13:00', readings: 1 })
  })
  test('what has gathered for less time than asked for is left until it is worth a look', async () => {
    await store(sql, '2026-03-01T14:00:00Z', 7)
    await rollUp()
    const reached = async () => (await sql`select rolled_up_to as at from rollup_progress`)[0]!.at as Date
    const before = await reached()
    await store(sql, '2026-03-01T14:01:00Z', 7)
    await Bun.sleep(1100)
    const [early] = await sql`select * from roll_up_readings('1 day', '1 hour')`
    expect({ ...early }).toEqual({ rolled_up_to: before, behind: false })
    expect((await minutes()).at(-1)).toMatchObject({ at: '14:00' })
    await sql`select * from roll_up_readings('1 day', '1 second')`
    expect((await minutes()).at(-1)).toMatchObject({ at: '14:01', readings: 1 })
  })
  test('pages that were rolled up are not read again, though nobody has vacuumed or analysed', async () => {
    await sql`insert into readings (measured_at, value, "offset", sensor_key, quality, partition, topic_key, level)
      select timestamptz '2026-03-02T00:00:00Z' + n * interval '1 second', 1, n, 1, 1, 0, 1, 0 from generate_series(1, 50000) n`
    const pagesRead = async () => {
      await sql`select pg_stat_force_next_flush()`
      const [row] = await sql<{ n: number }[]>`select sum(heap_blks_read + heap_blks_hit)::integer as n
        from pg_statio_user_tables where relname ~ '^readings_\\d{8}$'`
      return row!.n
    }
    await rollUp()
    const before = await pagesRead()
    await store(sql, '2026-03-03T00:00:00Z', 8)
    await rollUp()
    const [held] = await sql<
      { pages: number }[]
    >`select sum(relpages_now)::integer as pages from (select pg_relation_size(oid) / 8192 as relpages_now from pg_class where relname ~ '^readings_\\d{8}$') p`
    expect(held!.pages).toBeGreaterThan(400)
    // a step or two, each of them a range of 16 pages
    expect((await pagesRead()) - before).toBeLessThan(200)
    expect((await minutes()).at(-1)).toMatchObject({ readings: 1, total: 8 })
  })
  test('a hash of the groups is kept, the readings are not sorted on disk', async () => {
    const spilled = async () => {
      await sql`select pg_stat_force_next_flush()`
      const [row] = await sql<
        { n: number }[]
      >`select temp_bytes::float8 as n from pg_stat_database where datname = current_database()`
      return row!.n
    }
    await sql`alter function add_to_roll_ups(interval) set work_mem = '256kB'`
    await sql`insert into readings (measured_at, value, "offset", sensor_key, quality, partition, topic_key, level)
      select timestamptz '2026-03-04T00:00:00Z' + n * interval '1 ms', 1, n, 1, 1, 0, 1, 0 from generate_series(1, 50000) n`
    const before = await spilled()
    await rollUp()
    expect((await spilled()) - before).toBe(0)
    expect((await minutes()).at(-1)).toMatchObject({ readings: 50000 })
    await sql`alter function add_to_roll_ups(interval) set work_mem = '32MB'`
  })
  test(
    'a step that takes longer than a statement may is tried in smaller ones until it has caught up',
    async () => {
      const [start] = await sql<{ n: number }[]>`select count(*)::integer as n from readings_1m`
      await sql`delete from readings` // of the tests before, which would be added again
      await sql`update rollup_progress set rolled_up_to = now() - interval '298 seconds'`
      await sql`insert into readings (received_at, measured_at, value, "offset", sensor_key, quality, partition, topic_key, level)
      select now() - n * interval '1 second', timestamptz '2026-03-05T00:00:00Z' + n * interval '1 minute', 1, n, 1, 1, 0, 1, 0
      from generate_series(1, 290) n`
      await sql`create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.01); return new; end'`
      await sql`create trigger slow before insert on readings_1m for each row execute function slow()`
      const hasty = connect(url, { name: 'hasty', max: 1, statementTimeoutMs: 1000 })
      const steps: boolean[] = []
      // five minutes take three seconds here, half of that still more than one
      while (steps.length < 30 && (steps.at(-1) ?? true)) steps.push(await stepOfRollUps(hasty))
      await closeSql(hasty)
      await sql`drop trigger slow on readings_1m`
      expect(steps.length).toBeGreaterThan(4)
      const [end] = await sql<{ n: number }[]>`select count(*)::integer as n from readings_1m`
      expect(end!.n - start!.n).toBeGreaterThanOrEqual(280) // the last ten seconds are not worth a look yet
    },
    STACK_MS,
  )
  test('minutes go by whole months, hours and days stay', async () => {
    const dropped = await sql<{ name: string }[]>`select drop_old_rollups(400) as name`
    expect(dropped.map((d) => d.name)).toEqual(['readings_1m_201307'])
    const [left] = await sql`select count(*)::int as hours from readings_1h where bucket < '2014-01-01'`
    expect(left!.hours).toBe(1)
  })
})
