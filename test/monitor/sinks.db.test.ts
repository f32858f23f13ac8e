import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import type { SinkRow } from '../../lib/monitor/questions/sinks.ts'
import { isMissed, tellSink, viewSinks } from '../../lib/monitor/sinks.ts'
import { createDoubt } from '../../lib/ingest/log-end.ts'
import { claimSink, leaveSink } from '../../lib/sink/progress.ts'
import { STACK_MS } from '../stack.ts'
import { fillPlant } from './plant.ts'
import { openRoom, type Room } from './room.ts'

const row = (over: Partial<SinkRow> = {}): SinkRow => ({
  sink: 's3:cold',
  topic: 't',
  partition: 0,
  next_offset: 100,
  owner: 'sink-s3',
  connected: true,
  updated_at: '2026-01-01T12:00:00.000Z',
  updated_age_s: 5,
  stored: 100,
  dead_lettered: 0,
  repeated: 0,
  missing: 0,
  stopped: null,
  left_at: null,
  ...over,
})
const LEFT = '2026-01-01T12:00:01.000Z'
const ends = (high: number) => new Map([['t', [0, 1].map((partition) => ({ partition, low: 0, high }))]])
const statusOf = (rows: SinkRow[], high: number) => viewSinks(rows, ends(high), 60_000)[0]?.status

describe('viewSinks()', () => {
  test.each([
    [1, 'nothing waits', [row({ updated_age_s: 9000 })], 100, 'active'],
    [2, 'something waits, and it moved lately', [row()], 150, 'active'],
    [3, 'something waits, and nothing moves', [row({ updated_age_s: 61 })], 150, 'stalled'],
    [
      4,
      'one of two partitions stands still',
      [row(), row({ partition: 1, updated_age_s: 61 })],
      150,
      'stalled',
    ],
    [5, 'it says that it can’t go on', [row({ stopped: 'the log ends before it' })], 150, 'stopped'],
    [
      6,
      'nobody is connected, whatever was said last',
      [row({ connected: false, stopped: 'x' })],
      150,
      'away',
    ],
    [7, 'one of two processes is left', [row(), row({ partition: 1, connected: false })], 150, 'active'],
    [8, 'it was stopped on purpose', [row({ connected: false, left_at: LEFT })], 150, 'left'],
    [9, 'it said goodbye, and its connection is not closed yet', [row({ left_at: LEFT })], 150, 'left'],
    [
      10,
      'one of two was stopped on purpose, the other is at work',
      [row({ left_at: LEFT, connected: false }), row({ partition: 1 })],
      150,
      'active',
    ],
    [
      11,
      'one of two was stopped on purpose, the other died',
      [row({ left_at: LEFT, connected: false }), row({ partition: 1, connected: false })],
      150,
      'away',
    ],
    [12, 'the log ends before it: another one', [row({ updated_age_s: 61 })], 10, 'stalled'],
    [13, 'it is newer than the end that is known of the log', [row()], 10, 'active'],
  ] as const)('case %i: %s', (_case, _words, rows, high, status) => {
    expect(statusOf([...rows], high)).toBe(status)
  })

  test('one that was stopped on purpose is not missed, and says what waits; one that died is missed for ten minutes', () => {
    const one = (over: Partial<SinkRow>) =>
      viewSinks([row({ connected: false, ...over })], ends(150), 60_000)[0]!
    const left = one({ left_at: LEFT })
    expect([isMissed(left), tellSink(left), left.left_at]).toEqual([
      false,
      'stopped on purpose, 50 messages wait',
      LEFT,
    ])
    const died = one({})
    expect([isMissed(died), tellSink(died), died.left_at]).toEqual([true, 'away, 50 messages wait', null])
    expect(isMissed(one({ updated_age_s: 601 }))).toBe(false)
  })

  test('adds up its partitions, and does not guess where the log’s end is unknown', () => {
    const rows = [
      row(),
      row({ partition: 1, stored: 40, next_offset: 140 }),
      row({ sink: 'elasticsearch:x' }),
    ]
    const [s3, search] = viewSinks(rows, ends(150), 60_000)
    expect(s3).toMatchObject({ sink: 's3:cold', lag: 60, stored: 140, owners: ['sink-s3'] })
    expect(search).toMatchObject({ sink: 'elasticsearch:x', lag: 50 })
    expect(viewSinks(rows, null, 60_000)[0]?.lag).toBeNull()
    expect(viewSinks([row({ updated_age_s: 61 })], ends(10), 60_000)[0]?.lag).toBeNull()
  })
})

describe('sinks on the monitor', () => {
  let room: Room
  let alive: Sql
  beforeAll(async () => {
    room = await openRoom()
    await fillPlant(room.sql)
    alive = connect(room.url, { name: 'sink-s3', max: 1 })
    await alive`select 1`
    for (const [sink, owner] of [
      ['s3:sensor-cold', 'sink-s3'],
      ['elasticsearch:sensor_readings', 'sink-elasticsearch'],
    ] as const)
      await room.sql`
        insert into sink_progress (sink, cluster_id, topic, partition, next_offset, epoch, owner, claimed_at, marks_offset, stored)
        values (${sink}, 'cluster-a', 'sensor-data', 0, 500, 1, ${owner}, now(), 0, 499)`
    await room.sampler.sampleOnce()
  }, STACK_MS)
  afterAll(async () => {
    if (alive) await closeSql(alive)
    await room?.close()
  })

  test('the API tells of each, and who is away', async () => {
    const { status, sinks } = await room.json('/api/sinks')
    expect(status).toBe('ok')
    expect(sinks.map((x: any) => [x.sink, x.status, x.stored])).toEqual([
      ['elasticsearch:sensor_readings', 'away', 499],
      ['s3:sensor-cold', 'active', 499],
    ])
    const { verdict } = await room.json('/api/system-status')
    expect(verdict.reasons).toContainEqual(
      expect.objectContaining({ word: 'DEGRADED', where: 'sinks', text: expect.stringContaining('is away') }),
    )
  })

  test('one that says goodbye degrades nothing; taken over again, it is at work', async () => {
    const place = {
      sink: 'elasticsearch:sensor_readings',
      clusterId: 'cluster-a',
      topic: 'sensor-data',
      partition: 0,
    }
    await leaveSink(room.sql, place, 7)
    await room.sampler.sampleOnce()
    expect((await room.json('/api/sinks')).sinks[0].status).toBe('away') // an epoch that is over says nothing
    await leaveSink(room.sql, place, 1)
    await room.sampler.sampleOnce()
    await room.sampler.sampleOnce()
    expect((await room.json('/api/sinks')).sinks[0]).toMatchObject({
      status: 'left',
      left_at: expect.any(String),
    })
    const { verdict } = await room.json('/api/system-status')
    expect(verdict.reasons.filter((r: any) => r.where === 'sinks')).toEqual([])
    expect(await (await room.get('/')).text()).toContain('stopped on purpose')
    await claimSink(room.sql, place, 'sink-elasticsearch', { low: 0, high: 1000 }, createDoubt(Date.now))
    const [claimed] = await room.sql`select left_at from sink_progress where sink = ${place.sink}`
    expect(claimed!.left_at).toBeNull()
  })

  test('/metrics tells of each from its positions, whether it runs or not, and of what waits for a decision', async () => {
    await room.sql`update partition_progress set stopped = 'another log' where partition = 0`
    await room.sql`update sink_progress set stopped = 'another log', dead_lettered = 3 where sink = 's3:sensor-cold'`
    await room.sampler.sampleOnce()
    const text = await (await room.get('/metrics')).text()
    for (const line of [
      'factory_sink_info{sink="elasticsearch:sensor_readings",status="away"} 1',
      'factory_sink_info{sink="s3:sensor-cold",status="stopped"} 1',
      'factory_sink_dead_letters_total{sink="s3:sensor-cold"} 3',
      'factory_partition_stopped{topic="sensor-data",partition="0"} 1',
    ])
      expect(text.split('\n')).toContain(line)
  })

  test('the page shows them', async () => {
    const page = await (await room.get('/')).text()
    expect(page).toContain('id="sinks"')
    expect(page).toContain('s3:sensor-cold')
  })
})
