import { ask, type Sql } from '../db/connect.ts'
import type { Micros } from '../time.ts'
import { NOT_LIVE } from './flags.ts'
import type { ProducerSeen } from './overdue.ts'

/**
 * What the consumers knew at a moment that is over: how a producer was, since when a partition had been claimed, whether it
 * lagged. It comes from what is kept: health rows, alarms of producers that were down, rebalances, times of arrival.
 */
export interface Hindsight {
  /** undefined: no producer of ours sends this run */
  producer(runId: string, now: Micros): ProducerSeen | undefined
  /** the last claim before this moment; -Infinity: none is on record */
  claimedAt(topic: string, partition: number, now: Micros): Micros
  /** the first claim after this moment; Infinity: none is on record */
  claimedNext(topic: string, partition: number, now: Micros): Micros
  /** until when consumers listened; -Infinity: none ever did */
  readonly listenedUntil: Micros
  /** what was measured before it had still to arrive */
  hasLagged(topic: string, partition: number, now: Micros): boolean
}

export interface ProducerRecord {
  producer_id: string
  run_id: string
  status: string
  started_us: number
  heartbeat_us: number
}

/** From its last heartbeat on nobody heard it, until `to`. */
export interface Outage {
  producer_id: string
  from: Micros
  /** null: to this day */
  to: Micros | null
}

export interface ClaimRecord {
  at: Micros
  topic: string
  partition: number
}

/** A batch that arrived late: its oldest reading was measured at `from` and arrived at `to`. */
export interface LagRecord {
  topic: string
  partition: number
  from: Micros
  to: Micros
}

export interface PastRecords {
  producers: readonly ProducerRecord[]
  outages: readonly Outage[]
  claims: readonly ClaimRecord[]
  lags: readonly LagRecord[]
  listenedUntil: Micros
}

export function createHindsight(records: PastRecords): Hindsight {
  const { producers, outages, claims, lags, listenedUntil } = records
  const byRun = new Map(producers.map((p) => [p.run_id, p]))
  const down = Map.groupBy(outages, (o) => o.producer_id)
  const claimed = Map.groupBy(claims, (c) => `${c.topic}-${c.partition}`)
  const lagging = Map.groupBy(lags, (l) => `${l.topic}-${l.partition}`)
  return {
    producer(runId, now) {
      const known = byRun.get(runId)
      if (!known) return undefined
      const before = (down.get(known.producer_id) ?? []).filter((o) => o.from <= now)
      const present = before.find((o) => o.to === null || o.to > now)
      const returns = before.flatMap((o) => (o.to !== null && o.to <= now ? [o.to] : []))
      const started = known.started_us <= now ? known.started_us : -Infinity
      const isOver = now > known.heartbeat_us
      return {
        status: isOver ? known.status : 'active',
        heartbeat_us: present?.from ?? Math.min(now, known.heartbeat_us),
        started_us: Math.max(started, ...returns),
        spooled_us: null,
      }
    },
    claimedAt(topic, partition, now) {
      const list = claimed.get(`${topic}-${partition}`) ?? []
      return list.findLast((c) => c.at <= now)?.at ?? -Infinity
    },
    claimedNext: (topic, partition, now) =>
      (claimed.get(`${topic}-${partition}`) ?? []).find((c) => c.at > now)?.at ?? Infinity,
    listenedUntil,
    hasLagged: (topic, partition, now) =>
      (lagging.get(`${topic}-${partition}`) ?? []).some((l) => l.from <= now && now <= l.to),
  }
}

/** it goes over all readings of the time asked for */
const SLOW_MS = 60_000
/** A reading takes less than that from its sensor to the table while all is well. */
const ON_ITS_WAY = '3 seconds'

/** `producerRule`: the rule whose alarms tell that a producer was down. */
export async function readHindsight(sql: Sql, hours: number, producerRule: string): Promise<Hindsight> {
  const since = sql`now() - make_interval(hours => 1, secs => ${hours * 3600}::float8)`
  const [producers, outages, claims, lags, consumers] = await Promise.all([
    ask(
      'read the producers',
      sql<ProducerRecord[]>`
        select producer_id, run_id, status, extract(epoch from started_at)::float8 * 1e6 as started_us,
          extract(epoch from last_heartbeat)::float8 * 1e6 as heartbeat_us
        from producer_health`,
    ),
    ask(
      'read when producers were down',
      sql<Outage[]>`
        select sensor_id as producer_id, "offset"::float8 as "from", extract(epoch from cleared_at)::float8 * 1e6 as "to"
        from alerts where rule_id = ${producerRule} and coalesce(cleared_at, now()) > ${since} order by "timestamp"`,
    ),
    ask(
      'read the rebalances',
      sql<ClaimRecord[]>`
        select extract(epoch from e.at)::float8 * 1e6 as at, a.topic, a.partition
        from rebalancing_events e, jsonb_to_recordset(e.assigned) as a (topic text, partition integer)
        where e.event_type = 'rebalance_complete' and e.at > ${since} order by e.at`,
    ),
    ask(
      'read when readings came late',
      sql<LagRecord[]>`
        select topic, partition, extract(epoch from min(measured_at))::float8 * 1e6 as "from",
          extract(epoch from received_at)::float8 * 1e6 as "to"
        from readings join topics using (topic_key)
        where received_at > ${since} and received_at - measured_at > ${ON_ITS_WAY}::interval
          and flags & ${NOT_LIVE}::int = 0
        group by topic, partition, received_at order by received_at`,
      SLOW_MS,
    ),
    ask(
      'read when consumers were last heard',
      sql<{ heard: Micros | null }[]>`
        select extract(epoch from max(last_heartbeat))::float8 * 1e6 as heard from consumer_health`,
    ),
  ])
  const listenedUntil = consumers[0]?.heard ?? -Infinity
  return createHindsight({ producers, outages, claims, lags, listenedUntil })
}
