import type { Evidence, Progress } from '../evidence.ts'
import { createFinding, type Finding, type Gathering } from '../finding.ts'

/** I6: positions only rise, nothing is skipped, all is stored in the end, and the counters say what happened. */
export function judgePositions(e: Evidence): Finding[] {
  const finding = createFinding(
    'I6',
    'positions only rise, skip nothing and reach the end of the log; the counters are true',
  )
  const last = new Map<string, number>()
  for (const p of e.positions ?? []) {
    const id = `${p.topic}/${p.partition}`
    const before = last.get(id) ?? 0
    finding.look()
    if (p.next < before) finding.violated(`${id} went back from ${before} to ${p.next}, owner ${p.owner}`)
    last.set(id, p.next)
  }
  if (e.positions === null) finding.note('positions were not polled')
  for (const end of e.ends) {
    const id = `${end.topic}/${end.partition}`
    const progress = e.tables.progress.find((p) => p.topic === end.topic && p.partition === end.partition)
    finding.look()
    if (!progress) {
      if (end.high > 0) finding.violated(`${id} has ${end.high} messages, and no position`)
      continue
    }
    if (progress.stopped !== null) finding.violated(`${id} stands still: ${progress.stopped}`)
    if (progress.next !== end.high)
      finding.violated(`${id} is stored up to ${progress.next}, and ends at ${end.high}`)
    judgeCounters(e, progress, end.low, finding)
  }
  return [finding.done()]
}

function judgeCounters(e: Evidence, p: Progress, low: number, finding: Gathering): void {
  const id = `${p.topic}/${p.partition}`
  const isHere = (x: { topic: string; partition: number | null }) =>
    x.topic === p.topic && x.partition === p.partition
  const rows = e.tables.rows.filter(isHere).length
  const letters = e.tables.letters.filter(isHere).length
  const say = (what: string, counted: number, found: number) => {
    finding.look()
    if (counted !== found) finding.violated(`${id} counts ${counted} ${what}, and there are ${found}`)
  }
  say('stored', p.stored, rows)
  say('dead letters', p.dead_lettered, letters)
  if (low > 0 || letters > 0) return // what is gone, and what a broken message leaves open, is not counted here
  const truth = { repeats: 0, missing: 0, filled: 0 }
  const runs = new Map<string, { seen: Set<number>; high: number }>()
  for (const m of e.log) {
    if (!isHere(m) || m.run === null || m.seq === null) continue
    const who = `${m.run}/${m.key}`
    const run = runs.get(who) ?? { seen: new Set(), high: 0 }
    runs.set(who, run)
    if (run.seen.has(m.seq)) truth.repeats++
    else if (m.seq < run.high) truth.filled++
    else truth.missing += m.seq - run.high - 1
    run.high = Math.max(run.high, m.seq)
    run.seen.add(m.seq)
  }
  say('repeats', p.repeated + p.conflicting, truth.repeats)
  say('skipped numbers', p.missing, truth.missing)
  say('filled numbers', p.filled, truth.filled)
}
