import { MISSED_FOR_S } from '../health.ts'
import { isMissed } from '../sinks.ts'
import type { Snapshot } from '../snapshot.ts'

/** Something that is wrong as long as it lasts: a member that died, a server that is away, copies that are missing. */
export interface Condition {
  subject: string
  kind: 'died' | 'away'
  since: string
  text: string
}

/** Twice the session timeout of the group: a rebalance that takes longer is a fault of its own. */
const REBALANCE_MS = 20_000

/**
 * Everything that is wrong in a snapshot, by name; what was wrong before keeps the moment at which it began.
 * `canJudge`: PostgreSQL, the witness of every heartbeat, is there, and has been long enough to have heard everybody.
 */
export function conditionsOf(
  s: Snapshot,
  known: ReadonlyMap<string, Condition>,
  canJudge: boolean,
): Map<string, Condition> {
  const found = new Map<string, Condition>()
  const add = (key: string, c: Condition) => found.set(key, { ...c, since: known.get(key)?.since ?? c.since })
  if (s.consumers.status === 'error') {
    add('postgresql', {
      subject: 'PostgreSQL',
      kind: 'away',
      since: s.consumers.error?.since ?? s.at,
      text: 'PostgreSQL stopped answering',
    })
  }
  if (!canJudge) {
    for (const [key, c] of known) if (/^(died|silent) /.test(key)) found.set(key, c) // what was known stays
  }
  if (s.consumers.status !== 'error') {
    for (const c of s.consumers.data ?? []) {
      const silent = canJudge && (c.status === 'stale' || c.status === 'dead')
      if (c.heartbeat_age_s >= MISSED_FOR_S) continue
      // Its connections went with it: it is dead. Still connected and silent: frozen, or busy with something else.
      if (c.status === 'failed' || (silent && !c.connected)) {
        const text = `${c.consumer_id} gave its last sign of life`
        add(`died ${c.consumer_id}`, { subject: c.consumer_id, kind: 'died', since: c.last_heartbeat, text })
      } else if (silent && !isRebalancing(s, c.consumer_id, Date.parse(s.at))) {
        const text = `${c.consumer_id} stopped reporting, though it is connected`
        add(`silent ${c.consumer_id}`, {
          subject: c.consumer_id,
          kind: 'away',
          since: c.last_heartbeat,
          text,
        })
      }
      if (c.status === 'paused') {
        add(`paused ${c.consumer_id}`, {
          subject: c.consumer_id,
          kind: 'away',
          since: s.at,
          text: `${c.consumer_id} paused: ${c.paused_reason ?? 'no reason given'}`,
        })
      }
    }
    for (const p of s.producers.data ?? []) {
      const silent = canJudge && (p.status === 'stale' || p.status === 'dead')
      if (p.heartbeat_age_s >= MISSED_FOR_S) continue
      if (p.status === 'failed' || (silent && !p.connected)) {
        const text = `producer ${p.producer_id} gave its last sign of life`
        add(`died ${p.producer_id}`, { subject: p.producer_id, kind: 'died', since: p.last_heartbeat, text })
      } else if (silent) {
        const text = `producer ${p.producer_id} stopped reporting, though it is connected`
        add(`silent ${p.producer_id}`, {
          subject: p.producer_id,
          kind: 'away',
          since: p.last_heartbeat,
          text,
        })
      }
    }
  }
  if (s.kafka.status === 'error') {
    add('kafka', {
      subject: 'Kafka',
      kind: 'away',
      since: s.kafka.error?.since ?? s.at,
      text: 'Kafka stopped answering',
    })
  }
  for (const b of s.brokers) {
    if (b.state !== 'up')
      add(`broker ${b.id}`, {
        subject: `broker ${b.id}`,
        kind: 'died',
        since: b.since,
        text: `broker ${b.id} stopped accepting connections`,
      })
  }
  const under = (s.kafka.data?.topics ?? [])
    .flatMap((t) => t.partitions)
    .filter((p) => p.isr.length < p.replicas.length)
  if (under.length > 0 && s.kafka.status === 'ok') {
    const text = `${under.length} partitions have fewer copies in sync than they should`
    add('copies', { subject: 'copies', kind: 'away', since: s.at, text })
  }
  for (const x of s.sinks.status === 'error' ? [] : (s.sinks.data ?? [])) {
    if (!isMissed(x)) continue
    const kind = x.status === 'away' ? 'died' : 'away'
    const text =
      x.status === 'away'
        ? `${x.sink} lost its connection`
        : `${x.sink} ${x.status}: ${x.stopped ?? `${x.lag} messages wait`}`
    add(`sink ${x.sink}`, { subject: x.sink, kind, since: s.at, text })
  }
  for (const p of s.partitions.status === 'error' ? [] : (s.partitions.data ?? [])) {
    const name = `${p.topic} ${p.partition}`
    if (p.stopped !== null || p.verdict === 'STOP' || p.verdict === 'STALL' || p.verdict === 'REWIND') {
      add(`partition ${name}`, {
        subject: name,
        kind: 'away',
        since: s.at,
        text: `${name}: ${p.stopped ?? p.verdict}, ${p.lag ?? '?'} messages wait`,
      })
    }
  }
  return found
}

/** Between the start of a rebalance and its own new assignment a consumer has more to do than to report. */
function isRebalancing(s: Snapshot, consumerId: string, now: number): boolean {
  const newest = s.rebalances.data?.find((e) => e.consumer_id === consumerId)
  return newest?.event_type === 'rebalance_start' && now - Date.parse(newest.at) < REBALANCE_MS
}
