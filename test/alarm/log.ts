import { bookOfFile } from '../../lib/alarm/books.ts'
import { parseBook, type RuleBook, type RuleBookText } from '../../lib/alarm/rulebook.ts'
import { createRules, type Rules } from '../../lib/alarm/rules.ts'
import { parseConfig } from '../../lib/config.ts'
import { CHECKPOINT_VERSION, decodeCheckpoint, encodeCheckpoint } from '../../lib/ingest/checkpoint.ts'
import { createOutputs, type Message, type Outputs } from '../../lib/ingest/outputs.ts'
import { createProcessor, createState, type PartitionState } from '../../lib/ingest/partition.ts'
import { UNITS, type Identity, type Reading, type SensorType } from '../../lib/reading.ts'

/** A partition without Kafka and PostgreSQL: the processor, and what it would have stored. */
export const START = 1_790_000_000e6
export const defaultBook = parseBook(bookOfFile(parseConfig({})), 'config/rules.yaml')
export const bookOf = (book: RuleBookText): RuleBook => parseBook(book, 'test')

export interface Entry {
  reading: Reading
  identity: Identity | null
  appendedAtMs: number
}

export function readingOf(n: number, type: SensorType, at: number, value: number): Reading {
  return {
    sensorId: `${type}-${n}`,
    sensorType: type,
    unit: UNITS[type],
    location: { factorySection: 'production', machineId: `machine-${n}`, zone: 'zone-a' },
    measuredAt: at,
    value,
    quality: 1,
    claimedLevel: null,
    warningThreshold: null,
    criticalThreshold: null,
    metadata: null,
  }
}

export interface Partition {
  state: PartitionState
  take(offset: number, entry: Entry): void
  activate(rules: Rules, fromOffset: number, told: boolean): void
  /** while true nothing is put out: the log is read again */
  suppressed: boolean
  outputs: Outputs
}

export function openPartition(state: PartitionState = createState()): Partition {
  const outputs = createOutputs()
  const keys = { sensor: () => 1, run: () => 1 }
  const processor = createProcessor(
    state,
    () => (partition.suppressed ? null : outputs),
    { topic: 'sensor-data', partition: 0, topicKey: 1 },
    keys,
    'test',
  )
  const partition: Partition = {
    state,
    suppressed: false,
    outputs,
    take(offset, { reading, identity, appendedAtMs }) {
      const message: Message = { offset, appendedAtMs, key: null, value: null, headers: undefined }
      processor.process(
        message,
        { source: reading.sensorId, readings: [reading], unknownFields: 0 },
        identity,
      )
    },
    activate: (rules, fromOffset, told) => processor.activate(rules, fromOffset, told ? outputs : null),
  }
  return partition
}

/** As a claim does it: the state through its bytes. */
export function restored(state: PartitionState, books: readonly Rules[]): PartitionState {
  const checkpoint = decodeCheckpoint(encodeCheckpoint(state), CHECKPOINT_VERSION)
  if (!checkpoint) throw new Error('Cannot decode what was just encoded')
  checkpoint.state.rules = books.find((b) => b.version === checkpoint.rulesVersion) ?? checkpoint.state.rules
  return checkpoint.state
}

export interface Activation {
  rules: Rules
  fromOffset: number
}

/** What a run over the log tells, as text to compare. `crashes`: at `at`, back to the checkpoint taken at `checkpoint`. */
export function runLog(
  log: readonly Entry[],
  activations: readonly Activation[],
  crashes: readonly { checkpoint: number; at: number }[] = [],
): string[] {
  const books = activations.map((a) => a.rules)
  const told: string[] = []
  let partition = openPartition()
  const collect = () => {
    const { raised, cleared } = partition.outputs
    for (const a of raised.splice(0)) told.push(`raised ${JSON.stringify(a)}`)
    for (const a of cleared.splice(0)) told.push(`cleared ${JSON.stringify(a)}`)
  }
  const saved = new Map<number, ReturnType<typeof restored>>()
  let highest = -1
  let position = 0
  const ahead = [...crashes].sort((a, b) => a.at - b.at)
  while (position <= log.length) {
    for (const { rules, fromOffset } of activations)
      if (fromOffset === position && rules.version > partition.state.rules.version)
        partition.activate(rules, fromOffset, position > highest)
    if (crashes.some((c) => c.checkpoint === position) && !saved.has(position))
      saved.set(position, restored(partition.state, books))
    const crash = ahead[0]
    if (crash && position >= crash.at && position > highest) {
      ahead.shift()
      collect()
      const from = saved.get(crash.checkpoint)
      highest = position - 1
      if (from) {
        partition = openPartition(restored(from, books))
        position = crash.checkpoint
        continue
      }
    }
    const entry = log[position]
    if (entry) {
      partition.suppressed = position <= highest
      partition.take(position, entry)
      if (position > highest) highest = position
    }
    collect()
    position++
  }
  return told
}

export const rulesOf = (version: number, book: RuleBook) => createRules(version, book)
