import { ask, type Database, type Transaction } from '../db/connect.ts'
import type { OutgoingHeaders } from '../kafka/publish.ts'
import { log } from '../log.ts'
import { rest, sleep } from '../run.ts'

/**
 * A relay: sends what transactions left in a table to Kafka, oldest first, and marks it after the broker's
 * acknowledgement. At least once: a crash between the two sends an entry again, with the same identity in its headers.
 * Every consumer runs each relay; an advisory lock lets one of them work at a time, so that the order is kept.
 */
export interface Relay {
  /** for the log, and of the lock */
  name: string
  /** what writers notify on; a missed wake-up is made good by polling */
  channel: string
  /** does anything wait? One question where mostly nothing does; a page is a transaction of four */
  waits(): Promise<boolean>
  /** sends one page inside the transaction that marks it; true: there may be more */
  page(tx: Transaction): Promise<boolean>
  /** now and then, between pages */
  tidy?(): Promise<void>
}

export interface RelayMessage {
  key: string | Buffer | null
  value: string | Buffer | null
  headers: OutgoingHeaders
}

/** Resolves when every message is acknowledged by all in-sync replicas, in the order given for each key. */
export type Publish = (topic: string, messages: RelayMessage[]) => Promise<void>

const POLL_MS = 5000
const BACKOFF_MS = 2000
const TIDY_EVERY_MS = 600_000

export async function runRelay(database: Database, relay: Relay, signal: AbortSignal): Promise<void> {
  let wake = () => {}
  let tidiedAt = 0
  let isTold = false // that something waits: then it need not be asked
  const listening = listen(database, relay, () => {
    isTold = true
    wake()
  })
  while (!signal.aborted) {
    try {
      const waits = isTold || (await ask(`ask what waits for relay ${relay.name}`, relay.waits()))
      isTold = false
      if (waits && (await relayPage(database, relay))) isTold = true
      if (relay.tidy && Date.now() - tidiedAt > TIDY_EVERY_MS) {
        tidiedAt = Date.now()
        await relay.tidy()
      }
      if (isTold) continue
      await rest(POLL_MS, signal, (end) => (wake = end))
    } catch (error) {
      if (signal.aborted) break
      log.warn('relay.failed', { relay: relay.name, error: error as Error })
      database.renewAfter(error)
      await sleep(BACKOFF_MS, signal)
    }
  }
  await (
    await listening
  )()
}

/** False where nothing waits, or where another consumer is at it. */
async function relayPage(database: Database, relay: Relay): Promise<boolean> {
  return ask(
    `relay ${relay.name}`,
    database.sql.begin(async (tx) => {
      const lock = await tx<
        { mine: boolean }[]
      >`select pg_try_advisory_xact_lock(hashtext(${`${relay.name} relay`})) as mine`
      return lock[0]?.mine ? relay.page(tx) : false
    }) as Promise<boolean>,
  )
}

/** Wakes at once when a transaction has left something; where listening fails, polling goes on. */
async function listen(database: Database, relay: Relay, onNotify: () => void): Promise<() => Promise<void>> {
  try {
    const { unlisten } = await database.sql.listen(relay.channel, onNotify)
    return () => unlisten().catch(() => {})
  } catch (error) {
    log.warn('relay.not_listening', { relay: relay.name, error: error as Error })
    return async () => {}
  }
}
