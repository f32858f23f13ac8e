import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { outboxRelay } from '../../lib/alarm/outbox.ts'
import type { DeviceAlert } from '../../lib/alarm/device-alert.ts'
import { createRegistry } from '../../lib/avro/registry.ts'
import { schemaText } from '../../lib/avro/schemas.ts'
import { createWriter } from '../../lib/avro/writer.ts'
import { createDatabase, type Database } from '../../lib/db/connect.ts'
import { DEVICE_ALERT_TOPIC } from '../../lib/device.ts'
import { until } from '../door.ts'
import { database, registry, STACK_MS } from '../stack.ts'

setDefaultTimeout(STACK_MS)

let db: Database
let url: string
beforeAll(async () => {
  const [{ url: databaseUrl }, server] = await Promise.all([database(), registry()])
  db = createDatabase(databaseUrl, { name: 'test', max: 1 })
  url = server.url
})
afterAll(() => db?.close())

async function put(method: string, path: string, body: object): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${url}${path}`, { method, headers, body: JSON.stringify(body) })
  expect(response.status).toBe(200)
}

test('events that the registry refused are published when it has been mended, and the refusal is told once', async () => {
  const topic = crypto.randomUUID()
  const schema = schemaText('SensorAlert')
  const other = JSON.stringify({ ...JSON.parse(schema), fields: [{ name: 'how_loud', type: 'double' }] })
  await put('POST', `/subjects/${topic}-value/versions`, { schema: other })
  await put('PUT', `/config/${topic}-value`, { compatibility: 'FULL' })
  const payload = { sensor_id: 'device-1', ts: 1, reason: 'hot', temperature: 51, humidity: 40 }
  await db.sql`insert into outbox (topic, key, alert_id, payload) values
    (${DEVICE_ALERT_TOPIC}, 'device-1', ${crypto.randomUUID()}, ${JSON.stringify(payload)}::text::jsonb)`

  const published: string[] = []
  const refusals: string[] = []
  let nowMs = 0
  const writer = createWriter<DeviceAlert>(topic, schema, createRegistry(url))
  const stop = new AbortController()
  const publish = async (to: string, messages: unknown[]) => void published.push(...messages.map(() => to))
  const relay = outboxRelay(
    db,
    publish,
    writer,
    stop.signal,
    (e) => refusals.push(e.message),
    () => nowMs,
  )
  let asked = 0
  const ready = writer.ready
  writer.ready = (signal) => {
    asked++
    return ready(signal)
  }
  /** One page after another, each some seconds later, until it is so. */
  const paging = (what: string, isSo: () => boolean) =>
    until(what, async () => {
      nowMs += 6000
      await db.sql.begin((tx) => relay.page(tx))
      return isSo()
    })

  await paging('it to be asked again and again', () => asked === 3)
  expect(refusals).toEqual([expect.stringContaining(`Cannot register the schema of ${topic}-value`)])
  expect(published).toEqual([])
  await put('PUT', `/config/${topic}-value`, { compatibility: 'NONE' })
  await paging('the event', () => published.length > 0)
  expect(published).toEqual([DEVICE_ALERT_TOPIC])
})
