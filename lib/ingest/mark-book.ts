import { createMark, type Mark } from './marks.ts'

/** The marks of one partition, by source, then by run. */
export type Marks = Map<string, Map<string, Mark>>

/** runs of one source whose marks are kept; an older one would have to come back after sixteen new spools */
const RUNS_KEPT = 16
/** beyond so many known sources a broken message of an unknown one leaves no mark */
const BROKEN_SOURCES_KEPT = 1000

export function markOf(marks: Marks, source: string, runId: string, onForgotten = () => {}): Mark {
  let runs = marks.get(source)
  if (!runs) marks.set(source, (runs = new Map()))
  let mark = runs.get(runId)
  if (!mark) {
    mark = createMark()
    runs.set(runId, mark)
    if (runs.size > RUNS_KEPT) {
      runs.delete(String(runs.keys().next().value))
      onForgotten()
    }
  }
  return mark
}

/** Of a checkpoint: behind the runs that are there already. */
export function putMark(marks: Marks, source: string, runId: string, mark: Mark): void {
  const runs = marks.get(source)
  if (runs) runs.set(runId, mark)
  else marks.set(source, new Map([[runId, mark]]))
}

/** Names in broken messages are anybody's: they neither fill the memory nor push a real run out of it. */
export function mayOpenMark(marks: Marks, source: string, runId: string): boolean {
  const runs = marks.get(source)
  return runs ? runs.has(runId) || runs.size < RUNS_KEPT : marks.size < BROKEN_SOURCES_KEPT
}

/** A dead letter's sensor, as far as its key tells. */
export function sourceFromKey(key: Buffer | null): string | null {
  if (!key || key.length === 0 || key.length > 64) return null
  const text = key.toString('latin1')
  return /^[A-Za-z0-9._:-]+$/.test(text) ? text : null
}
