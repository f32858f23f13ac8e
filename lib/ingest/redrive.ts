import type { Database, Sql } from '../db/connect.ts'
import type { ClusterView, KafkaClients } from '../kafka/client.ts'
import { readLogRange } from '../kafka/log.ts'
import type { Outgoing, OutgoingHeaders, Publisher } from '../kafka/publish.ts'
import { protocolType } from '../kafka/send.ts'
import type { Identity, Reading } from '../reading.ts'
import { sleep } from '../run.ts'
import { startAdmission } from './admission.ts'
import { markRedriven, unmarkRedriven, type DeadLetter, type FirstMark } from './dead-letters.ts'
import { Fault, type Decoder } from './decode.ts'
import { asRead } from './headers.ts'
import { identityOf } from './identity.ts'
import { createKeyCache, type SensorNumbers } from './keys.ts'
import { createState } from './partition.ts'

/**
 * The way back of a dead letter: to the topic and partition it came from, with its own headers, so that it is who it was.
 * Its number in its run is still open there (lib/ingest/marks.ts), so the first one to come fills it and any further one is
 * a repeat: its letter is marked when Kafka has it. One without a number can't be told from its repeat by the consumer;
 * therefore its letter is marked *before* it is sent. A marked one is sent again only where the log has no message for it.
 * A corrected message is not what its producer accepted: it goes as a foreign one, beside its letter.
 */
export type Outcome =
  | 'sent'
  /** it would be: a dry run */
  | 'would be sent'
  | 'already sent'
  /** it would become a dead letter once more */
  | 'still broken'
  /** only its beginning is kept, and the log has lost the rest */
  | 'incomplete'

export interface RedriveOptions {
  sql: Sql
  clients: KafkaClients
  publisher: Publisher
  decoders: ReadonlyMap<string, Decoder>
  /** whether the consumers would register what these readings need */
  admit: (readings: readonly Reading[]) => Promise<Fault | null>
  /** makes another value of the letter's; null: it goes as it came */
  correct: ((value: Buffer | null) => Buffer | Fault) | null
  dryRun: boolean
  /** marked letters that the log has a message for; null: those that are marked are left alone */
  inLog: ReadonlySet<number> | null
}

/** Names the letter in what was sent for it. */
const LETTER_HEADER = 'dead-letter-id'
/** our clock and the broker's may differ so much */
const CLOCKS_MS = 60_000

export async function redrive(
  options: RedriveOptions,
  letter: DeadLetter,
): Promise<{ outcome: Outcome; why: string }> {
  const { sql, publisher, inLog } = options
  if (letter.redrivenAt && !inLog)
    return {
      outcome: 'already sent',
      why: `at ${letter.redrivenAt.toISOString()}; --again looks whether it arrived`,
    }
  if (letter.redrivenAt && inLog?.has(letter.id)) return { outcome: 'already sent', why: 'the log has it' }
  const whole = await wholeValue(options, letter)
  if (whole === undefined)
    return {
      outcome: 'incomplete',
      why: `${letter.value?.length ?? 0} of ${letter.valueBytes} bytes are kept`,
    }
  const value = options.correct ? options.correct(whole) : whole
  if (value instanceof Fault) return stillBroken(value)
  const fault = await faultOf(options, letter.topic, value)
  if (fault) return stillBroken(fault)
  if (options.dryRun) return { outcome: 'would be sent', why: `to ${letter.topic}` }
  const identity = options.correct ? null : numberOf(letter)
  const message = toMessage(letter, value, identity)
  if (!identity && !letter.redrivenAt && !(await markRedriven(sql, letter.id)))
    return { outcome: 'already sent', why: 'by somebody else, just now' }
  try {
    await publisher.publish(letter.topic, [message])
  } catch (error) {
    // Without an answer it may be there: of those without a number only what was refused is certainly not.
    if (!identity && isRefused(error)) await unmarkRedriven(sql, letter.id)
    throw error
  }
  if (identity) await markRedriven(sql, letter.id)
  return { outcome: 'sent', why: `to ${letter.topic}` }
}

function stillBroken({ reason, message }: Fault): { outcome: Outcome; why: string } {
  return { outcome: 'still broken', why: `${reason}: ${message}` }
}

/** What a consumer took for its number, and nothing else: its headers may name what is none. */
function numberOf({ runId, seq }: DeadLetter): Identity | null {
  return runId === null || seq === null ? null : { runId, seq }
}

/** undefined where it can't be had any more */
async function wholeValue(options: RedriveOptions, letter: DeadLetter): Promise<Buffer | null | undefined> {
  const { topic, partition, offset, value, valueBytes } = letter
  if (value === null || value.length === valueBytes) return value
  if (partition === null || offset === null) return undefined
  let found: Buffer | null | undefined
  await readLogRange(options.clients, topic, partition, offset, offset + 1, (message) => {
    found = message.value
  })
  return found
}

async function faultOf(
  { decoders, admit }: RedriveOptions,
  topic: string,
  value: Buffer | null,
): Promise<Fault | null> {
  const decode = decoders.get(topic)
  if (!decode) return null
  await decode.learn?.([value])
  const decoded = decode(value)
  return decoded instanceof Fault ? decoded : admit(decoded.readings)
}

function toMessage(letter: DeadLetter, value: Buffer | null, identity: Identity | null): Outgoing {
  const headers: OutgoingHeaders = { ...asRead(letter.headers), [LETTER_HEADER]: String(letter.id) }
  if (identity) Object.assign(headers, { 'run-id': identity.runId, seq: String(identity.seq) })
  else if (identityOf(headers)) {
    delete headers['run-id']
    delete headers.seq
  }
  const { key, partition } = letter
  return { key, value, headers, ...(partition === null ? {} : { partition }) }
}

/**
 * Decides as the consumers do, with the sensors that are registered now and those of the letters before: a letter that
 * would only become another one of reason sensor_limit is refused.
 */
export async function createAdmittance(
  database: Database,
  maxSensors: number,
): Promise<RedriveOptions['admit']> {
  const keys = createKeyCache(database)
  await keys.load()
  const known: SensorNumbers = new Map()
  const registered = new Set<string>()
  const { admit } = startAdmission(createState(), keys, known, registered, maxSensors)
  return async (readings) => {
    for (const id of await keys.find(readings, known)) registered.add(id)
    return admit(readings)
  }
}

/** The letters that the log has a message for, appended to these topics since the first of each was marked. */
export async function lettersInLog(
  clients: KafkaClients,
  view: ClusterView,
  marks: readonly FirstMark[],
): Promise<Set<number>> {
  const found = new Set<number>()
  for (const { topic, since } of marks) {
    const starts = await view.ask('find where to look', (admin) =>
      admin.fetchTopicOffsetsByTimestamp(topic, since.getTime() - CLOCKS_MS),
    )
    for (const { partition, high } of await view.offsets(topic)) {
      const first = Number(starts.find((s) => s.partition === partition)?.offset ?? high)
      if (first < 0) continue
      await readLogRange(clients, topic, partition, first, high, ({ headers }) => {
        const id = headers?.[LETTER_HEADER]
        if (id) found.add(Number(String(id)))
      })
    }
  }
  return found
}

/** What a broker says before it appends; other answers may come after, from one that has lost its partition or waited in vain. */
const NOT_APPENDED = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'CORRUPT_MESSAGE',
  'NOT_ENOUGH_REPLICAS',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'TOPIC_AUTHORIZATION_FAILED',
])

/** Kafka has certainly not taken it. */
export function isRefused(error: unknown): boolean {
  return NOT_APPENDED.has(protocolType(error) ?? '')
}

/** Waits so that on average no more than `perSecond` go; null: as fast as it goes. */
export function createPace(
  perSecond: number | null,
  now: () => number,
): (signal: AbortSignal) => Promise<void> {
  let next = now()
  return async (signal) => {
    if (perSecond === null) return
    const waitMs = next - now()
    next = Math.max(next, now()) + 1000 / perSecond
    if (waitMs > 0) await sleep(waitMs, signal)
  }
}
