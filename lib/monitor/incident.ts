import type { RebalanceRow } from './questions/rebalances.ts'
import type { Snapshot } from './snapshot.ts'

/**
 * An incident is everything between the first thing that went wrong (or the first move of a rebalance) and the moment
 * when nothing was wrong any more. It is told in steps, each with the time at which it happened, not at which it was seen.
 *
 * States: none → open (a condition appears, a process was replaced, a rebalance happens) → closed (no condition is left,
 * nothing waits, and for a settle time nothing new happened). While open it collects its cost.
 */
export interface Incident {
  incident_id: string
  opened_at: string
  noticed_at: string
  closed_at: string | null
  title: string
  causes: string[]
  steps: Step[]
  cost: Cost
}

export interface Step {
  at: string
  kind:
    'died' | 'noticed' | 'away' | 'back' | 'left' | 'rebalance' | 'assigned' | 'revoked' | 'lag' | 'recovered'
  subject: string
  text: string
}

export interface Cost {
  duration_s: number
  max_lag: number | null
  max_lag_seconds: number | null
  max_end_to_end_ms: number | null
  rebalances: number
  rebalance_ms: number
  partitions_moved: number
  repeats_suppressed: number
  readings_missing: number
  dead_lettered: number
  readings_stored: number
}

interface Condition {
  subject: string
  kind: 'died' | 'away'
  since: string
  text: string
}

/** What the observer remembers between two snapshots. */
export interface Watch {
  conditions: Map<string, Condition>
  lastEventId: number | null
  open: { incident: Incident; baseline: Totals; lastStepAt: number } | null
}

interface Totals {
  stored: number
  repeated: number
  missing: number
  dead_lettered: number
}

/** 5 s without anything new: a rebalance often comes in several waves. */
const SETTLE_MS = 5000
const MOST_STEPS = 200
/** A member that has been away for ten minutes is no longer missed. */
const FORGOTTEN_S = 600
/** Twice the session timeout of the group: a rebalance that takes longer is a fault of its own. */
const REBALANCE_MS = 20_000

export function createWatch(): Watch {
  return { conditions: new Map(), lastEventId: null, open: null }
}

/** Moves the watch by one snapshot; answers the incident where it changed. */
export function observeIncident(
  watch: Watch,
  before: Snapshot | null,
  s: Snapshot,
  newId: () => string,
): Incident | null {
  const now = Date.parse(s.at)
  const conditions = conditionsOf(s, watch.conditions)
  const steps = [
    ...stepsOfConditions(watch.conditions, conditions, s.at),
    ...stepsOfReplaced(before, s),
    ...stepsOfRebalances(watch, s),
  ]
  watch.conditions = conditions
  if (steps.length > 0 && !watch.open) {
    const opened_at = steps.map((x) => x.at).reduce((a, b) => (a < b ? a : b))
    const incident: Incident = {
      incident_id: newId(),
      opened_at,
      noticed_at: s.at,
      closed_at: null,
      title: '',
      causes: [],
      steps: [],
      cost: noCost(),
    }
    watch.open = { incident, baseline: totalsOf(before ?? s), lastStepAt: now }
  }
  if (!watch.open) return null
  const { incident, baseline } = watch.open
  if (steps.length > 0) {
    watch.open.lastStepAt = now
    incident.steps = [...incident.steps, ...steps]
      .sort((a, b) => a.at.localeCompare(b.at))
      .slice(0, MOST_STEPS)
    incident.causes = [
      ...new Set(
        incident.steps
          .filter((x) => x.kind === 'died' || x.kind === 'away' || x.kind === 'left')
          .map((x) => x.subject),
      ),
    ]
    incident.title = titleOf(incident)
  }
  const costed = addCost(incident, baseline, s, now)
  const settled = conditions.size === 0 && now - watch.open.lastStepAt >= SETTLE_MS && nothingWaits(s)
  if (settled) {
    const last = incident.steps.at(-1)?.at ?? s.at
    incident.closed_at = last > incident.opened_at ? last : s.at
    incident.cost.duration_s = (Date.parse(incident.closed_at) - Date.parse(incident.opened_at)) / 1000
    incident.steps.push({
      at: incident.closed_at,
      kind: 'recovered',
      subject: 'all',
      text: recoveryText(incident.cost),
    })
    watch.open = null
    return incident
  }
  return steps.length > 0 || costed ? incident : null
}

function conditionsOf(s: Snapshot, known: ReadonlyMap<string, Condition>): Map<string, Condition> {
  const found = new Map<string, Condition>()
  const add = (key: string, c: Condition) => found.set(key, { ...c, since: known.get(key)?.since ?? c.since })
  if (s.consumers.status === 'error') {
    add('postgresql', {
      subject: 'PostgreSQL',
      kind: 'away',
      since: s.consumers.error?.since ?? s.at,
      text: 'PostgreSQL stopped answering',
    })
    // While the witness is away nobody's heartbeat can be judged: what was known stays.
    for (const [key, c] of known) if (/^(died|silent) /.test(key)) found.set(key, c)
  } else {
    for (const c of s.consumers.data ?? []) {
      const silent = c.status === 'stale' || c.status === 'dead'
      if (c.heartbeat_age_s >= FORGOTTEN_S) continue
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
      const silent = p.status === 'stale' || p.status === 'dead'
      if (p.heartbeat_age_s >= FORGOTTEN_S) continue
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

function stepsOfConditions(
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
function stepsOfReplaced(before: Snapshot | null, s: Snapshot): Step[] {
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
    if (!['stale', 'dead', 'failed', 'stopped', 'finished'].includes(old.status)) {
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

function stepsOfRebalances(watch: Watch, s: Snapshot): Step[] {
  const list = s.rebalances.data
  if (!list) return []
  const newest = list.reduce((most, e) => Math.max(most, e.event_id), watch.lastEventId ?? 0)
  const known = watch.lastEventId
  watch.lastEventId = newest
  // What happened before we looked for the first time is history.
  if (known === null) return []
  return list.filter((e) => e.event_id > known).map(stepOfRebalance)
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

function titleOf(incident: Incident): string {
  const died = incident.steps.filter((x) => x.kind === 'died').map((x) => x.subject)
  // Missing copies are a consequence; they give the name only where nothing else does.
  const away = incident.steps.filter((x) => x.kind === 'away').map((x) => x.subject)
  const left = incident.steps.filter((x) => x.kind === 'left').map((x) => x.subject)
  const names = (list: string[]) => [...new Set(list)].slice(0, 3).join(', ')
  if (died.length > 0) return `${names(died)} died`
  if (away.length > 0) return `${names(away)} away`
  return left.length > 0 ? `${names(left)} left` : 'Rebalance'
}

function addCost(incident: Incident, baseline: Totals, s: Snapshot, now: number): boolean {
  const totals = totalsOf(s)
  const moves = incident.steps.filter((x) => x.kind === 'assigned')
  const events = (s.rebalances.data ?? []).filter(
    (e) => e.at >= incident.opened_at && e.event_type === 'rebalance_complete',
  )
  const flow = s.flow.data
  const cost: Cost = {
    duration_s: (now - Date.parse(incident.opened_at)) / 1000,
    max_lag: most(incident.cost.max_lag, flow?.lag ?? null),
    max_lag_seconds: most(incident.cost.max_lag_seconds, flow?.lag_seconds ?? null),
    max_end_to_end_ms: most(incident.cost.max_end_to_end_ms, flow?.end_to_end_ms_p99 ?? null),
    rebalances: Math.max(incident.cost.rebalances, events.length),
    rebalance_ms: Math.max(incident.cost.rebalance_ms, ...events.map((e) => e.duration_ms ?? 0)),
    partitions_moved: moves.length,
    repeats_suppressed: Math.max(0, totals.repeated - baseline.repeated),
    readings_missing: Math.max(0, totals.missing - baseline.missing),
    dead_lettered: Math.max(0, totals.dead_lettered - baseline.dead_lettered),
    readings_stored: Math.max(0, totals.stored - baseline.stored),
  }
  const changed =
    cost.max_lag !== incident.cost.max_lag ||
    cost.repeats_suppressed !== incident.cost.repeats_suppressed ||
    cost.readings_missing !== incident.cost.readings_missing
  incident.cost = cost
  return changed
}

function nothingWaits(s: Snapshot): boolean {
  const parts = s.partitions.data ?? []
  return parts.every((p) => p.verdict === 'OK' && p.consumer_id !== null && (p.lag_seconds ?? 0) < 2)
}

function recoveryText(cost: Cost): string {
  const lag = cost.max_lag === null ? 'unknown' : `${cost.max_lag} messages`
  const seconds = cost.max_lag_seconds === null ? '' : `, the oldest for ${cost.max_lag_seconds.toFixed(1)} s`
  return `Everything flows again. At most ${lag} waited${seconds}; ${cost.repeats_suppressed} repeats were suppressed, ${cost.readings_missing} readings are missing.`
}

function totalsOf(s: Snapshot): Totals {
  const parts = s.partitions.data ?? []
  const sum = (of: (p: (typeof parts)[number]) => number) => parts.reduce((total, p) => total + of(p), 0)
  return {
    stored: sum((p) => p.stored),
    repeated: sum((p) => p.repeated),
    missing: sum((p) => p.missing - p.filled),
    dead_lettered: sum((p) => p.dead_lettered),
  }
}

function most(a: number | null, b: number | null): number | null {
  if (a === null) return b
  return b === null ? a : Math.max(a, b)
}

function noCost(): Cost {
  return {
    duration_s: 0,
    max_lag: null,
    max_lag_seconds: null,
    max_end_to_end_ms: null,
    rebalances: 0,
    rebalance_ms: 0,
    partitions_moved: 0,
    repeats_suppressed: 0,
    readings_missing: 0,
    dead_lettered: 0,
    readings_stored: 0,
  }
}
