import type { Snapshot } from '../snapshot.ts'
import { createBeginning, judgeBeginning, type Beginning } from './beginning.ts'
import { conditionsOf, type Condition } from './conditions.ts'
import { addCost, noCost, recoveryText, totalsOf, type Cost, type Totals } from './cost.ts'
import { stepsOfConditions, stepsOfRebalances, stepsOfReplaced, type Step } from './steps.ts'

/**
 * An incident is everything between the first thing that went wrong (or the first move of a rebalance) and the moment
 * when nothing was wrong any more. It is told in steps, each with the time at which it happened, not at which it was seen.
 *
 * States: none → open (a condition appears, a process was replaced, a rebalance happens) → closed (no condition is left,
 * nothing waits, and for a settle time nothing new happened). While open it collects its cost. A start is none.
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

/** What the observer remembers between two snapshots. */
export interface Watch {
  conditions: Map<string, Condition>
  /** until then nobody is missed: PostgreSQL was away, and who is there has to find it first */
  blindUntil: number
  /** numbers of the rebalances that the last look had */
  rebalances: ReadonlySet<number> | null
  beginning: Beginning
  /** moves of partitions in the beginning, of no incident so far */
  moved: Step[]
  open: { incident: Incident; baseline: Totals; lastStepAt: number } | null
}

/** 5 s without anything new: a rebalance often comes in several waves. */
const SETTLE_MS = 5000
const MOST_STEPS = 200
/** Consumers and producers find PostgreSQL again within two or three seconds of its return, and report every second. */
const BLIND_MS = 5000

export function createWatch(): Watch {
  const beginning = createBeginning()
  return { conditions: new Map(), blindUntil: 0, rebalances: null, beginning, moved: [], open: null }
}

/** Moves the watch by one snapshot; answers the incident where it changed. */
export function observeIncident(
  watch: Watch,
  before: Snapshot | null,
  s: Snapshot,
  newId: () => string,
): Incident | null {
  const now = Date.parse(s.at)
  const { beginning } = watch
  if (s.consumers.status === 'error') watch.blindUntil = now + BLIND_MS
  const all = conditionsOf(s, watch.conditions, now >= watch.blindUntil)
  const replaced = stepsOfReplaced(before, s).filter((x) => beginning.isOver || beginning.well.has(x.subject))
  const moved = stepsOfRebalances(watch.rebalances, s)
  const isCalm = all.size + replaced.length + moved.length === 0 && isFlowing(s)
  const conditions = judgeBeginning(beginning, s, all, isCalm)
  const steps = [
    ...stepsOfConditions(watch.conditions, conditions, s.at),
    ...replaced,
    ...(beginning.isOver || watch.open ? moved : []),
  ]
  if (!beginning.isOver && !watch.open) watch.moved.push(...moved)
  watch.conditions = conditions
  if (s.rebalances.data) watch.rebalances = new Set(s.rebalances.data.map((e) => e.event_id))
  if (steps.length > 0 && !watch.open) {
    const opened_at = steps.map((x) => x.at).reduce((a, b) => (a < b ? a : b))
    steps.push(...watch.moved.splice(0).filter((x) => x.at >= opened_at)) // seen before anybody was missed
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
    incident.opened_at = incident.steps[0]?.at ?? incident.opened_at
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
  const told = tellRecovery(incident, s, conditions.size === 0 && nothingWaits(s))
  const recovered = incident.steps.findLast((x) => x.kind === 'recovered')
  if (recovered && now - Math.max(watch.open.lastStepAt, Date.parse(recovered.at)) >= SETTLE_MS) {
    incident.closed_at = recovered.at
    incident.cost.duration_s = (Date.parse(incident.closed_at) - Date.parse(incident.opened_at)) / 1000
    watch.open = null
    return incident
  }
  return steps.length > 0 || costed || told ? incident : null
}

/** That all is well again is told at once, and taken back where it was too early; true where the story changed. */
function tellRecovery(incident: Incident, s: Snapshot, isWell: boolean): boolean {
  const isTold = incident.steps.some((x) => x.kind === 'recovered')
  if (isWell ? incident.steps.at(-1)?.kind === 'recovered' : !isTold) return false
  const others = incident.steps.filter((x) => x.kind !== 'recovered')
  const text = recoveryText(incident.cost)
  incident.steps = isWell ? [...others, { at: s.at, kind: 'recovered', subject: 'all', text }] : others
  return true
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

/** Kafka and the tables have answered, somebody consumes, and nothing waits. */
function isFlowing(s: Snapshot): boolean {
  return s.kafka.status === 'ok' && (s.partitions.data ?? []).length > 0 && nothingWaits(s)
}

function nothingWaits(s: Snapshot): boolean {
  const parts = s.partitions.data ?? []
  return parts.every((p) => p.verdict === 'OK' && p.consumer_id !== null && (p.lag_seconds ?? 0) < 2)
}
