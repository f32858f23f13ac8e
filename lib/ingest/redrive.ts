import type { Sql } from '../db/connect.ts'
import type { ClusterView, KafkaClients } from '../kafka/client.ts'
import { readLogRange } from '../kafka/log.ts'
import type { Outgoing, Publisher } from '../kafka/publish.ts'
import { sleep } from '../run.ts'
import { markRedriven, unmarkRedriven, type DeadLetter } from './dead-letters.ts'
import { Fault, type Decoder } from './decode.ts'

/**
 * The way back of a dead letter: to the topic and partition it came from, with its own headers, so that it is who it was.
 * Its number in its run is still open there (lib/ingest/marks.ts), so the first one to come fills it and any further one is
 * a repeat. One without a number can't be told from its repeat by the consumer; therefore its letter is marked *before* it
 * is sent, a marked one is not sent again, and `again` looks into the log first whether it is there.
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
  view: ClusterView
  publisher: Publisher
  decoders: ReadonlyMap<string, Decoder>
  /** makes another value of the letter's; null: it goes as it came */
  correct: ((value: Buffer | null) => Buffer) | null
  dryRun: boolean
  again: boolean
}

/** Names the letter in what was sent for it. */
const LETTER_HEADER = 'dead-letter-id'
/** our clock and the broker's may differ so much */
const CLOCKS_MS = 60_000

export async function redrive(
  options: RedriveOptions,
  letter: DeadLetter,
): Promise<{ outcome: Outcome; why: string }> {
  const { sql, publisher } = options
  if (letter.redrivenAt && !options.again)
    return {
      outcome: 'already sent',
      why: `at ${letter.redrivenAt.toISOString()}; --again looks whether it arrived`,
    }
  const whole = await wholeValue(options, letter)
  if (whole === undefined)
    return {
      outcome: 'incomplete',
      why: `${letter.value?.length ?? 0} of ${letter.valueBytes} bytes are kept`,
    }
  const value = options.correct ? options.correct(whole) : whole
  const fault = await faultOf(options, letter.topic, value)
  if (fault) return { outcome: 'still broken', why: `${fault.reason}: ${fault.message}` }
  const message = toMessage(letter, value, options.correct !== null)
  const identified = message.headers['run-id'] !== undefined && message.headers.seq !== undefined
  if (letter.redrivenAt && !identified && (await isInLog(options, letter)))
    return { outcome: 'already sent', why: 'the log has it' }
  if (options.dryRun) return { outcome: 'would be sent', why: `to ${letter.topic}` }
  if (!letter.redrivenAt && !(await markRedriven(sql, letter.id)))
    return { outcome: 'already sent', why: 'by somebody else, just now' }
  try {
    await publisher.publish(letter.topic, [message])
  } catch (error) {
    // Without an answer it may be there: harmless for one with a number; of the others only what was refused is certainly not.
    if (identified || isRefused(error)) await unmarkRedriven(sql, letter.id)
    throw error
  }
  return { outcome: 'sent', why: `to ${letter.topic}` }
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
  { decoders }: RedriveOptions,
  topic: string,
  value: Buffer | null,
): Promise<Fault | null> {
  const decode = decoders.get(topic)
  if (!decode) return null
  await decode.learn?.([value])
  const decoded = decode(value)
  return decoded instanceof Fault ? decoded : null
}

function toMessage(letter: DeadLetter, value: Buffer | null, isCorrected: boolean): Outgoing {
  const headers: Record<string, string> = { ...letter.headers, [LETTER_HEADER]: String(letter.id) }
  if (isCorrected) {
    delete headers['run-id']
    delete headers.seq
  }
  const { key, partition } = letter
  return { key, value, headers, ...(partition === null ? {} : { partition }) }
}

/** Whether a message for this letter has been appended since it was marked. */
async function isInLog({ clients, view }: RedriveOptions, letter: DeadLetter): Promise<boolean> {
  const since = (letter.redrivenAt?.getTime() ?? 0) - CLOCKS_MS
  const from = await view.ask('find where to look', (admin) =>
    admin.fetchTopicOffsetsByTimestamp(letter.topic, since),
  )
  let found = false
  for (const { partition, high } of await view.offsets(letter.topic)) {
    if (found || (letter.partition !== null && letter.partition !== partition)) continue
    const first = Number(from.find((f) => f.partition === partition)?.offset ?? high)
    if (first < 0) continue
    await readLogRange(clients, letter.topic, partition, first, high, ({ headers }) => {
      if (String(headers?.[LETTER_HEADER] ?? '') === String(letter.id)) found = true
    })
  }
  return found
}

function isRefused(error: unknown): boolean {
  return error instanceof Error && error.name === 'KafkaJSProtocolError'
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
