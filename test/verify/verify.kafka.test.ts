import { afterAll, beforeAll, expect, test } from 'bun:test'
import { sleep } from '../../lib/run.ts'
import { startPlant, type Plant } from '../failure/plant.ts'
import { STACK_MS } from '../stack.ts'

/** The judge must go red: each damage is done by hand to a plant whose producer has stopped, then undone. */
let plant: Plant

beforeAll(async () => {
  plant = await startPlant({ rate: 500 })
  await plant.untilFlowing(60_000)
  await untilSomeSensorHasSeveral()
  await plant.producer.stop()
}, STACK_MS + 120_000)
afterAll(() => plant?.stop(), 60_000)

/** The sensors of a load are many and slow: the damage below needs one with at least two readings. */
async function untilSomeSensorHasSeveral(): Promise<void> {
  for (const end = performance.now() + 60_000; ; await sleep(200)) {
    const several = await plant.sql`select 1 from readings group by sensor_key having count(*) > 3 limit 1`
    if (several.length > 0) return
    if (performance.now() > end) throw new Error('No sensor has more than three readings after 60 s')
  }
}

const clean = { lost: 0, duplicated: 0, phantom: 0 }
const red = async () => {
  const { lost, duplicated, phantom } = await plant.verify()
  return { lost, duplicated, phantom }
}

test('verify: a plant that nobody touched is true to its ledger', async () => {
  const report = await plant.verify()
  expect(report).toMatchObject(clean)
  expect(report.accepted).toBeGreaterThan(100)
  expect(report.stored + report.spooled).toBe(report.accepted)
}, 90_000)

test('verify: one row deleted and another of the same sensor doubled is lost 1, duplicated 1', async () => {
  await plant.sql`create table kept as select * from readings where (sensor_key, seq) = (
    select sensor_key, min(seq) from readings where run_key is not null group by sensor_key having count(*) > 3 limit 1)`
  expect((await plant.sql`select 1 from kept`).length).toBe(1)
  await plant.sql`delete from readings r using kept k where r.sensor_key = k.sensor_key and r.seq = k.seq`
  await plant.sql`insert into readings select r.* from readings r join kept k on r.sensor_key = k.sensor_key
    and r.seq = k.seq + 1`
  expect(await red()).toEqual({ lost: 1, duplicated: 1, phantom: 0 })
  await plant.sql`delete from readings where ctid = (select max(r.ctid) from readings r join kept k
    on r.sensor_key = k.sensor_key and r.seq = k.seq + 1)`
  await plant.sql`insert into readings select * from kept`
  await plant.sql`drop table kept`
  expect(await red()).toEqual(clean)
}, 90_000)

test('verify: a changed value is phantom 1', async () => {
  const [row] = await plant.sql`select sensor_key, seq, value from readings where seq is not null limit 1`
  await plant.sql`update readings set value = value + 0.001 where sensor_key = ${row?.sensor_key} and seq = ${row?.seq}`
  expect(await red()).toEqual({ lost: 0, duplicated: 0, phantom: 1 })
  await plant.sql`update readings set value = ${row?.value}::float8 where sensor_key = ${row?.sensor_key} and seq = ${row?.seq}`
  expect(await red()).toEqual(clean)
}, 90_000)

test.each([
  ['with a number of its own', 'seq + 1000000', 'run_key', '"offset"'],
  ['without identity, at an offset that another row has', 'seq', 'null::integer', '"offset"'],
  ['without identity, beyond the end of the log', 'seq', 'null::integer', '"offset" + 100000000'],
])(
  'verify: a row that nobody sent, %s, is phantom 1',
  async (_why, seq, run, offset) => {
    await plant.sql.unsafe(`
    insert into readings (received_at, measured_at, value, "offset", seq, sensor_key, run_key, quality, flags, partition,
      topic_key, level)
    select received_at, measured_at, value, ${offset}, ${seq}, sensor_key, ${run}, quality, -7, partition, topic_key, level
    from readings where seq is not null limit 1`)
    expect(await red()).toEqual({ lost: 0, duplicated: 0, phantom: 1 })
    await plant.sql`delete from readings where flags = -7`
  },
  90_000,
)
