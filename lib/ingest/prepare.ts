import type { Identity } from '../reading.ts'
import { startAdmission, strangers } from './admission.ts'
import { Fault, type Decoded } from './decode.ts'
import type { KeyCache, SensorNumbers } from './keys.ts'
import { unspill, type Range } from './marks.ts'
import type { PartitionState } from './partition.ts'

interface Where {
  keys: KeyCache
  /** filled with the numbers of all sensors that the chunk needs and the state has not */
  numbers: SensorNumbers
  maxSensors: number
  state: PartitionState
  /** the open numbers of a source that no longer fitted into memory */
  gaps(source: string, runId: string): Promise<Range[]>
  /** called between two questions to the database: they may take seconds, and the group has to hear of us */
  beat: Beat
}

/** Says that we are alive, where it is time for that; never rejects. */
export type Beat = () => Promise<void>
export const inSilence: Beat = async () => {}

/** A sensor that changes its description to and fro is not asked for each time; more than this is no such sensor. */
const KEPT = 4096

/**
 * Everything that needs the database before messages can be processed without a pause: numbers of new sensors and runs,
 * and open numbers that come back because one of them has come. A message whose sensor may not be registered becomes a
 * fault in `decoded`. Resolves to the sources whose numbers came back.
 */
export async function prepare(
  { keys, numbers, maxSensors, state, gaps, beat }: Where,
  decoded: (Decoded | Fault)[],
  identities: readonly (Identity | null)[],
): Promise<{ source: string; runId: string }[]> {
  if (numbers.size > KEPT) numbers.clear()
  const unknown = strangers(state, decoded, numbers)
  const registered = unknown.length > 0 ? await keys.find(unknown, numbers) : new Set<string>()
  if (unknown.length > 0) await beat()
  const { fresh, newIds, admit } = startAdmission(state, keys, numbers, registered, maxSensors)
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
  if (fresh.size > 0) {
    await keys.register([...fresh.values()], newIds(), numbers)
    await beat()
  }
  for (const runId of newRuns) await keys.registerRun(runId)
  return fetched
}
