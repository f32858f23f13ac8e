import type { Config } from '../config.ts'
import { ask, type Database } from '../db/connect.ts'
import { log } from '../log.ts'
import { sleep } from '../run.ts'
import { alertmanager } from './alertmanager.ts'
import { webhook } from './webhook.ts'

/**
 * Tells others of alarms: readers of the outbox beside the relay, each with a cursor of its own. Entries are taken in the
 * order in which they became visible (by transaction, then entry), one at a time: transitions of an alarm arrive in order, each at
 * least once. What cannot be delivered is tried again with back-off and holds up what comes after it; what the receiver
 * refuses for good (4xx) is told as an event and left behind. Suppressed alarms call nobody; one that waited for others
 * of its machine (wait.ts) is raised for them in the moment it calls, one that was called for before it fell quiet with its
 * sensor (service.ts) is told to its end, and the end of a shelf calls only for what is still active.
 */
export interface Channel {
  name: string
  /** resolves when the receiver has it; rejects with Refused where trying again is of no use */
  send(entry: Notification, signal: AbortSignal): Promise<void>
  /** called about every half minute, for receivers that forget */
  repeat?(database: Database, signal: AbortSignal): Promise<void>
}

export interface Notification {
  entry: number
  alert_id: string
  payload: Record<string, unknown>
}

/** The receiver will never take this one. */
export class Refused extends Error {}

const POLL_MS = 1000
const PAGE = 100
const BACKOFF_MS = [1000, 2000, 5000, 10_000, 30_000, 60_000]
const REPEAT_EVERY_MS = 30_000

export async function runNotifiers(config: Config, database: Database, signal: AbortSignal): Promise<void> {
  const channels: Channel[] = []
  if (config.WEBHOOK_URL) channels.push(webhook(config.WEBHOOK_URL, config.WEBHOOK_SECRET ?? null))
  if (config.ALERTMANAGER_URL) channels.push(alertmanager(config.ALERTMANAGER_URL, config.MONITORING_PORT))
  await Promise.all(channels.map((channel) => runChannel(channel, database, signal)))
}

export async function runChannel(
  channel: Channel,
  database: Database,
  signal: AbortSignal,
  pollMs = POLL_MS,
  backoffMs: readonly number[] = BACKOFF_MS,
): Promise<void> {
  let failures = 0
  let repeatedAt = 0
  while (!signal.aborted) {
    try {
      const delivered = await deliverPage(channel, database, signal)
      failures = 0
      if (channel.repeat && delivered !== null && Date.now() - repeatedAt > REPEAT_EVERY_MS) {
        repeatedAt = Date.now()
        await channel.repeat(database, signal)
      }
      if (delivered !== PAGE) await sleep(pollMs, signal)
    } catch (error) {
      if (signal.aborted) break
      const waitMs = backoffMs[Math.min(failures, backoffMs.length - 1)] ?? 1000
      failures++
      log.warn('notification.not_sent', { channel: channel.name, attempt: failures, wait_ms: waitMs, error })
      await sleep(waitMs, signal)
    }
  }
}

interface Cursor {
  transaction: string
  entry: number
}

/** Delivers up to a page; null where another consumer is at it. Commits after each entry, so that a crash repeats at most one. */
export async function deliverPage(
  channel: Channel,
  database: Database,
  signal: AbortSignal,
): Promise<number | null> {
  const { sql } = database
  const { name } = channel
  // A lock of the session would outlive a pooled query: the row itself says who is at it, for as long as a post may take.
  await ask(
    'open the cursor',
    sql`insert into notification_cursors (channel, transaction, entry)
      values (${name}, pg_snapshot_xmin(pg_current_snapshot()), 0) on conflict (channel) do nothing`,
  )
  const holder = crypto.randomUUID()
  const mine = await ask(
    'take the cursor',
    sql<
      Cursor[]
    >`update notification_cursors set holder = ${holder}, held_until = now() + interval '30 seconds'
      where channel = ${name} and (held_until is null or held_until < now()) returning transaction::text, entry`,
  )
  const cursor = mine[0]
  if (!cursor) return null
  try {
    const entries = await ask(
      'read the outbox',
      sql<(Notification & { transaction: string })[]>`
        select entry, transaction::text, alert_id, payload from outbox
        where (transaction, entry) > (${cursor.transaction}::xid8, ${cursor.entry}::bigint)
          and transaction < pg_snapshot_xmin(pg_current_snapshot())
          and payload ? 'state' -- not the events of devices: the alarm itself is told
        order by outbox.transaction, entry limit ${PAGE} -- the number: as text 10 would come before 9`,
    )
    for (const { payload, ...rest } of entries) {
      if (signal.aborted) break
      const entry = {
        ...rest,
        payload: payload.state === 'called' ? { ...payload, state: 'raised' } : payload,
      }
      const heard = isHeard(entry.payload)
      const refused = heard ? await attempt(channel, entry, signal) : null
      const moved = await ask(
        'move the cursor',
        sql`update notification_cursors set transaction = ${entry.transaction}::xid8, entry = ${entry.entry},
            sent = sent + ${heard && !refused ? 1 : 0},
            refused = refused + ${refused ? 1 : 0}, attempts = 0, last_error = ${refused}, updated_at = now(),
            held_until = now() + interval '30 seconds'
          where channel = ${name} and holder = ${holder} returning 1`,
      )
      if (moved.length === 0) return null
      if (refused) await tellRefused(database, name, entry, refused)
    }
    return entries.length
  } catch (error) {
    const seen = error instanceof Error ? error.message : String(error)
    await sql`update notification_cursors set attempts = attempts + 1, last_error = ${seen.slice(0, 500)}, updated_at = now()
      where channel = ${name} and holder = ${holder}`.catch(() => {})
    throw error
  } finally {
    await sql`update notification_cursors set held_until = null where channel = ${name} and holder = ${holder}`.catch(
      () => {},
    )
  }
}

function isHeard({ state, suppressed, called, active }: Record<string, unknown>): boolean {
  if (state === 'unshelved' && active === false) return false
  return suppressed === undefined || called === true
}

/** The receiver's reason where it refuses for good; null where it took it. */
async function attempt(channel: Channel, entry: Notification, signal: AbortSignal): Promise<string | null> {
  try {
    await channel.send(entry, signal)
    return null
  } catch (error) {
    if (error instanceof Refused) return error.message
    throw error
  }
}

async function tellRefused(
  database: Database,
  channel: string,
  entry: Notification,
  why: string,
): Promise<void> {
  const message = `${channel} refused the transition of alarm ${entry.alert_id}: ${why}`
  log.warn('notification.refused', { channel, alert_id: entry.alert_id, detail: why })
  await ask(
    'record the event',
    database.sql`insert into system_events (source, event, severity, message)
      values ('notifications', 'notification.refused', 'warning', ${message.slice(0, 1000)})`,
  )
}

/** 5 s: a receiver that takes longer holds up every alarm behind this one. */
const POST_MS = 5000

/** POST; resolves on 2xx, Refused on a 4xx that will not change by waiting, any other error is worth another try. */
export async function post(
  url: string,
  body: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(POST_MS)]),
  })
  const said = (await response.text()).slice(0, 200)
  if (response.ok) return
  const final =
    response.status >= 400 &&
    response.status < 500 &&
    ![401, 403, 404, 408, 425, 429].includes(response.status)
  const error = `${url} answered ${response.status}: ${said}`
  throw final ? new Refused(error) : new Error(`Cannot notify: ${error}`)
}
