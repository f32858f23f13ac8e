import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Damage } from './broken.ts'

/** A build that is broken on purpose, and which invariants must show it. */
export interface Control {
  name: string
  damages: Damage[]
  /** at least one of these must be violated */
  shows: string[]
}

const STORE = 'lib/ingest/store.ts'
const OUTLET = 'lib/kafka/outlet.ts'
const SENT = 'connection.producer.send({ topic, messages, acks: -1, timeout: REQUEST_TIMEOUT_MS })'
const PATIENT: Damage[] = [
  { file: OUTLET, from: 'retry: { retries: 0,', to: 'retry: { retries: 30,' },
  { file: OUTLET, from: 'const SEND_MS = REQUEST_TIMEOUT_MS * 2', to: 'const SEND_MS = 60_000' },
]

export const controls = {
  autoCommit: {
    name: 'the position is committed before the write',
    damages: [
      {
        file: STORE,
        from: 'const few = outputs.copy.rows <= (alone ? FEW_ROWS_WITH_ALARMS : FEW_ROWS)',
        to: 'const few = false',
      },
      {
        file: STORE,
        from: `await ask(
    'store a batch',
    sql.begin(async (tx) => {
      await moveOn(tx, batch, few ? stream : null, [])`,
        to: `await moveOn(sql, batch, null, [])
  await ask(
    'store a batch',
    sql.begin(async (tx) => {`,
      },
    ],
    shows: ['I1'],
  },
  noCompareAndSet: {
    name: 'nobody looks whether the compare-and-set has set',
    damages: [
      { file: STORE, from: 'if (moved.length !== 1) {', to: 'if (moved.length < 0) {' },
      { file: STORE, from: 'metadata text) cross join moved`', to: 'metadata text)`' },
    ],
    shows: ['I2'],
  },
  noMark: {
    name: 'no high-water mark: a repeat is as good as news',
    damages: [
      {
        file: 'lib/ingest/partition.ts',
        from: "if (is.kind === 'repeat') {",
        to: 'if (is.kind !== is.kind) {',
      },
    ],
    shows: ['I2'],
  },
  kafkaOffsets: {
    name: "reading goes on from Kafka's committed offset",
    damages: [
      {
        file: 'lib/kafka/group.ts',
        from: 'consumer.seek({ ...tp, offset: String(offset) })',
        to: 'void offset',
      },
      {
        file: 'lib/ingest/worker.ts',
        from: 'const wanted = messages.filter((m) => m.offset >= position)',
        to: 'if (messages[0] && messages[0].offset !== position) position = stored = messages[0].offset\n    const wanted = messages',
      },
    ],
    shows: ['I1', 'I2', 'I6'],
  },
  idempotent: {
    name: "the library's idempotent mode with two sends at once",
    damages: [
      { file: OUTLET, from: 'idempotent: false,', to: 'idempotent: true,' },
      ...PATIENT,
      { file: OUTLET, from: SENT, to: 'atOnce(connection.producer, topic, messages)' },
      {
        file: OUTLET,
        from: 'export function openOutlet(',
        to: `async function atOnce(producer: Producer, topic: string, messages: Message[]): Promise<RecordMetadata[]> {
  const options = { topic, acks: -1, timeout: REQUEST_TIMEOUT_MS }
  if (messages.length % 2 === 1) {
    const answer = await producer.send({ ...options, messages: messages.slice(0, 1) })
    if (messages.length === 1) return answer
  }
  const even = messages.slice(messages.length % 2)
  const half = even.length / 2
  const [first] = await Promise.all([producer.send({ ...options, messages: even.slice(0, half) }), producer.send({ ...options, messages: even.slice(half) })])
  return first
}

export function openOutlet(`,
      },
      // its answers name parts of a batch, so nobody can hold them against the batch
      {
        file: 'lib/kafka/send.ts',
        from: 'const fault = faultOf(answer, topic, partition, acked.end)',
        to: 'const fault = null as string | null',
      },
    ],
    shows: ['I1'],
  },
  twoPartitions: {
    name: 'several partitions in a send, and nobody looks at the answer',
    damages: [
      ...PATIENT,
      { file: OUTLET, from: SENT, to: 'together(connection.producer, topic, messages)' },
      {
        file: OUTLET,
        from: 'export function openOutlet(',
        to: `let waiting: Message[] = []
let sent: Promise<RecordMetadata[]> | null = null
function together(producer: Producer, topic: string, messages: Message[]): Promise<RecordMetadata[]> {
  waiting.push(...messages)
  sent ??= Bun.sleep(20).then(() => {
    const all = waiting
    waiting = []
    sent = null
    return producer.send({ topic, messages: all, acks: -1, timeout: REQUEST_TIMEOUT_MS })
  })
  return sent
}

export function openOutlet(`,
      },
      {
        file: 'lib/kafka/send.ts',
        from: 'const fault = faultOf(answer, topic, partition, acked.end)',
        to: 'const fault = null as string | null',
      },
    ],
    shows: ['I1'],
  },
  oneAck: {
    name: 'one copy acknowledges, and any copy may lead',
    damages: [{ file: OUTLET, from: 'acks: -1,', to: 'acks: 1,' }],
    shows: ['I1', 'I4'],
  },
  noFence: {
    name: 'the fence knows neither epoch nor position',
    damages: [
      {
        file: STORE,
        from: '\n      and next_offset = ${p.expected} and epoch = ${p.epoch} returning 1`',
        to: ' returning 1`',
      },
    ],
    shows: ['I2', 'I6'],
  },
  lettersOnErrors: {
    name: 'what PostgreSQL was away for becomes dead letters',
    damages: [
      {
        file: 'lib/ingest/suspects.ts',
        from: 'const code = sqlState(error)\n      if (!code || !/^2[23]/.test(code)) return',
        to: "const code = sqlState(error) ?? ''\n      for (let i = next - count; i < next; i++) condemned.set(i, new Fault('storage', `is refused by the database: ${String(error)}`))",
      },
    ],
    shows: ['I8'],
  },
  clockIds: {
    name: 'the id of an alarm comes from the clock',
    damages: [
      { file: 'lib/alarm/id.ts', from: '.update(name).digest()', to: '.update(name + Date.now()).digest()' },
    ],
    shows: ['I7'],
  },
} satisfies Record<string, Control>

export type ControlName = keyof typeof controls

export function sourceOf(file: string): string {
  return readFileSync(join(import.meta.dir, '../..', file), 'utf8')
}
