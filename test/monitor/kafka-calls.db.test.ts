import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { ClusterView } from '../../lib/kafka/client.ts'
import { database, STACK_MS } from '../stack.ts'
import { fillPlant, raiseAlarm } from './plant.ts'
import { openRoomOn, type Room } from './room.ts'

/** Counts what is asked of Kafka; that nobody asks is to be seen without one. */
let calls = 0
const counting: ClusterView = {
  firstSince: async () => Infinity,
  clusterId: async () => 'cluster-a',
  offsets: async () => {
    calls++
    return [0, 1, 2].map((partition) => ({ partition, low: 0, high: 2000 }))
  },
  ask: async () => {
    calls++
    throw new Error('no broker is here')
  },
  close: async () => {},
}

let room: Room
beforeAll(async () => {
  room = await openRoomOn((await database()).url, {}, { cluster: counting })
  await fillPlant(room.sql)
  await raiseAlarm(room.sql)
  for (let i = 0; i < 3; i++) await room.sampler.sampleOnce()
}, STACK_MS)
afterAll(() => room?.close())

test('views of pages, answers of the API, scrapes and streams cost Kafka no call; the sampler’s rounds do', async () => {
  const { paths } = await room.json('/openapi.json')
  const fixed = Object.keys(paths).filter((path) => paths[path].get && !path.includes('{'))
  const pages = ['/', '/?view=wall', '/alarms', '/sensors', '/rules', '/incidents', '/dead-letters', '/docs']
  const others = [
    '/metrics',
    '/readyz',
    '/tree?view=overview',
    '/sensors/temp-sensor-001',
    '/machines/machine-001',
  ]
  calls = 0
  for (const path of [...fixed, ...pages, ...others])
    for (let i = 0; i < 5; i++) await (await room.get(path)).text()
  const streams = await Promise.all(Array.from({ length: 20 }, () => room.get('/events?view=overview')))
  expect(calls).toBe(0)
  expect(fixed.length).toBeGreaterThan(15)
  expect(room.streams.count()).toBe(20)
  await room.sampler.sampleOnce()
  // twenty who look on cost no more than one
  expect(calls).toBeGreaterThan(0)
  expect(calls).toBeLessThan(4)
  await Promise.all(streams.map((one) => one.body?.cancel()))
})
