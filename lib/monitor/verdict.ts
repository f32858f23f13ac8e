import { isAlive, MISSED_FOR_S } from './health.ts'
import { isMissed } from './sinks.ts'
import type { Snapshot } from './snapshot.ts'

/**
 * One word for the whole system, from what moves, not from what runs: DOWN where readings no longer reach the database,
 * DEGRADED where they do with less safety or late, WAITING before the first answer. Alarms of the plant are another
 * matter and are not part of it.
 */
export type VerdictWord = 'OK' | 'DEGRADED' | 'DOWN' | 'WAITING'

export interface Verdict {
  word: VerdictWord
  /** the worst reason in one line */
  reason: string
  reasons: Reason[]
}

export interface Reason {
  word: 'DEGRADED' | 'DOWN'
  /** the section that shows it: `consumers`, `partition-sensor-data-2` … */
  where: string
  text: string
}

type Facts = Omit<Snapshot, 'verdict' | 'number'>

export function verdictOf(s: Facts, now: number): Verdict {
  const reasons = [
    ...ofDependencies(s, now),
    ...ofKafka(s),
    ...ofPartitions(s),
    ...ofConsumers(s),
    ...ofProducers(s),
    ...ofSinks(s),
    ...ofOutbox(s),
  ]
  const down = reasons.filter((r) => r.word === 'DOWN')
  const sorted = [...down, ...reasons.filter((r) => r.word !== 'DOWN')]
  const first = sorted[0]
  if (first) return { word: first.word, reason: first.text, reasons: sorted }
  if (!s.consumers.data && !s.kafka.data) {
    return { word: 'WAITING', reason: 'waiting for the first answers', reasons: [] }
  }
  return { word: 'OK', reason: calm(s), reasons: [] }
}

function calm(s: Facts): string {
  const rate = s.flow.data?.stored_per_second
  const active = s.consumers.data?.filter((c) => c.status === 'active').length ?? 0
  const flow =
    rate === null || rate === undefined
      ? ''
      : `, ${rate < 10 ? rate.toFixed(1) : Math.round(rate)} readings/s stored`
  return `${active} of ${s.consumers.data?.filter((c) => isAlive(c.status)).length ?? 0} consumers active${flow}, nothing falls behind`
}

function ofDependencies(s: Facts, now: number): Reason[] {
  const reasons: Reason[] = []
  if (s.consumers.status === 'error') {
    const since = ageText(s.consumers.error?.since ?? null, now)
    reasons.push({
      word: 'DOWN',
      where: 'system',
      text: `PostgreSQL does not answer${since}: readings wait in Kafka, nothing is lost`,
    })
  }
  if (s.kafka.status === 'error') {
    const since = ageText(s.kafka.error?.since ?? null, now)
    reasons.push({
      word: 'DOWN',
      where: 'system',
      text: `Kafka does not answer${since}: readings wait in the producers’ spools`,
    })
  }
  return reasons
}

function ofPartitions(s: Facts): Reason[] {
  if (s.partitions.status === 'error') return [] // told as a dependency
  const partitions = s.partitions.data ?? []
  const bad = partitions.filter((p) => p.stopped !== null || ['STOP', 'STALL', 'REWIND'].includes(p.verdict))
  const reasons: Reason[] = bad.map((p) => ({
    word: bad.length === partitions.length ? 'DOWN' : 'DEGRADED',
    where: `partition-${p.topic}-${p.partition}`,
    text:
      p.stopped !== null
        ? `${p.topic} ${p.partition} is stopped: ${p.stopped}`
        : `${p.topic} ${p.partition} ${p.verdict}: ${p.lag ?? '?'} messages wait${p.lag_seconds === null ? '' : `, the oldest for ${Math.round(p.lag_seconds)} s`}`,
  }))
  for (const p of partitions) {
    if (p.verdict === 'WARN') {
      reasons.push({
        word: 'DEGRADED',
        where: `partition-${p.topic}-${p.partition}`,
        text: `${p.topic} ${p.partition} falls behind: ${p.lag ?? '?'} messages wait`,
      })
    } else if (p.consumer_id === null && !bad.includes(p) && s.consumers.status !== 'error') {
      reasons.push({
        word: 'DEGRADED',
        where: `partition-${p.topic}-${p.partition}`,
        text: `${p.topic} ${p.partition} has no consumer${p.last_owner ? ` (last: ${p.last_owner})` : ''}`,
      })
    }
  }
  return reasons
}

function ofConsumers(s: Facts): Reason[] {
  const list = s.consumers.data
  if (!list || s.consumers.status === 'error') return []
  if (!list.some((c) => isAlive(c.status))) {
    return [{ word: 'DOWN', where: 'consumers', text: 'no consumer runs: readings wait in Kafka' }]
  }
  return list.flatMap((c): Reason[] => {
    if ((c.status === 'dead' || c.status === 'stale') && c.heartbeat_age_s < MISSED_FOR_S) {
      return [
        {
          word: 'DEGRADED',
          where: 'consumers',
          text: `${c.consumer_id} has been silent for ${Math.round(c.heartbeat_age_s)} s`,
        },
      ]
    }
    if (c.status === 'paused') {
      return [
        {
          word: 'DEGRADED',
          where: 'consumers',
          text: `${c.consumer_id} is paused: ${c.paused_reason ?? 'no reason given'}`,
        },
      ]
    }
    if (c.status === 'failed' && c.heartbeat_age_s < MISSED_FOR_S) {
      return [
        {
          word: 'DEGRADED',
          where: 'consumers',
          text: `${c.consumer_id} failed: ${c.last_error ?? 'no reason given'}`,
        },
      ]
    }
    return []
  })
}

function ofProducers(s: Facts): Reason[] {
  const list = s.producers.data
  if (!list || s.producers.status === 'error') return []
  const reasons: Reason[] = []
  for (const p of list) {
    if ((p.status === 'dead' || p.status === 'stale') && p.heartbeat_age_s < MISSED_FOR_S) {
      reasons.push({
        word: 'DEGRADED',
        where: 'producers',
        text: `producer ${p.producer_id} has been silent for ${Math.round(p.heartbeat_age_s)} s`,
      })
    } else if (p.status === 'blocked') {
      reasons.push({
        word: 'DEGRADED',
        where: 'producers',
        text: `producer ${p.producer_id} is blocked: ${p.last_error ?? 'it does not say why'}`,
      })
    } else if (p.status === 'failed' && p.heartbeat_age_s < MISSED_FOR_S) {
      reasons.push({
        word: 'DEGRADED',
        where: 'producers',
        text: `producer ${p.producer_id} failed: ${p.last_error ?? 'no reason given'}`,
      })
    } else if (p.kafka_reachable === false && isAlive(p.status)) {
      reasons.push({
        word: 'DEGRADED',
        where: 'producers',
        text: `producer ${p.producer_id} can’t reach Kafka: ${p.spooled} readings wait on its disk`,
      })
    }
  }
  return reasons
}

function ofKafka(s: Facts): Reason[] {
  const kafka = s.kafka.data
  if (!kafka || s.kafka.status === 'error') return []
  const all = kafka.topics.flatMap((t) => t.partitions.map((p) => ({ topic: t.topic, ...p })))
  const offline = all.filter((p) => p.leader === null)
  const under = all.filter((p) => p.isr.length < p.replicas.length)
  const missing = s.brokers.filter((b) => b.state !== 'up').map((b) => b.id)
  const reasons: Reason[] = []
  if (offline.length > 0) {
    reasons.push({
      word: 'DOWN',
      where: 'partitions',
      text: `${offline.length} partition(s) have no leader: ${offline
        .slice(0, 3)
        .map((p) => `${p.topic} ${p.partition}`)
        .join(', ')}`,
    })
  }
  if (missing.length > 0) {
    reasons.push({
      word: 'DEGRADED',
      where: 'system',
      text: `broker ${missing.join(', ')} is away${under.length > 0 ? `: ${under.length} partitions have fewer copies` : ''}`,
    })
  } else if (under.length > 0) {
    reasons.push({
      word: 'DEGRADED',
      where: 'partitions',
      text: `${under.length} partition(s) have fewer copies in sync than they should`,
    })
  }
  return reasons
}

function ofSinks(s: Facts): Reason[] {
  if (s.sinks.status === 'error') return []
  return (s.sinks.data ?? []).flatMap((x): Reason[] => {
    const waits = x.lag === null ? '' : `: ${x.lag} messages wait`
    if (!isMissed(x)) return []
    const text =
      x.status === 'stopped' ? `${x.sink} is stopped: ${x.stopped}` : `${x.sink} is ${x.status}${waits}`
    return [{ word: 'DEGRADED', where: 'sinks', text }]
  })
}

/** 30 s: three times what a broker election takes. */
const OUTBOX_LATE_S = 30

function ofOutbox(s: Facts): Reason[] {
  const storage = s.storage.data
  if (!storage || s.storage.status === 'error' || (storage.outbox_oldest_age_s ?? 0) < OUTBOX_LATE_S)
    return []
  return [
    {
      word: 'DEGRADED',
      where: 'system',
      text: `${storage.outbox_unsent} alarm transition(s) wait to be published, the oldest for ${Math.round(storage.outbox_oldest_age_s ?? 0)} s`,
    },
  ]
}

function ageText(since: string | null, now: number): string {
  return since === null ? '' : ` for ${Math.max(0, Math.round((now - Date.parse(since)) / 1000))} s`
}
