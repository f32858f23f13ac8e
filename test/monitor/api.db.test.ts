import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { STACK_MS } from '../stack.ts'
import { fillPlant, raiseAlarm, tellRebalance } from './plant.ts'
import { openRoom, type Room } from './room.ts'

let room: Room
beforeAll(async () => {
  room = await openRoom()
  await fillPlant(room.sql)
  await raiseAlarm(room.sql)
  await tellRebalance(room.sql, { event_type: 'partition_assigned' })
  await room.sampler.sampleOnce()
}, STACK_MS)
afterAll(() => room.close())

/** One round of the sampler asks everything, whatever its turn. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await room.sampler.sampleOnce()
}

describe('the six paths', () => {
  test('/api/system-status counts consumers and producers and lists rebalances', async () => {
    await settle()
    const body = await room.json('/api/system-status')
    expect(body.status.consumers).toMatchObject({ total: 3, active: 3, dead: 0 })
    expect(body.status.producers).toMatchObject({ total: 1, active: 1 })
    expect(body.rebalancing_events[0].event_type).toBe('partition_assigned')
    expect(body.sections.consumers.status).toBe('ok')
    expect(body.alerts).toEqual({ active: 1, unacknowledged: 1, shelved: 0 })
  })
  test('/api/consumer-health has each consumer with its partitions', async () => {
    const body = await room.json('/api/consumer-health')
    expect(body.consumers).toHaveLength(3)
    expect(body.consumers[0]).toMatchObject({
      consumer_id: 'consumer-1',
      status: 'active',
      assigned_partitions: [{ topic: 'sensor-data', partition: 0 }],
      total_messages_processed: 1000,
    })
    expect(Date.parse(body.consumers[0].last_heartbeat)).toBeGreaterThan(Date.now() - 60_000)
  })
  test('/api/producer-health has each producer with its counts', async () => {
    const body = await room.json('/api/producer-health')
    expect(body.producers[0]).toMatchObject({
      producer_id: 'plant',
      sensor_type: null,
      total_messages_sent: 6000,
      status: 'active',
    })
  })
  test('/api/partition-assignment says who works on what', async () => {
    const body = await room.json('/api/partition-assignment')
    expect(body.assignments.map((a: { consumer_id: string }) => a.consumer_id)).toEqual([
      'consumer-1',
      'consumer-2',
      'consumer-3',
    ])
    expect(body.partition_activity['sensor-data-1']).toMatchObject({
      partition: 1,
      stored: 2001,
      next_offset: 2001,
    })
  })
  test('/api/real-time-metrics gives rates from counters', async () => {
    await room.sql`update partition_progress set stored = stored + 500, next_offset = next_offset + 500`
    await settle()
    const body = await room.json('/api/real-time-metrics')
    expect(body.consumer_throughput).toHaveLength(3)
    expect(body.producer_throughput[0].producer_id).toBe('plant')
    expect(body.partition_activity['sensor-data-0'].messages_per_second).toBeGreaterThan(0)
    expect(body.flow.stored_per_second).toBeGreaterThan(0)
  })
  test('/api/recent-alerts has alarms and rebalances', async () => {
    const body = await room.json('/api/recent-alerts?limit=1')
    expect(body.alerts).toHaveLength(1)
    expect(body.alerts[0]).toMatchObject({
      sensor_id: 'temp-sensor-001',
      severity: 'critical',
      state: 'active_unacknowledged',
    })
    expect(body.rebalancing_events).toHaveLength(1)
  })
})

describe('age', () => {
  test('a consumer without a heartbeat is stale, then dead, whatever it wrote last', async () => {
    const statusAfter = async (seconds: number) => {
      await room.sql`update consumer_health set last_heartbeat = now() - make_interval(secs => ${seconds}) where consumer_id = 'consumer-2'`
      await room.sampler.sampleOnce()
      return (await room.json('/api/consumer-health')).consumers[1].status
    }
    expect(await statusAfter(1)).toBe('active')
    expect(await statusAfter(7)).toBe('stale')
    expect(await statusAfter(40)).toBe('dead')
    const assignments = (await room.json('/api/partition-assignment')).assignments
    expect(assignments[1]).toMatchObject({ consumer_id: null, last_owner: 'consumer-2' })
    await room.sql`update consumer_health set last_heartbeat = now() + interval '1 minute'`
  })
})

describe('faults', () => {
  test.each([
    ['/api/recent-alerts?limit=0', 'limit'],
    ['/api/recent-alerts?limit=501', 'limit'],
    ['/api/recent-alerts?limit=ten', 'limit'],
    ['/api/recent-alerts?limit=5&limit=6', 'limit'],
    ['/api/recent-alerts?colour=red', 'colour'],
    ['/api/system-status?x=1', 'x'],
    [`/api/consumer-health?${'y'.repeat(120)}=1`, 'y'.repeat(100)],
    ['/tree?view=nowhere', 'view'],
  ])('%s is refused with the field named', async (path, field) => {
    const answer = await room.get(path)
    expect(answer.status).toBe(422)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(((await answer.json()) as any).errors[0].field).toBe(field)
  })
  test('an unknown path is a problem too', async () => {
    const answer = await room.get('/api/nothing')
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({ title: 'Not found', status: 404, instance: '/api/nothing' })
  })
})

describe('the page', () => {
  test('arrives with its data, under a strict policy, below 60 KB', async () => {
    const answer = await room.get('/')
    const text = await answer.text()
    expect(answer.headers.get('content-security-policy')).toContain("require-trusted-types-for 'script'")
    expect(text).toContain('temp-sensor-001')
    expect(text).toContain('critical threshold violation')
    expect(text).not.toMatch(/<script(?![^>]*src=)/)
    expect(text.length).toBeLessThan(60_000)
  })
  test('unchanged answers need no body', async () => {
    const first = await room.get('/public/monitor.css')
    const again = await room.get('/public/monitor.css', { 'if-none-match': first.headers.get('etag') ?? '' })
    expect([first.status, again.status]).toEqual([200, 304])
  })
  test('/livez asks nobody; /readyz is 503 while Kafka was never seen', async () => {
    expect((await room.get('/livez')).status).toBe(200)
    expect((await room.get('/readyz?verbose=1')).status).toBe(503)
  })
})
