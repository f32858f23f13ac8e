import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { RaisedAlarm } from '../../lib/alarm/alarm.ts'
import { alarmId } from '../../lib/alarm/id.ts'
import { tellAlarms } from '../../lib/alarm/transitions.ts'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { formatMicros } from '../../lib/time.ts'
import { database, STACK_MS } from '../stack.ts'

let sql: Sql
let asked = 0
beforeAll(async () => {
  sql = connect((await database()).url, { name: 'test', max: 1 })
}, STACK_MS)
afterAll(() => closeSql(sql))

const BEGAN = Date.UTC(2026, 8, 21) * 1000

/** Sensor n of a machine, n milliseconds after the first. */
function alarm(n: number, machine: string): RaisedAlarm {
  const source = { topic: 'sensor-data', partition: 0, offset: n }
  const sensor_id = `sensor-${n}`
  return {
    alert_id: alarmId('hot', sensor_id, source),
    timestamp: formatMicros(BEGAN + n * 1000),
    sensor_id,
    sensor_type: 'temperature',
    anomaly_type: 'critical_threshold_violation',
    severity: 'high',
    sensor_value: 41,
    sensor_unit: '°C',
    sensor_alert_level: 'critical',
    location: { factory_section: 'production', machine_id: machine, zone: 'zone-a' },
    detected_by: 'consumer-1',
    description: 'is hot',
    rule_id: 'hot',
    rule_version: 1,
    why: {},
    late: false,
    latching: false,
    ...source,
  }
}

/** In one transaction; how many statements it took beside those for each group that is made. */
async function raise(alarms: RaisedAlarm[]): Promise<number> {
  asked = 0
  await sql.begin(async (tx) => {
    const counting = new Proxy(tx, {
      apply(target, self, args) {
        asked++
        return Reflect.apply(target, self, args)
      },
    })
    await tellAlarms(counting, alarms, [], 'alerts', { sensors: 3, window: 60, wait: 10 })
  })
  return asked
}

test('a storm over many machines is one alarm for each, and asks no more for 1,000 sensors than for 20', async () => {
  const machines = (many: number, name: string) =>
    Array.from({ length: many }, (_, i) => alarm(i + (name === 'b' ? 100 : 0), `${name}-${i % 5}`))
  const few = await raise(machines(20, 'a'))
  const many = await raise(machines(1000, 'b'))
  expect(many).toBe(few)
  const groups = await sql<{ members: number; quiet: number }[]>`
    select count(*) as members, count(*) filter (where m.suppressed = 'group') as quiet
    from alerts g join alerts m on m.group_id = g.alert_id
    where g.rule_id = 'machine.group' and g.sensor_id like 'b-%' group by g.alert_id`
  expect([...groups]).toEqual(Array.from({ length: 5 }, () => ({ members: 200, quiet: 200 })))
})

test('who joins a group later is quiet too, unless it is critical', async () => {
  await raise([1, 2, 3].map((n) => alarm(5000 + n, 'c')))
  await raise([alarm(5010, 'c'), { ...alarm(5011, 'c'), severity: 'critical' }])
  await raise([alarm(5010 + 70_000, 'c')]) // out of the window
  const rows = await sql`select sensor_id, suppressed, group_id is not null as grouped from alerts
    where rule_id = 'hot' and "offset" in (5010, 5011, 75010) order by "offset"`
  expect([...rows]).toEqual([
    { sensor_id: 'sensor-5010', suppressed: 'group', grouped: true },
    { sensor_id: 'sensor-5011', suppressed: null, grouped: true },
    { sensor_id: 'sensor-75010', suppressed: null, grouped: false },
  ])
})
