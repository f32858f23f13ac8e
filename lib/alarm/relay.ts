import { ask, type Database } from '../db/connect.ts'
import { log } from '../log.ts'
import { sleep } from '../run.ts'

/**
 * The outbox relay: sends what the transactions left in table outbox to its topic, oldest first, and marks it after the
 * broker's acknowledgement. At least once: a crash between the two sends an entry again, under the same alert id.
 * Every consumer runs one; an advisory lock lets one of them work at a time, so that transitions of an alarm stay in order.
 */
export interface RelayMessage {
  key: string
  value: string
  headers: Record<string, string>
}

/** Resolves when every message is acknowledged by all in-sync replicas, in the order given for each key. */
export type Publish = (topic: string, messages: RelayMessage[]) => Promise<void>

interface Entry {
  entry: number
  topic: string
  key: string
  alert_id: string
  payload: Record<string, unknown>
}

const PAGE = 200
/** a missed wake-up is made good by this */
const POLL_MS = 5000
const BACKOFF_MS = 2000
/** Sent entries are kept for a day, for people who look. */
const KEEP = '1 day'
const KEEP_UNREAD = '7 days'
const TIDY_EVERY_MS = 600_000

export async function runRelay(database: Database, publish: Publish, signal: AbortSignal): Promise<void> {
  let wake = () => {}
  let tidiedAt = 0
  const listening = listen(database, () => wake())
  while (!signal.aborted) {
    try {
      const sent = await relayPage(database, publish)
      if (Date.now() - tidiedAt > TIDY_EVERY_MS) {
        tidiedAt = Date.now()
        await ask(
          'tidy the outbox',
          // what a notifier has not read yet waits for it, for a week at most
          database.sql`delete from outbox o where sent_at < now() - ${KEEP}::interval
            and (sent_at < now() - ${KEEP_UNREAD}::interval or not exists (select 1 from notification_cursors c
              where (o.transaction, o.entry) > (c.transaction, c.entry)))`,
        )
      }
      if (sent === PAGE) continue
      await Promise.race([sleep(POLL_MS, signal), new Promise<void>((resolve) => (wake = resolve))])
    } catch (error) {
      if (signal.aborted) break
      log.warn('outbox.not_relayed', { error: error as Error })
      database.renewAfter(error)
      await sleep(BACKOFF_MS, signal)
    }
  }
  await (
    await listening
  )()
}

/** Sends up to a page; resolves to how many. Zero where nothing waits, or where another consumer is at it. */
async function relayPage(database: Database, publish: Publish): Promise<number> {
  return ask(
    'relay the outbox',
    database.sql.begin(async (tx) => {
      const lock = await tx<
        { mine: boolean }[]
      >`select pg_try_advisory_xact_lock(hashtext('outbox relay')) as mine`
      if (!lock[0]?.mine) return 0
      const entries = await tx<Entry[]>`
        select entry, topic, key, alert_id, payload from outbox where sent_at is null order by entry limit ${PAGE}`
      if (entries.length === 0) return 0
      const topics = Map.groupBy(entries, (e) => e.topic)
      for (const [topic, list] of topics) await publish(topic, list.map(toMessage))
      const ids = JSON.stringify(entries.map((e) => e.entry))
      await tx`update outbox set sent_at = now()
        where entry in (select value::bigint from jsonb_array_elements_text(${ids}::text::jsonb))`
      log.debug('outbox.relayed', { count: entries.length })
      return entries.length
    }) as Promise<number>,
  )
}

function toMessage(e: Entry): RelayMessage {
  return { key: e.key, value: JSON.stringify(e.payload), headers: { 'alert-id': e.alert_id } }
}

/** Wakes at once when a transaction has left something; where listening fails, polling goes on. */
async function listen(database: Database, onNotify: () => void): Promise<() => Promise<void>> {
  try {
    const { unlisten } = await database.sql.listen('outbox', onNotify)
    return () => unlisten().catch(() => {})
  } catch (error) {
    log.warn('outbox.not_listening', { error: error as Error })
    return async () => {}
  }
}
