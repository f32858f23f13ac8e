import { ask, type Database } from '../db/connect.ts'
import type { Identity } from '../reading.ts'
import { Fault, type Decoded } from './decode.ts'
import type { KeyCache } from './keys.ts'
import { unspill } from './marks.ts'
import { isDescribedAlike, type PartitionState } from './partition.ts'

interface Where {
  database: Database
  keys: KeyCache
  topic: string
  partition: number
  state: PartitionState
}

/**
 * Everything that needs the database before messages can be processed without a pause: keys of new sensors and runs, and
 * open numbers that no longer fitted into memory. Resolves to the sources whose numbers came back.
 */
export async function prepare(
  where: Where,
  decoded: readonly (Decoded | Fault)[],
  identities: readonly (Identity | null)[],
): Promise<{ source: string; runId: string }[]> {
  const { keys, state } = where
  const newReadings = []
  const newRuns = new Set<string>()
  const fetched: { source: string; runId: string }[] = []
  for (const [i, d] of decoded.entries()) {
    if (d instanceof Fault) continue
    for (const reading of d.readings) {
      const known = state.sensors.get(reading.sensorId)
      if (!(known && isDescribedAlike(known.described, reading)) && keys.missing(reading))
        newReadings.push(reading)
    }
    const identity = identities[i]
    if (!identity) continue
    if (keys.missingRun(identity.runId)) newRuns.add(identity.runId)
    const mark = state.marks.get(d.source)?.get(identity.runId)
    if (!mark?.spilled || identity.seq > mark.high) continue
    if (await fetchGaps(where, d.source, identity.runId))
      fetched.push({ source: d.source, runId: identity.runId })
  }
  if (newReadings.length > 0 || newRuns.size > 0) await keys.ensure(newReadings, [...newRuns])
  return fetched
}

/** Ranges of a source that no longer fitted into memory come back, because one of their numbers has come. */
async function fetchGaps(
  { database, topic, partition, state }: Where,
  source: string,
  runId: string,
): Promise<boolean> {
  const ranges = await ask(
    'read the open sequence numbers',
    database.sql<{ from: number; to: number }[]>`
      select from_seq as "from", to_seq as "to" from sequence_gaps
      where topic = ${topic} and partition = ${partition} and sensor_id = ${source} and run_id = ${runId}`,
  )
  const mark = state.marks.get(source)?.get(runId)
  if (!mark?.spilled) return false
  unspill(
    mark,
    ranges.map((r) => ({ from: r.from, to: r.to })),
  )
  return true
}

/** A sensor beyond the number that may be registered makes its message a dead letter. */
export function withinLimit(decoded: Decoded | Fault, keys: KeyCache, maxSensors: number): Decoded | Fault {
  if (decoded instanceof Fault) return decoded
  const beyond = decoded.readings.find(
    (r) => keys.sensorCount() >= maxSensors && !keys.isKnownSensor(r.sensorId),
  )
  if (!beyond) return decoded
  return new Fault(
    'sensor_limit',
    `${beyond.sensorId} is unknown, and ${maxSensors} sensors are registered already: raise MAX_SENSORS if they are real`,
  )
}
