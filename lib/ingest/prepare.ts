import type { Identity } from '../reading.ts'
import { startAdmission } from './admission.ts'
import { Fault, type Decoded } from './decode.ts'
import type { KeyCache } from './keys.ts'
import { unspill, type Range } from './marks.ts'
import type { PartitionState } from './partition.ts'

interface Where {
  keys: KeyCache
  maxSensors: number
  state: PartitionState
  /** the open numbers of a source that no longer fitted into memory */
  gaps(source: string, runId: string): Promise<Range[]>
}

/**
 * Everything that needs the database before messages can be processed without a pause: keys of new sensors and runs, and
 * open numbers that come back because one of them has come. A message whose sensor may not be registered becomes a
 * fault in `decoded`. Resolves to the sources whose numbers came back.
 */
export async function prepare(
  { keys, maxSensors, state, gaps }: Where,
  decoded: (Decoded | Fault)[],
  identities: readonly (Identity | null)[],
): Promise<{ source: string; runId: string }[]> {
  const { fresh, admit } = startAdmission(state, keys, maxSensors)
  const newRuns = new Set<string>()
  const fetched: { source: string; runId: string }[] = []
  for (const [i, d] of decoded.entries()) {
    if (d instanceof Fault) continue
    const refusal = admit(d.readings)
    if (refusal) {
      decoded[i] = refusal
      continue
    }
    const identity = identities[i]
    if (!identity) continue
    const { source } = d
    const { runId, seq } = identity
    if (keys.missingRun(runId)) newRuns.add(runId)
    const mark = () => state.marks.get(source)?.get(runId)
    if (!mark()?.spilled || seq > (mark()?.high ?? 0)) continue
    const ranges = await gaps(source, runId)
    const now = mark()
    if (!now?.spilled) continue
    unspill(now, ranges)
    fetched.push({ source, runId })
  }
  if (fresh.size > 0 || newRuns.size > 0) await keys.ensure([...fresh.values()], [...newRuns])
  return fetched
}
