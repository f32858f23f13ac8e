import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { database, STACK_MS } from '../stack.ts'
import { dumpSchema } from './dump.ts'

setDefaultTimeout(STACK_MS)

let sql: Sql
let url: string
beforeAll(async () => {
  url = (await database()).url
  sql = connect(url, { name: 'test', max: 1 })
})
afterAll(() => closeSql(sql))

describe('the schema', () => {
  test('is test/schema.sql: what a migration does shows in review (UPDATE_SCHEMA=1 writes it anew)', async () => {
    const file = Bun.file(join(import.meta.dir, '../schema.sql'))
    const dump = await dumpSchema(sql)
    if (process.env.UPDATE_SCHEMA === '1') await Bun.write(file, dump)
    expect(dump).toBe(await file.text())
  })

  test('has partitions of readings from yesterday to a week ahead; more are made, none twice', async () => {
    const partitions = async () => {
      const rows = await sql<{ name: string }[]>`
        select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'readings'::regclass order by 1`
      return rows.map((row) => row.name)
    }
    const [{ today }] = (await sql`select to_char(now() at time zone 'utc', 'YYYYMMDD') as today`) as [
      { today: string },
    ]
    const before = await partitions()
    expect(before).toContain(`readings_${today}`)
    expect(before.length).toBe(9)
    expect([...(await sql`select ensure_reading_partitions(7) as made`)]).toEqual([{ made: 0 }])
    expect([...(await sql`select ensure_reading_partitions(10) as made`)]).toEqual([{ made: 3 }])
    expect((await partitions()).length).toBe(12)
  })

  test('drops days that are over, and remembers how many readings they held', async () => {
    await sql`create table readings_20200101 (like readings including defaults including constraints)`
    await sql`alter table readings attach partition readings_20200101
      for values from ('2020-01-01 00:00:00+00') to ('2020-01-02 00:00:00+00')`
    await sql`insert into readings (received_at, measured_at, value, "offset", sensor_key, quality, partition, topic_key, level)
      select '2020-01-01 12:00:00+00', '2020-01-01 12:00:00+00', n, n, 1, 1, 0, 1, 0 from generate_series(1, 7) n`
    expect([...(await sql`select drop_old_reading_partitions(30) as dropped`)]).toEqual([
      { dropped: 'readings_20200101' },
    ])
    const retired =
      await sql`select partition_name, readings, received_before::text as before from retired_readings`
    expect([...retired]).toEqual([
      { partition_name: 'readings_20200101', readings: 7, before: '2020-01-02 00:00:00+00' },
    ])
    expect([...(await sql`select drop_old_reading_partitions(30) as dropped`)]).toEqual([])
  })

  test('drops past rounds of a production line with their days, and never its newest', async () => {
    await sql`
      insert into production_lines (factory_id, sensor_id, soda_name, round, tier, total, count, readings, first_at,
        last_at, value, points, run_id)
      select 'F1', 'S1-1', 'Cola', round, '1.1', 5, 5, 5, at, at, 50, array_fill(0::bigint, array[101]), 'r'
      from (values (1, now() - interval '40 days'), (2, now() - interval '31 days'), (3, now() - interval '29 days'))
        as v (round, at)
      union all
      select 'F1', 'S1-1', 'Fanta', 1, '1.1', 5, 5, 5, now() - interval '99 days', now() - interval '99 days', 50,
        array_fill(0::bigint, array[101]), 'r'`
    expect([...(await sql`select drop_old_rounds(30) as dropped`)]).toEqual([{ dropped: 2 }])
    const left = await sql`select soda_name, round from production_lines order by 1`
    expect([...left]).toEqual([
      { soda_name: 'Cola', round: 3 },
      { soda_name: 'Fanta', round: 1 },
    ])
  })
})

/** [what, statement]: each is refused to that role. */
const FORBIDDEN = {
  consumer: [
    ['change a reading', 'update readings set value = 0'],
    ['delete readings', 'delete from readings'],
    ['empty the readings', 'truncate readings'],
    ['drop the readings', 'drop table readings'],
    ['change a dead letter', "update dead_letters set reason = 'x'"],
    ['delete a dead letter', 'delete from dead_letters'],
    ['change the journal', "update alert_journal set actor = 'x'"],
    ['delete from the journal', 'delete from alert_journal'],
    ['delete an alarm', 'delete from alerts'],
    ['rewrite a rule book', "update rule_books set author = 'x'"],
    [
      'take a sensor out of service',
      "insert into out_of_service (sensor_id, by, reason) values ('x', 'y', 'z')",
    ],
    ['delete the progress', 'delete from partition_progress'],
    ['rewrite a rebalance', "update rebalancing_events set consumer_id = 'x'"],
    ['speak for a producer', 'update producer_health set total_messages_sent = 0'],
    ['make a table', 'create table mine (a integer)'],
    ['look at passwords', 'select rolpassword from pg_authid'],
    ['make a role', 'create role another'],
    ['run a program', "copy sensors to program 'cat'"],
    ['forget a migration', 'delete from schema_migrations'],
  ],
  producer: [
    ['read readings', 'select * from readings'],
    ['write readings', 'insert into readings (measured_at) values (now())'],
    ['move the progress', 'update partition_progress set next_offset = 0'],
    ['write an alarm', 'insert into alerts (alert_id) values (gen_random_uuid())'],
    ['acknowledge an alarm', 'update alerts set acknowledged = true'],
    ['speak for a consumer', "update consumer_health set status = 'active'"],
    ['register a sensor', "insert into sensors (sensor_id) values ('x')"],
    ['delete a dead letter', 'delete from dead_letters'],
    ['drop old partitions', 'select drop_old_reading_partitions(0)'],
    ['drop rounds of lines', 'select drop_old_rounds(0)'],
    ['make a table', 'create table mine (a integer)'],
  ],
  monitor: [
    ['write readings', 'insert into readings (measured_at) values (now())'],
    ['change readings', 'update readings set value = 0'],
    ['move the progress', 'update partition_progress set next_offset = 0'],
    ['change a checkpoint', 'delete from partition_checkpoints'],
    ['delete an alarm', 'delete from alerts'],
    ['raise an alarm', 'insert into alerts (alert_id) values (gen_random_uuid())'],
    ['say that an alarm was about something else', "update alerts set description = 'x'"],
    ['say that an alarm had another value', 'update alerts set sensor_value = 0, acknowledged = true'],
    ['say that an alarm came from elsewhere', 'update alerts set "offset" = 0'],
    ['change the journal', "update alert_journal set reason = 'x'"],
    ['delete from the journal', 'delete from alert_journal'],
    ['speak for a consumer', "update consumer_health set status = 'active'"],
    ['speak for a producer', "update producer_health set status = 'active'"],
    ['delete a dead letter', 'delete from dead_letters'],
    ['empty the outbox', 'delete from outbox'],
    ['rewrite a rule book', "update rule_books set author = 'x'"],
    ['delete a rule book', 'delete from rule_books'],
    ['say where rules are in force', 'delete from rule_activations'],
    ['drop old partitions', 'select drop_old_reading_partitions(0)'],
    ['drop rounds of lines', 'select drop_old_rounds(0)'],
    ['make a table', 'create table mine (a integer)'],
  ],
} as const

/** [what, statement]: each is needed, so that least rights do not mean none. */
const ALLOWED = {
  consumer: [
    'select * from partition_progress',
    'select * from sensors',
    'select ensure_reading_partitions(7)',
    'select drop_old_rounds(30)',
    'delete from out_of_service where false',
  ],
  producer: [
    'select * from producer_health',
    "insert into system_events (source, event, severity, message) values ('p', 'e', 'info', 'm')",
  ],
  monitor: [
    'select * from sensor_readings',
    'select * from alerts',
    'select * from dead_letters',
    'select * from consumer_health',
    'select * from rule_books',
    'delete from out_of_service where false',
  ],
} as const

for (const role of ['consumer', 'producer', 'monitor'] as const) {
  describe(`role ${role}`, () => {
    let mine: Sql
    beforeAll(() => {
      mine = connect(url, { name: 'test', role, max: 1 })
    })
    afterAll(() => closeSql(mine))

    test.each([...FORBIDDEN[role]])('may not %s', async (_what, statement) => {
      await expect(mine.unsafe(statement)).rejects.toMatchObject({ code: '42501' })
    })

    test.each([...ALLOWED[role]])('may %s', async (statement) => {
      expect(await mine.unsafe(statement)).toBeArray()
    })
  })
}
