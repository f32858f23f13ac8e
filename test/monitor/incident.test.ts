import { describe, expect, test } from 'bun:test'
import type { RebalanceRow } from '../../lib/monitor/questions/rebalances.ts'
import type { Snapshot } from '../../lib/monitor/snapshot.ts'
import { calm, consumer, iso, ok, partition, play, snapshot, without } from './played.ts'

describe('observeIncident()', () => {
  test('says nothing in ordinary life', () => {
    expect(play(calm(0, 30))).toEqual([])
  })

  test('a killed consumer: died at its last sign of life, noticed when seen, over when it is back', () => {
    const dead = {
      status: 'stale',
      connected: false,
      last_heartbeat: iso(1.2),
      heartbeat_age_s: 2.8,
    } as const
    const [incident, ...others] = play([...calm(0, 3), without(4, dead), without(5, dead), ...calm(6)])
    expect(others).toEqual([])
    expect(incident).toMatchObject({
      title: 'c2 died',
      causes: ['c2'],
      opened_at: iso(1.2),
      noticed_at: iso(4),
      closed_at: iso(6),
    })
    expect(incident?.steps.map((s) => s.kind)).toEqual(['died', 'noticed', 'back', 'recovered'])
  })

  test('a consumer replaced so fast that nobody missed it still died', () => {
    const fresh = { instance_id: 'c2-b', started_at: iso(3.4), last_heartbeat: iso(3.6) }
    const [incident] = play([...calm(0, 4), ...Array.from({ length: 8 }, (_, i) => without(4 + i, fresh))])
    expect(incident?.title).toBe('c2 died')
    expect(incident?.steps.slice(0, 2).map((s) => [s.kind, s.at])).toEqual([
      ['died', iso(0)],
      ['back', iso(3.4)],
    ])
  })

  test('a consumer that said goodbye left, and did not die', () => {
    const gone = { status: 'stopped', last_heartbeat: iso(3.5), heartbeat_age_s: 0.5 } as const
    const [incident] = play([...calm(0, 4), ...Array.from({ length: 8 }, (_, i) => without(4 + i, gone))])
    expect(incident?.title).toBe('c2 left')
    expect(incident?.closed_at).not.toBeNull()
  })

  test('a frozen consumer keeps its connection: silent, then dead when that goes, told once', () => {
    const frozen = { status: 'stale', connected: true, last_heartbeat: iso(1), heartbeat_age_s: 6 } as const
    const cut = { ...frozen, status: 'dead', connected: false, heartbeat_age_s: 20 } as const
    const [incident] = play([...calm(0, 3), without(7, frozen), without(21, cut), ...calm(22)])
    expect(incident?.steps.map((s) => s.kind)).toEqual([
      'away',
      'died',
      'noticed',
      'noticed',
      'back',
      'recovered',
    ])
  })

  test('the database away is one trouble, not the death of everybody', () => {
    const error = { title: 'PostgreSQL does not answer', detail: 'refused', since: iso(3) }
    const away = snapshot(4, {
      consumers: { ...ok([consumer('c1'), consumer('c2')]), status: 'error', error },
    })
    const [incident] = play([...calm(0, 3), away, ...calm(5)])
    expect(incident?.title).toBe('PostgreSQL away')
    expect(incident?.steps[0]).toMatchObject({ at: iso(3), kind: 'away' })
  })

  test('a broker that stopped answering gives the story its name, missing copies do not', () => {
    const broker = {
      id: 2,
      host: 'b',
      port: 1,
      is_controller: false,
      state: 'unreachable',
      since: iso(2.5),
    } as const
    const kafka = ok({
      cluster_id: 'x',
      controller: 1,
      brokers: [],
      group: null,
      topics: [
        {
          topic: 't',
          partitions: [{ partition: 0, leader: 1, replicas: [1, 2], isr: [1], low: null, high: null }],
        },
      ],
    })
    const [incident] = play([
      ...calm(0, 3),
      snapshot(3, { brokers: [broker] }),
      snapshot(4, { brokers: [broker], kafka }),
      ...calm(5),
    ])
    expect(incident?.title).toBe('broker 2 died')
    expect(incident?.steps.map((s) => s.subject)).toEqual(['broker 2', 'copies', 'broker 2', 'copies', 'all'])
  })

  test('who has yet to find PostgreSQL again has not died; who does not come back has', () => {
    const away = { title: 'PostgreSQL does not answer', detail: 'refused', since: iso(4) }
    const error = { status: 'error', as_of: null, error: away, data: null } as const
    const lost = { status: 'stale', connected: false, last_heartbeat: iso(3), heartbeat_age_s: 3 } as const
    const subjects = (after: Snapshot[]) =>
      play([...calm(0, 4), snapshot(4, { consumers: error }), snapshot(5, { consumers: error }), ...after])[0]
        ?.steps.filter((s) => s.kind === 'died' || s.kind === 'away')
        .map((s) => [s.subject, s.kind, s.at])
    const postgres = ['PostgreSQL', 'away', iso(4)]
    expect(subjects([without(6, lost), without(7, lost), ...calm(8, 12)])).toEqual([postgres])
    const gone = Array.from({ length: 8 }, (_, i) => without(6 + i, lost))
    expect(subjects(gone)).toEqual([['c2', 'died', iso(3)], postgres])
  })

  test('counts what it cost', () => {
    const dead = { status: 'stale', connected: false, last_heartbeat: iso(3), heartbeat_age_s: 3 } as const
    const worst = without(6, dead, {
      flow: ok({ lag: 120, lag_seconds: 3.5, end_to_end_ms_p99: 4000 }) as Snapshot['flow'],
      partitions: ok([partition({ lag: 120, lag_seconds: 3.5, repeated: 7, stored: 10 })]),
    })
    const after = Array.from({ length: 8 }, (_, i) =>
      snapshot(7 + i, { partitions: ok([partition({ repeated: 9, stored: 500, missing: 3, filled: 3 })]) }),
    )
    const [incident] = play([...calm(0, 4), worst, ...after])
    expect(incident?.cost).toMatchObject({
      max_lag: 120,
      max_lag_seconds: 3.5,
      max_end_to_end_ms: 4000,
      repeats_suppressed: 9,
      readings_missing: 0,
      readings_stored: 500,
    })
  })

  test('that it is over is told at once, and taken back where something still comes', () => {
    const dead = { status: 'stale', connected: false, last_heartbeat: iso(3), heartbeat_age_s: 3 } as const
    const kinds = (list: Snapshot[]) => play(list)[0]?.steps.map((s) => s.kind)
    const upTo7 = [...calm(0, 4), without(6, dead), snapshot(7)]
    expect(kinds(upTo7)).toEqual(['died', 'noticed', 'back', 'recovered'])
    const late = snapshot(8, { partitions: ok([partition({ lag: 50, lag_seconds: 9 })]) })
    expect(kinds([...upTo7, late])).toEqual(['died', 'noticed', 'back'])
    const [incident] = play([...upTo7, late, ...calm(9)])
    expect(incident).toMatchObject({ closed_at: iso(9) })
    expect(incident?.steps.filter((s) => s.kind === 'recovered')).toHaveLength(1)
  })

  test('is not over where the next thing fails before it has settled', () => {
    const dead = { status: 'stale', connected: false, last_heartbeat: iso(3), heartbeat_age_s: 3 } as const
    const next = { ...dead, last_heartbeat: iso(8.5) }
    const [incident] = play([
      ...calm(0, 4),
      without(6, dead),
      ...calm(7, 2),
      ...Array.from({ length: 20 }, (_, i) => without(10 + i, next)),
    ])
    expect(incident?.closed_at).toBeNull()
    expect(incident?.steps.map((s) => s.kind)).toEqual(['died', 'noticed', 'back', 'died', 'noticed'])
  })

  test('a producer that had finished and is started anew is none; one that had died is back', () => {
    const one = (status: string, started_at: string) =>
      ({ ...consumer('p1', { started_at }), producer_id: 'p1', status, spooled: 0 }) as never
    const run = (status: string) =>
      play([
        ...calm(0, 2),
        snapshot(3, { producers: ok([one(status, iso(-50))]) }),
        ...Array.from({ length: 9 }, (_, i) => snapshot(4 + i, { producers: ok([one('active', iso(3.5))]) })),
      ])
    expect(run('stopped')).toEqual([])
    expect(run('active')[0]).toMatchObject({ title: 'p1 died' })
  })

  test('is not over while something waits', () => {
    const dead = { status: 'stale', connected: false, last_heartbeat: iso(3), heartbeat_age_s: 3 } as const
    const waiting = Array.from({ length: 20 }, (_, i) =>
      snapshot(7 + i, { partitions: ok([partition({ lag: 50, lag_seconds: 9 })]) }),
    )
    const [incident] = play([...calm(0, 4), without(6, dead), ...waiting])
    expect(incident?.closed_at).toBeNull()
  })

  describe('at the start of everything', () => {
    const refused = { title: 'Kafka does not answer', detail: 'refused', since: iso(0) }
    const noKafka = { status: 'error', as_of: null, error: refused, data: null } as const
    const old = { status: 'dead', connected: false, last_heartbeat: iso(-300) } as const
    const nobody = (second: number) =>
      snapshot(second, {
        kafka: noKafka,
        consumers: ok([
          consumer('c1', { ...old, heartbeat_age_s: 300 + second }),
          consumer('c2', { ...old, heartbeat_age_s: 300 + second }),
        ]),
        partitions: ok([partition({ consumer_id: null, verdict: 'STOP' })]),
      })
    const moved = (event_id: number, second: number) =>
      ({ event_id, at: iso(second), consumer_id: 'c1', event_type: 'partition_assigned' }) as RebalanceRow
    const shown = (e: RebalanceRow) => ({ ...e, assigned: [], gained: [], lost: [], duration_ms: 1 })
    const joined = (second: number, events: RebalanceRow[]) =>
      snapshot(second, {
        rebalances: ok(events.map(shown)),
        consumers: ok([
          consumer('c1', { instance_id: 'new', started_at: iso(18) }),
          consumer('c2', { instance_id: 'new', started_at: iso(18) }),
        ]),
      })
    const started = [
      ...Array.from({ length: 20 }, (_, i) => nobody(i)),
      joined(20, [moved(1, 19.5)]),
      joined(21, [moved(1, 19.5)]),
      joined(22, [moved(2, 21.5), moved(1, 19.5)]),
      ...Array.from({ length: 10 }, (_, i) => joined(23 + i, [moved(2, 21.5), moved(1, 19.5)])),
    ]

    test('Kafka and consumers that are not there yet are not missed, and first assignments are no rebalance', () => {
      expect(play(started, true)).toEqual([])
    })

    test('who was there and is away again is missed at once', () => {
      const away = snapshot(3, { kafka: { ...noKafka, error: { ...refused, since: iso(2.5) } } })
      const [incident] = play([snapshot(0), snapshot(1), snapshot(2), away], true)
      expect(incident).toMatchObject({ title: 'Kafka away', opened_at: iso(2.5), noticed_at: iso(3) })
    })

    test('partitions that move before anybody is seen to have died are part of the story', () => {
      const move = shown(moved(1, 2.4))
      const replaced = [consumer('c1', { instance_id: 'new', started_at: iso(2.2) }), consumer('c2')]
      const calm = [0, 1, 2].map((second) => snapshot(second))
      const [incident] = play(
        [
          ...calm,
          snapshot(3, { rebalances: ok([move]) }),
          snapshot(4, { rebalances: ok([move]), consumers: ok(replaced) }),
        ],
        true,
      )
      expect(incident?.steps.map((x) => x.kind)).toEqual(['died', 'back', 'assigned', 'recovered'])
    })

    test('who is not there after two minutes is missed, since it was asked for', () => {
      const found = play(
        Array.from({ length: 125 }, (_, i) => nobody(i)),
        true,
      )
      expect(found).toHaveLength(1)
      expect(found[0]).toMatchObject({ opened_at: iso(-300), noticed_at: iso(120) })
      expect(found[0]?.causes).toContain('Kafka')
    })
  })

  test('rebalances of the past are history; new ones are a story of their own', () => {
    const event = (event_id: number, at: number): RebalanceRow => ({
      event_id,
      at: iso(at),
      group_id: 'g',
      consumer_id: 'c1',
      event_type: 'partition_assigned',
      generation: 1,
      assigned: [],
      gained: [{ topic: 't', partition: 0 }],
      lost: [],
      duration_ms: 800,
      details: null,
    })
    const before = [event(5, -60), event(3, -60)]
    const old = snapshot(0, { rebalances: ok(before) })
    // number 4 was taken before 5 and 6, and is seen after them
    const list = Array.from({ length: 8 }, (_, i) =>
      snapshot(2 + i, { rebalances: ok([event(6, 1.5), ...(i > 1 ? [event(4, 1.4)] : []), ...before]) }),
    )
    const [incident, ...others] = play([old, ...list])
    expect(others).toEqual([])
    expect(incident).toMatchObject({ title: 'Rebalance', opened_at: iso(1.4) })
    expect(incident?.steps.filter((x) => x.kind === 'assigned').map((x) => x.at)).toEqual([
      iso(1.4),
      iso(1.5),
    ])
    expect(incident?.cost.partitions_moved).toBe(2)
  })
})
