import { decodeFactory } from '../../lib/ingest/decode.ts'
import { identityOf } from '../../lib/ingest/identity.ts'
import { createOutputs, type Message, type Outputs } from '../../lib/ingest/outputs.ts'
import { createProcessor, createState, type PartitionState } from '../../lib/ingest/partition.ts'
import { defaultBook, rulesOf } from '../alarm/log.ts'
import { rowsOf } from '../../lib/ingest/rows.ts'

/** A log written by hand, and what comes of it without a database. */
const BEGAN = Date.UTC(2026, 0, 1)
export const rules = rulesOf(1, defaultBook)
/** a partition that these rules judge from the start */
export function freshState(): PartitionState {
  return { ...createState(), rules }
}
export const where = { topic: 'sensor-data', partition: 0, topicKey: 1 }
export const keys = {
  sensor: (r: { sensorId: string; unit: string }) => Bun.hash.crc32(r.sensorId + r.unit) >>> 1,
  run: () => 7,
}

export interface Sent {
  sensor?: string
  seq: number | null
  value?: number | string
  /** seconds after the beginning, of measuring; arrival is the offset in seconds unless told */
  at: number
  arrivedAt?: number
  quality?: number
  metadata?: object
}

export function logOf(sent: readonly Sent[]): Message[] {
  return sent.map((one, offset) => ({
    offset,
    appendedAtMs: BEGAN + (one.arrivedAt ?? one.at) * 1000,
    key: Buffer.from(one.sensor ?? 'temp-1'),
    value: Buffer.from(
      JSON.stringify({
        timestamp: new Date(BEGAN + one.at * 1000).toISOString(),
        sensor_id: one.sensor ?? 'temp-1',
        sensor_type: 'temperature',
        location: { factory_section: 'p', machine_id: 'm', zone: 'z' },
        value: one.value ?? 20,
        unit: '°C',
        quality: one.quality,
        metadata: one.metadata,
      }),
    ),
    headers: one.seq === null ? {} : { 'run-id': Buffer.from('run-1'), seq: Buffer.from(String(one.seq)) },
  }))
}

/** Processes the log from `from` on into the state; what comes before `liveFrom` is read again, with nothing put out. */
export function process(
  state: PartitionState,
  log: readonly Message[],
  outputs: Outputs,
  liveFrom = 0,
): void {
  let live = false
  const processor = createProcessor(state, () => (live ? outputs : null), where, keys, 'consumer-1')
  for (const message of log) {
    live = message.offset >= liveFrom
    processor.process(message, decodeFactory(message.value), identityOf(message.headers))
  }
}

/** What the database would get: rows, alarms with their ids, dead letters, counters. */
export interface Stored {
  rows: ReturnType<typeof rowsOf>
  raised: unknown[]
  cleared: unknown[]
  letters: number[]
  counters: Outputs['counters']
}

export function storedOf(batches: readonly Outputs[]): Stored {
  const counters = createOutputs().counters
  for (const batch of batches) {
    for (const name of Object.keys(counters) as (keyof typeof counters)[])
      counters[name] += batch.counters[name]
  }
  return {
    rows: batches.flatMap((batch) => rowsOf(batch.copy.finish())),
    raised: batches.flatMap((batch) => batch.raised),
    cleared: batches.flatMap((batch) => batch.cleared),
    letters: batches.flatMap((batch) => batch.deadLetters.map((letter) => letter.message.offset)),
    counters,
  }
}

export function run(sent: readonly Sent[]): Stored & { state: PartitionState } {
  const state = freshState()
  const outputs = createOutputs()
  process(state, logOf(sent), outputs)
  return { ...storedOf([outputs]), state }
}
