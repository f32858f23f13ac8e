import { isAlive } from '../health.ts'
import type { Consumer, Producer, Snapshot } from '../snapshot.ts'
import type { Condition } from './conditions.ts'

/**
 * The first two minutes of a monitor. Everything is started at about the same time, and the monitor is there before
 * Kafka: who has not been seen well yet is not missed, and partitions that are taken for the first time are no
 * rebalance. Who was seen well and fails is missed at once, and after the two minutes everybody is.
 */
export interface Beginning {
  isOver: boolean
  from: number
  calmSince: number
  /** subjects of conditions that were well once, as this monitor saw it */
  well: Set<string>
}

/** Three brokers on a busy machine have taken 90 s to be there. */
const BEGINNING_MS = 120_000
/** Consumers come one after another, and with each the partitions move once more. */
const CALM_MS = 5000

export function createBeginning(): Beginning {
  return { isOver: false, from: Number.NaN, calmSince: Number.NaN, well: new Set() }
}

/** Looks at a snapshot; answers those of its conditions that count. `isCalm`: all is well, nothing waits or moves. */
export function judgeBeginning(
  b: Beginning,
  s: Snapshot,
  all: Map<string, Condition>,
  isCalm: boolean,
): Map<string, Condition> {
  const now = Date.parse(s.at)
  if (Number.isNaN(b.from)) b.from = now
  if (!isCalm) b.calmSince = Number.NaN
  else if (Number.isNaN(b.calmSince)) b.calmSince = now
  if (now - b.calmSince >= CALM_MS || now - b.from >= BEGINNING_MS) b.isOver = true
  if (b.isOver) return all
  for (const subject of wellIn(s, (now - b.from) / 1000)) b.well.add(subject)
  return new Map([...all].filter(([, c]) => b.well.has(c.subject)))
}

/** Names as conditions have them (conditions.ts). A heartbeat from before our time is nobody's sign of life. */
function wellIn(s: Snapshot, ageS: number): string[] {
  const isFresh = (m: Consumer | Producer) => isAlive(m.status) && m.heartbeat_age_s < ageS
  const partitions = s.kafka.data?.topics.flatMap((t) => t.partitions) ?? []
  return [
    ...(s.consumers.status === 'ok' ? ['PostgreSQL'] : []),
    ...(s.kafka.status === 'ok' && s.kafka.data !== null ? ['Kafka'] : []),
    ...(s.consumers.data ?? []).filter(isFresh).map((c) => c.consumer_id),
    ...(s.producers.data ?? []).filter(isFresh).map((p) => p.producer_id),
    ...s.brokers.filter((b) => b.state === 'up').map((b) => `broker ${b.id}`),
    ...(partitions.length > 0 && partitions.every((p) => p.isr.length >= p.replicas.length)
      ? ['copies']
      : []),
    ...(s.sinks.data ?? []).filter((x) => x.status === 'active').map((x) => x.sink),
    ...(s.partitions.data ?? [])
      .filter((p) => p.consumer_id !== null && p.verdict === 'OK')
      .map((p) => `${p.topic} ${p.partition}`),
  ]
}
