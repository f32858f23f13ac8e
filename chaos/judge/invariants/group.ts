import type { Evidence, ProcessSample } from '../evidence.ts'
import { createFinding, type Finding, type Gathering } from '../finding.ts'

/** A member that dies is missed after its session of 10 s, and the rest have joined anew within as much again. */
const SHOWN_MS = 30_000
/** Two may say that a partition is theirs for as long as one of them has not heard yet. */
const OVERLAP_MS = 20_000

/** I9: what is said of who owns what is true, and what was done to members shows. */
export function judgeGroup(e: Evidence): Finding[] {
  const finding = createFinding('I9', 'who owns which partition is told truly, and every kill or join shows')
  if (e.tables.rebalances.length === 0) {
    finding.note('no rebalance was told')
    return [finding.done()]
  }
  judgeFaults(e, finding)
  judgeOverlaps(e, finding)
  judgeEnd(e, finding)
  return [finding.done()]
}

function judgeFaults(e: Evidence, finding: Gathering): void {
  const told = e.tables.rebalances.filter((r) => r.type === 'rebalance_complete')
  for (const fault of e.faults.filter((f) => f.kind === 'consumer.kill')) {
    finding.look()
    if (!told.some((r) => r.at > fault.at && r.at < fault.at + SHOWN_MS))
      finding.violated(
        `${fault.target} was killed at ${new Date(fault.at).toISOString()}, and no rebalance is told within ${SHOWN_MS / 1000} s`,
      )
  }
}

function judgeOverlaps(e: Evidence, finding: Gathering): void {
  const spans = spansOf(e)
  for (const list of Map.groupBy(spans, (s) => s.partition).values()) {
    for (const [i, a] of list.entries()) {
      finding.look()
      for (const b of list.slice(i + 1)) {
        const both = Math.min(a.to, b.to) - Math.max(a.from, b.from)
        if (a.consumer !== b.consumer && both > OVERLAP_MS)
          finding.violated(
            `${a.partition} was said to be ${a.consumer}'s and ${b.consumer}'s for ${Math.round(both / 1000)} s`,
          )
      }
    }
  }
}

interface Span {
  partition: string
  consumer: string
  from: number
  to: number
}

/** From an assignment to the next word of that member, to its death, or to its freezing: a frozen one says nothing. */
function spansOf(e: Evidence): Span[] {
  const spans: Span[] = []
  for (const [consumer, events] of Map.groupBy(e.tables.rebalances, (r) => r.consumer)) {
    for (const [i, event] of events.entries()) {
      if (event.type !== 'rebalance_complete') continue
      const next = events[i + 1]?.at ?? Infinity
      const struck = e.faults.find((f) => f.target === consumer && f.at >= event.at)?.at ?? Infinity
      const died = deathOf(e.processes, consumer, event.at)
      const to = Math.min(next, struck, died, Date.now())
      for (const partition of event.assigned) spans.push({ partition, consumer, from: event.at, to })
    }
  }
  return spans
}

function deathOf(processes: ProcessSample[] | null, name: string, after: number): number {
  const mine = (processes ?? []).filter((p) => p.name === name && p.at >= after)
  const first = mine[0]
  const other = mine.find((p) => p.pid !== first?.pid)
  return other?.at ?? Infinity
}

/** In the end every partition is the last word's of exactly one member, and the position says the same. */
function judgeEnd(e: Evidence, finding: Gathering): void {
  const last = new Map<string, { at: number; assigned: string[] }>()
  for (const r of e.tables.rebalances) if (r.type === 'rebalance_complete') last.set(r.consumer, r)
  const newest = Math.max(...[...last.values()].map((r) => r.at))
  for (const end of e.ends) {
    const id = `${end.topic}/${end.partition}`
    const progress = e.tables.progress.find((p) => p.topic === end.topic && p.partition === end.partition)
    if (!progress) continue
    finding.look()
    // Who has not joined since the newest generation (a generation takes seconds to reach all) is not in the group.
    const owners = [...last]
      .filter(([, r]) => r.at > newest - SHOWN_MS && r.assigned.includes(id))
      .map(([name]) => name)
    if (!owners.includes(progress.owner))
      finding.violated(
        `${id} is stored by ${progress.owner}; told to be with ${owners.join(', ') || 'nobody'}`,
      )
  }
}
