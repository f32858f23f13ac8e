import { connect as connectTcp } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createStreams, type Change, type Feed } from '../../lib/monitor/stream.ts'
import { STACK_MS } from '../stack.ts'
import { fillPlant, raiseAlarm } from './plant.ts'
import { openRoom, type Room } from './room.ts'

let room: Room
beforeAll(async () => {
  room = await openRoom()
  await fillPlant(room.sql)
  for (let i = 0; i < 6; i++) await room.sampler.sampleOnce()
}, STACK_MS)
afterAll(() => room.close())

interface Event {
  id: number
  event: string
  data: any
}

/** Reads events until `enough`, or fails after three seconds. */
async function read(answer: Response, enough: (events: Event[], text: string) => boolean): Promise<Event[]> {
  const reader = answer.body!.getReader()
  const events: Event[] = []
  let text = ''
  let done = 0
  const stop = setTimeout(() => void reader.cancel(), 3000)
  try {
    while (!enough(events, text)) {
      const part = await reader.read()
      if (part.done) throw new Error(`the stream ended: ${text.slice(-200)}`)
      text += new TextDecoder().decode(part.value)
      const blocks = text.split('\n\n')
      for (; done < blocks.length - 1; done++) {
        const lines = blocks[done]!.split('\n')
        const of = (name: string) => lines.find((l) => l.startsWith(`${name}: `))?.slice(name.length + 2)
        if (of('data'))
          events.push({ id: Number(of('id')), event: of('event')!, data: JSON.parse(of('data')!) })
      }
    }
    return events
  } finally {
    clearTimeout(stop)
    await reader.cancel()
  }
}

describe('/events', () => {
  test('begins with everything, goes on with what changed', async () => {
    const answer = await room.get('/events')
    expect(answer.headers.get('content-type')).toContain('text/event-stream')
    const id = await raiseAlarm(room.sql)
    const raised = (e: Event) => e.event === 'change' && e.data.alarms?.[id] !== undefined
    const sampling = (async () => {
      for (let i = 0; i < 6; i++) await room.sampler.sampleOnce()
    })()
    const events = await read(answer, (list) => list.some(raised))
    await sampling
    expect(events[0]).toMatchObject({ event: 'snapshot', data: { verdict: { word: 'OK' } } })
    expect(Object.keys(events[0]!.data.sensors)).toHaveLength(15)
    expect(Object.keys(events.find(raised)!.data.sensors)).toEqual(['temp-sensor-001'])
  })
  test('resumes after Last-Event-ID without telling anything twice', async () => {
    const first = await read(await room.get('/events'), (list) => list.length === 1)
    await raiseAlarm(room.sql)
    for (let i = 0; i < 6; i++) await room.sampler.sampleOnce()
    const next = await read(
      await room.get('/events', { 'last-event-id': String(first[0]!.id) }),
      (list) => list.length >= 1,
    )
    expect(next[0]!.event).toBe('change')
    expect(next[0]!.id).toBe(first[0]!.id + 1)
  })
  test('an id from another life gets everything again', async () => {
    const events = await read(
      await room.get('/events', { 'last-event-id': '17' }),
      (list) => list.length === 1,
    )
    expect(events[0]!.event).toBe('snapshot')
  })
  test('beats while nothing happens', async () => {
    await read(await room.get('/events'), (_, text) => text.includes(': beat\n\n'))
  })
  test('a page’s stream sends patches from the version that the page has', async () => {
    const { version } = await room.json('/tree?view=overview')
    await raiseAlarm(room.sql, { sensor_id: 'humidity-sensor-001' })
    for (let i = 0; i < 6; i++) await room.sampler.sampleOnce()
    const events = await read(
      await room.get(`/events?view=overview&from=${version}`),
      (list) => list.length >= 1,
    )
    expect(events[0]).toMatchObject({ event: 'patch', data: { from: version } })
  })
})

describe('createStreams()', () => {
  const feed = (change: () => Change | null): Feed => ({
    whole: () => ({ id: 1, event: 'snapshot', data: '{}' }),
    next: change,
    since: () => null,
  })

  test('cuts a viewer that does not read, and keeps the others', async () => {
    let id = 1
    const big = feed(() => ({ id: ++id, event: 'change', data: 'x'.repeat(100_000) }))
    const streams = createStreams({ maxBacklogBytes: 300_000, heartbeatMs: 60_000 })
    const server = Bun.serve({
      port: 0,
      development: false,
      fetch: () => streams.open('data', big, null, null),
    })
    const lazy = connectTcp(server.port ?? 0, '127.0.0.1', () =>
      lazy.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    )
    lazy.pause()
    const cut = new Promise((resolve) => lazy.on('close', resolve))
    const reader = (await fetch(server.url)).body!.getReader()
    const until = Date.now() + 10_000
    while (streams.count() !== 1 || id < 20) {
      if (Date.now() > until) throw new Error(`${streams.count()} viewers after ${id} changes`)
      streams.tick()
      await reader.read()
    }
    lazy.resume()
    await cut
    await reader.cancel()
    streams.close()
    await server.stop(true)
  })
  test('a long beginning is no backlog', async () => {
    const long: Feed = {
      whole: () => ({ id: 1, event: 'snapshot', data: 'x'.repeat(1_000_000) }),
      next: () => null,
      since: () => null,
    }
    const streams = createStreams({ maxBacklogBytes: 1000 })
    const reader = streams.open('data', long, null, null).body!.getReader()
    expect(streams.count()).toBe(1)
    await reader.read() // how soon to come again
    expect((await reader.read()).value!.byteLength).toBeGreaterThan(1_000_000)
    streams.close()
  })
  test('refuses the one too many: of all, and of one client', () => {
    const quiet = feed(() => null)
    const streams = createStreams({ maxStreams: 3, maxPerClient: 2 })
    streams.open('data', quiet, null, '10.0.0.1')
    streams.open('data', quiet, null, '10.0.0.1')
    expect(() => streams.open('data', quiet, null, '10.0.0.1')).toThrow('from this address')
    streams.open('data', quiet, null, null)
    expect(() => streams.open('data', quiet, null, '10.0.0.2')).toThrow('ask again later')
    streams.close()
  })
  test('asks a feed once a tick, however many listen, and not at all when nobody does', () => {
    let asked = 0
    const counted = feed(() => {
      asked++
      return null
    })
    const streams = createStreams()
    streams.tick()
    expect(asked).toBe(0)
    for (let i = 0; i < 50; i++) streams.open('data', counted, null, null)
    asked = 0
    streams.tick()
    expect(asked).toBe(1)
    streams.close()
  })
})
