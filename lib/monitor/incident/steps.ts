import type { RebalanceRow } from '../questions/rebalances.ts'
import type { Snapshot } from '../snapshot.ts'
import type { Condition } from './conditions.ts'

/** One thing that happened, with the time at which it did, not at which it was seen. */
export interface Step {
  at: string
  kind:
    | 'died'
    | 'noticed'
    | 'away'
    | 'back'
    | 'left'
    | 'rebalance'
    | 'assigned'
    | 'revoked'
    | 'lag'
    | 'recovered'
    | 'ledger'
  subject: string
  text: string
}

/** What began and what ended between two looks. */
export function stepsOfConditions(
  before: ReadonlyMap<string, Condition>,
  after: ReadonlyMap<string, Condition>,
  at: string,
): Step[] {
  const steps: Step[] = []
  for (const [key, c] of after) {
    if (before.has(key)) continue
    steps.push({ at: c.since, kind: c.kind, subject: c.subject, text: c.text })
    const late = (Date.parse(at) - Date.parse(c.since)) / 1000
    if (late >= 1)
      steps.push({ at, kind: 'noticed', subject: c.subject, text: `noticed, ${late.toFixed(1)} s later` })
  }
  for (const [key, c] of before) {
    // Another word for the same trouble is no end of it.
    if (after.has(key) || [...after.values()].some((other) => other.subject === c.subject)) continue
    const seconds = ((Date.parse(at) - Date.parse(c.since)) / 1000).toFixed(1)
    steps.push({ at, kind: 'back', subject: c.subject, text: `${c.subject} is back after ${seconds} s` })
  }
  return steps
}

/** A process that was replaced so fast that nobody missed it still died: its rows have another instance now. */
export function stepsOfReplaced(before: Snapshot | null, s: Snapshot): Step[] {
  const steps: Step[] = []
  for (const c of s.consumers.data ?? []) {
    const old = before?.consumers.data?.find((x) => x.consumer_id === c.consumer_id)
    if (old && old.instance_id !== c.instance_id) {
      const farewell = old.status === 'stopped' || old.status === 'stopping'
      // A death that was already told as a condition is not told twice.
      if (farewell)
        steps.push({
          at: old.last_heartbeat,
          kind: 'left',
          subject: c.consumer_id,
          text: `${c.consumer_id} was stopped`,
        })
      else if (old.status !== 'stale' && old.status !== 'dead' && old.status !== 'failed') {
        steps.push({
          at: old.last_heartbeat,
          kind: 'died',
          subject: c.consumer_id,
          text: `${c.consumer_id} gave its last sign of life`,
        })
      }
      steps.push({
        at: c.started_at,
        kind: 'back',
        subject: c.consumer_id,
        text: `${c.consumer_id} started again as process ${c.pid ?? '?'}`,
      })
    } else if (old && old.status !== 'stopped' && c.status === 'stopped') {
      steps.push({
        at: c.last_heartbeat,
        kind: 'left',
        subject: c.consumer_id,
        text: `${c.consumer_id} was stopped and left the group`,
      })
    }
  }
  for (const p of s.producers.data ?? []) {
    const old = before?.producers.data?.find((x) => x.producer_id === p.producer_id)
    if (!old || old.started_at === p.started_at) continue
    if (old.status === 'stopped' || old.status === 'finished') continue // it had said goodbye: somebody starts it anew
    if (!['stale', 'dead', 'failed'].includes(old.status)) {
      steps.push({
        at: old.last_heartbeat,
        kind: 'died',
        subject: p.producer_id,
        text: `producer ${p.producer_id} gave its last sign of life`,
      })
    }
    steps.push({
      at: p.started_at,
      kind: 'back',
      subject: p.producer_id,
      text: `producer ${p.producer_id} started again, ${p.spooled} readings on its disk`,
    })
  }
  return steps
}

/**
 * Rebalances that the look before did not have; null: none was looked at yet, and all are history. Not by the highest
 * number: consumers write side by side, and what has a lower one may be seen later.
 */
export function stepsOfRebalances(known: ReadonlySet<number> | null, s: Snapshot): Step[] {
  const list = s.rebalances.data
  if (!list || known === null) return []
  return list.filter((e) => !known.has(e.event_id)).map(stepOfRebalance)
}

function stepOfRebalance(e: RebalanceRow): Step {
  const names = (parts: RebalanceRow['gained']) =>
    parts.map((p) => `${p.topic} ${p.partition}`).join(', ') || 'nothing'
  const took = e.duration_ms === null ? '' : ` after ${Math.round(e.duration_ms)} ms`
  const step = (kind: Step['kind'], text: string): Step => ({ at: e.at, kind, subject: e.consumer_id, text })
  switch (e.event_type) {
    case 'rebalance_start':
      return step('rebalance', `${e.consumer_id} sees a rebalance begin`)
    case 'rebalance_complete':
      return step('rebalance', `${e.consumer_id} has its new assignment${took}: ${names(e.assigned)}`)
    case 'partition_assigned':
      return step('assigned', `${e.consumer_id} took ${names(e.gained)}`)
    case 'partition_revoked':
      return step('revoked', `${e.consumer_id} gave up ${names(e.lost)}`)
  }
}
