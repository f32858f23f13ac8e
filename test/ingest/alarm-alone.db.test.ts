import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import type { RaisedAlarm } from '../../lib/alarm/alarm.ts'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { DEVICE_SECTION, DEVICE_TOPIC } from '../../lib/device.ts'
import { Fault } from '../../lib/ingest/decode.ts'
import { createOutputs } from '../../lib/ingest/outputs.ts'
import { Fenced, storeBatch, type Batch } from '../../lib/ingest/store.ts'
import { database, STACK_MS } from '../stack.ts'
import { row } from './row.ts'

setDefaultTimeout(STACK_MS)

/** An alarm of a device goes along in the statement that stores its readings; beside a dead letter it takes a transaction. */
const sqls: Sql[] = []

async function fresh(): Promise<Sql> {
  const sql = connect((await database()).url, { name: 'test', max: 2 })
  sqls.push(sql)
  await sql`insert into partition_progress (cluster_id, topic, partition, next_offset, epoch, owner, claimed_at)
    values ('c', ${DEVICE_TOPIC}, 0, 10, 3, 'consumer-1', now())`
  return sql
}

let sql: Sql
beforeEach(async () => {
  sql = await fresh()
})
afterEach(() => Promise.all(sqls.splice(0).map(closeSql)))

function alarm(n: number, channel = 'temperature'): RaisedAlarm {
  return {
    alert_id: `6f2d1c1e-0000-5000-8000-00000000000${n}`,
    timestamp: `2026-11-21T12:00:0${n}.000000Z`,
    sensor_id: `device-1.${channel}`,
    sensor_type: channel,
    anomaly_type: 'critical_threshold_violation',
    severity: 'critical',
    sensor_value: 60,
    sensor_unit: '°C',
    sensor_alert_level: 'critical',
    location: { factory_section: DEVICE_SECTION, machine_id: 'device-1', zone: 'devices' },
    detected_by: 'consumer-1',
    description: `it's "hot": ${n}`,
    rule_id: `device.${channel}.high_high`,
    rule_version: 1,
    why: { rule: { kind: 'limit' }, together: { temperature: 60, humidity: 5 }, high: 50 },
    late: false,
    latching: false,
    topic: DEVICE_TOPIC,
    partition: 0,
    offset: n,
  }
}

function batchOf(raised: RaisedAlarm[], rows: number, isAlone: boolean): Batch {
  const outputs = createOutputs()
  for (let i = 0; i < rows; i++) outputs.copy.append({ ...row, offset: i })
  outputs.raised.push(...raised)
  if (!isAlone) {
    const message = { offset: 9, appendedAtMs: 0, key: null, value: Buffer.from('x'), headers: undefined }
    outputs.deadLetters.push({ message, fault: new Fault('decode', 'is x'), identity: null, source: null })
  }
  return {
    position: { clusterId: 'c', topic: DEVICE_TOPIC, partition: 0, expected: 10, next: 12, epoch: 3 },
    outputs,
    checkpoint: null,
    latest: [],
    topicKey: 1,
    detectedBy: 'consumer-1',
    alertTopic: 'alerts',
    groups: { sensors: 3, window: 60, wait: 10 },
  }
}

async function written(from: Sql) {
  const alerts =
    await from`select to_jsonb(a) - 'created_at' - 'updated_at' as row from alerts a order by alert_id`
  const journal =
    await from`select to_jsonb(j) - 'recorded_at' - 'entry' - 'at' as row from alert_journal j order by alert_id`
  const outbox = await from`select topic, key, alert_id, payload from outbox order by 1, 3`
  const [stored] = await from`select count(*)::int as n from readings`
  return { alerts: [...alerts], journal: [...journal], outbox: [...outbox], readings: stored?.n }
}

const quiet = (from: Sql) => from`
  insert into out_of_service (sensor_id, by, reason) values ('device-1.humidity', 'ada', 'in repair')`

test('in one statement and in a transaction the same is written', async () => {
  const raised = [alarm(1), alarm(2, 'humidity')]
  const other = await fresh()
  for (const [on, isAlone] of [
    [sql, true],
    [other, false],
  ] as const) {
    await quiet(on)
    await storeBatch(on, batchOf(raised, 34, isAlone))
  }
  const one = await written(sql)
  expect(one).toEqual(await written(other))
  expect(one.alerts).toHaveLength(2)
  expect(one.journal).toHaveLength(2)
  expect(one.readings).toBe(34)
  expect(one.outbox.map((o) => [o.topic, o.payload.suppressed])).toEqual([
    ['alerts', undefined],
    ['alerts', 'out_of_service'],
    ['sensor.alert', undefined],
    ['sensor.alert', undefined],
  ])
})

test('listeners are told which alarms', async () => {
  const heard: string[] = []
  const listening = await sql.listen('alerts', (text) => heard.push(text))
  await storeBatch(sql, batchOf([alarm(1), alarm(2)], 2, true))
  await sql`select pg_notify('alerts', 'end')`
  const until = performance.now() + 5000
  while (heard.at(-1) !== 'end' && performance.now() < until) await Bun.sleep(5)
  await listening.unlisten()
  expect(heard.map((text) => text.split(',').sort())).toEqual([
    [alarm(1).alert_id, alarm(2).alert_id],
    ['end'],
  ])
})

test('who no longer owns the partition raises nothing and tells nobody', async () => {
  const heard: string[] = []
  const listening = await sql.listen('alerts', (text) => heard.push(text))
  const late = batchOf([alarm(1)], 2, true)
  late.position.epoch = 2
  await expect(storeBatch(sql, late)).rejects.toBeInstanceOf(Fenced)
  await sql`select pg_notify('alerts', 'end')`
  const until = performance.now() + 5000
  while (heard.length === 0 && performance.now() < until) await Bun.sleep(5)
  await listening.unlisten()
  expect(heard).toEqual(['end'])
  expect(await written(sql)).toEqual({ alerts: [], journal: [], outbox: [], readings: 0 })
})

test('an alarm that is there already is not told again', async () => {
  await storeBatch(sql, batchOf([alarm(1)], 2, true))
  await sql`update partition_progress set next_offset = 10`
  await storeBatch(sql, batchOf([alarm(1)], 2, true))
  const { alerts, journal, outbox } = await written(sql)
  expect([alerts.length, journal.length, outbox.length]).toEqual([1, 1, 2])
})
