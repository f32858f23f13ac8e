import type { Sql } from '../db/connect.ts'
import { Fault, type Decoder } from '../ingest/decode.ts'
import { identityOf } from '../ingest/identity.ts'
import type { KafkaClients } from '../kafka/client.ts'
import { readLogRange, type LogMessage } from '../kafka/log.ts'
import { emptyBatch } from './batch.ts'
import { markWritten, type LetterPlace, type SinkDeadLetter } from './dead-letters.ts'
import type { Destination } from './destination.ts'

/**
 * The way back of what a store has refused, once the cause is mended there: its message is read from the log once more
 * and written under its own id, so doing it twice is doing it once. What is no reading has its way through its topic.
 */
export type Outcome =
  | 'written'
  /** it would be: a dry run */
  | 'would be written'
  | 'already written'
  /** the store refuses it still */
  | 'refused again'
  /** it is no reading, in no store: its way back is through its topic */
  | 'no reading'
  /** the log does not have it any more */
  | 'gone'

export interface BringBackOptions {
  sql: Sql
  clients: KafkaClients
  /** of the brokers that are there now */
  clusterId: string
  destination: Destination
  decoders: ReadonlyMap<string, Decoder>
  dryRun: boolean
}

/** reasons that a store gives; all others are of messages that are no readings */
const OF_THE_STORE = ['refused', 'too_large']
/** one read of the log covers letters that lie so close together */
const NEAR = 10_000

/** What became of one letter, and why; resolves to whether to go on. */
export type Told = (letter: SinkDeadLetter, outcome: Outcome, why: string) => Promise<boolean>

/** Each letter in its turn, as long as `tell` says so. Rejects where the store or Kafka is away. */
export async function bringBack(
  options: BringBackOptions,
  letters: readonly SinkDeadLetter[],
  tell: Told,
): Promise<void> {
  const inLog = letters.filter((l) => isRefused(l) && l.isOfThisLog && l.clusterId === options.clusterId)
  const messages = await messagesOf(options.clients, inLog)
  for (const letter of letters) {
    const { outcome, why } = await one(letter)
    if (!(await tell(letter, outcome, why))) return
  }

  async function one(letter: SinkDeadLetter): Promise<{ outcome: Outcome; why: string }> {
    const { topic, partition, offset, log } = letter
    if (letter.writtenAt) return { outcome: 'already written', why: `at ${letter.writtenAt.toISOString()}` }
    if (!isRefused(letter))
      return {
        outcome: 'no reading',
        why: `${letter.reason}: bun run dlt redrive sends it to its topic again`,
      }
    const message = messages.get(nameOf(letter))
    const identity = message ? identityOf(message.headers) : null
    const isIt =
      identity?.runId === (letter.runId ?? undefined) && identity?.seq === (letter.seq ?? undefined)
    if (!message || !isIt) return { outcome: 'gone', why: 'the log does not have it any more' }
    const decode = options.decoders.get(topic)
    await decode?.learn?.([message.value])
    const decoded = decode?.(message.value) ?? null
    if (decoded === null || decoded instanceof Fault)
      return { outcome: 'no reading', why: decoded?.message ?? `nothing here reads ${topic}` }
    if (options.dryRun) return { outcome: 'would be written', why: letter.message }
    const batch = emptyBatch(topic, partition, offset, log)
    batch.entries.push({ offset, appendedAtMs: message.appendedAtMs, identity, decoded })
    batch.to = offset + 1
    const [refusal] = await options.destination.write(batch)
    if (refusal) return { outcome: 'refused again', why: refusal.message }
    await markWritten(options.sql, options.destination.name, letter)
    return { outcome: 'written', why: letter.message }
  }
}

function isRefused({ reason, writtenAt }: SinkDeadLetter): boolean {
  return writtenAt === null && OF_THE_STORE.includes(reason)
}

/** What the log has at the places of these letters. */
async function messagesOf(
  clients: KafkaClients,
  letters: readonly SinkDeadLetter[],
): Promise<Map<string, LogMessage>> {
  const found = new Map<string, LogMessage>()
  const wanted = new Set(letters.map(nameOf))
  for (const near of neighbours(letters)) {
    const [first] = near
    const last = near.at(-1)
    if (!first || !last) continue
    const { topic, partition } = first
    await readLogRange(clients, topic, partition, first.offset, last.offset + 1, (message) => {
      const name = nameOf({ topic, partition, offset: message.offset })
      if (wanted.has(name)) found.set(name, message)
    })
  }
  return found
}

/** Letters of one partition that lie close together, in the order of the log. */
function neighbours(letters: readonly SinkDeadLetter[]): SinkDeadLetter[][] {
  const groups: SinkDeadLetter[][] = []
  for (const letter of letters) {
    const last = groups.at(-1)?.at(-1)
    const isNear =
      last?.topic === letter.topic &&
      last.partition === letter.partition &&
      letter.offset - last.offset < NEAR
    if (isNear) groups.at(-1)?.push(letter)
    else groups.push([letter])
  }
  return groups
}

/** How people name it. */
export function nameOf({ topic, partition, offset }: LetterPlace): string {
  return `${topic}/${partition}/${offset}`
}
