import { ByNumber, placeOf } from '../by-number.ts'
import type { Evidence, LogMessage } from '../evidence.ts'
import { createFinding, type Finding } from '../finding.ts'

/** The reasons for which a good message may be refused: a bound that somebody set. */
const BOUNDS = new Set(['sensor_limit'])

/** I8: each message has one fate: a row, a dead letter or, where it repeats another, none. */
export function judgeLetters(e: Evidence): Finding[] {
  const finding = createFinding('I8', 'every broken message is one dead letter, and no good one is')
  const rows = new ByNumber<true>()
  for (const r of e.tables.rows) rows.set(true, r.offset, r.topic, r.partition)
  const letters = new ByNumber<string[]>()
  for (const l of e.tables.letters) {
    if (l.offset === null) continue
    const before = letters.get(l.offset, l.topic, l.partition) ?? []
    letters.set([...before, l.reason], l.offset, l.topic, l.partition)
  }
  const seen = new ByNumber<true>()
  for (const m of e.log) {
    if (!isStored(e, m)) continue
    const refused = letters.get(m.offset, m.topic, m.partition) ?? []
    const isRow = rows.get(m.offset, m.topic, m.partition) ?? false
    const repeats = m.run !== null && seen.get(m.seq ?? -1, m.topic, m.run, m.key) === true
    if (m.run !== null && m.content.is !== 'bad' && refused.length === 0)
      seen.set(true, m.seq ?? -1, m.topic, m.run, m.key)
    finding.look()
    if (refused.length > 1) finding.violated(`${placeOf(m)} is ${refused.length} dead letters`)
    else if (m.content.is === 'bad' && refused.length === 0)
      finding.violated(`${placeOf(m)} is no dead letter: ${m.content.why}`)
    else if (m.content.is === 'good' && refused.some((reason) => !BOUNDS.has(reason)))
      finding.violated(`${placeOf(m)} is good, and a dead letter: ${refused[0]}`)
    else if (isRow && refused.length > 0)
      finding.violated(`${placeOf(m)} is stored and a dead letter: ${refused[0]}`)
    else if (m.content.is === 'good' && !isRow && refused.length === 0 && !repeats)
      finding.violated(`${placeOf(m)} (${whoOf(m)}) is neither stored nor a dead letter`)
    else if (isRow && repeats) finding.violated(`${placeOf(m)} (${whoOf(m)}) repeats another, and is stored`)
  }
  return [finding.done()]
}

function whoOf({ topic, run, key, seq }: LogMessage): string | null {
  return run === null ? null : `${topic}/${run}/${key}/${seq}`
}

/** What lies beyond the position is I6's. */
function isStored(e: Evidence, m: LogMessage): boolean {
  const progress = e.tables.progress.find((p) => p.topic === m.topic && p.partition === m.partition)
  return progress !== undefined && m.offset < progress.next
}
