import type { Config } from '../config.ts'
import { ask, type Database } from '../db/connect.ts'
import { log } from '../log.ts'
import { sleep } from '../run.ts'
import { alertmanager } from './alertmanager.ts'
import {
  asides,
  MOST_ASIDE,
  putAside,
  retryAside,
  tellAside,
  tellRefused,
  type Hold,
  type Place,
} from './aside.ts'
import { deliver, isHeard, type Channel, type Delivery, type Notification } from './channel.ts'
import { webhook } from './webhook.ts'

/**
 * Tells others of alarms: readers of the outbox beside the relay, each with a cursor of its own. Entries are taken in the
 * order in which they became visible (by transaction, then entry), one at a time: transitions of an alarm arrive in order, each at
 * least once. What cannot be delivered is tried again with back-off; while the receiver takes nothing all waits, and an
 * alarm whose entry alone it does not take waits aside (aside.ts). What the receiver refuses for good (4xx) is told as an
 * event and left behind. An alarm that waited for others of its machine (wait.ts) is raised in the moment it calls.
 */
/** so often the first entry is tried again before others are */
const PATIENCE = 3
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
      const delivered = await deliverPage(channel, database, signal, backoffMs)
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

const NOTHING: Delivery = { sent: false, refused: null }

interface Cursor extends Place {
  /** that the entry after it has cost so far */
  attempts: number
}

/** Delivers up to a page; null where another consumer is at it. Commits after each entry, so that a crash repeats at most one. */
export async function deliverPage(
  channel: Channel,
  database: Database,
  signal: AbortSignal,
  backoffMs: readonly number[] = BACKOFF_MS,
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
  const [cursor] = await ask(
    'take the cursor',
    sql<Cursor[]>`
      update notification_cursors set holder = ${holder}, held_until = now() + interval '30 seconds'
      where channel = ${name} and (held_until is null or held_until < now())
      returning transaction::text, entry, attempts`,
  )
  if (!cursor) return null
  try {
    const hold = { channel, database, holder, backoffMs, signal }
    await retryAside(hold, cursor)
    return await deliverFrom(hold, cursor)
  } catch (error) {
    await sql`update notification_cursors set attempts = attempts + 1, last_error = ${wordsOf(error).slice(0, 500)},
        updated_at = now()
      where channel = ${name} and holder = ${holder}`.catch(() => {})
    throw error
  } finally {
    await sql`update notification_cursors set held_until = null where channel = ${name} and holder = ${holder}`.catch(
      () => {},
    )
  }
}

/**
 * What comes after the cursor. Where an entry has failed again and again, the next one of another alarm shows whose fault
 * it is: if the receiver takes that, the alarm of the first goes aside; if not, the receiver is away and all waits.
 */
async function deliverFrom(hold: Hold, cursor: Cursor): Promise<number | null> {
  const entries = await readFrom(hold.database, cursor)
  const aside = await asides(hold)
  let patient = cursor.attempts < PATIENCE
  let stuck: { alertId: string; error: unknown } | null = null
  for (const entry of entries) {
    if (hold.signal.aborted) break
    const skipped = aside.has(entry.alert_id) || entry.alert_id === stuck?.alertId
    // the cursor goes past what calls nobody only with what the receiver takes, or an alarm could be put aside for nothing
    if (stuck && (skipped || !isHeard(entry.payload))) continue
    let done = NOTHING
    try {
      if (!skipped) done = await deliver(hold.channel, entry, hold.signal)
    } catch (error) {
      if (stuck) throw stuck.error
      if (patient || aside.size >= MOST_ASIDE) throw error
      stuck = { alertId: entry.alert_id, error }
      continue
    }
    if (!(await moveCursor(hold, entry, done, stuck))) return null
    if (done.refused !== null) await tellRefused(hold, entry.alert_id, done.refused)
    if (stuck) {
      aside.add(stuck.alertId)
      await tellAside(hold, stuck.alertId, wordsOf(stuck.error))
      stuck = null
    }
    patient = true
  }
  if (!stuck) return entries.length
  const last = entries.at(-1)
  // a whole page that calls nobody else: others may come after it
  if (entries.length < PAGE || !last || !(await moveCursor(hold, last, NOTHING, stuck))) throw stuck.error
  await tellAside(hold, stuck.alertId, wordsOf(stuck.error))
  return entries.length
}

function readFrom({ sql }: Database, cursor: Cursor): Promise<Notification[]> {
  return ask(
    'read the outbox',
    sql<Notification[]>`
      select entry, transaction::text, alert_id, payload from outbox
      where (transaction, entry) > (${cursor.transaction}::xid8, ${cursor.entry}::bigint)
        and transaction < pg_snapshot_xmin(pg_current_snapshot())
        and payload ? 'state' -- not the events of devices: the alarm itself is told
      order by outbox.transaction, entry limit ${PAGE} -- the number: as text 10 would come before 9`,
  )
}

/** False where another consumer has the channel by now. */
async function moveCursor(
  hold: Hold,
  { transaction, entry }: Notification,
  { sent, refused }: Delivery,
  stuck: { alertId: string; error: unknown } | null,
): Promise<boolean> {
  const { sql } = hold.database
  const left = stuck
    ? sql`with aside as (${putAside(sql, hold, stuck.alertId, wordsOf(stuck.error))})`
    : sql``
  const moved = await ask(
    'move the cursor',
    sql`${left} update notification_cursors set transaction = ${transaction}::xid8, entry = ${entry},
        sent = sent + ${sent ? 1 : 0}, refused = refused + ${refused !== null ? 1 : 0},
        attempts = 0, last_error = ${refused}, updated_at = now(), held_until = now() + interval '30 seconds'
      where channel = ${hold.channel.name} and holder = ${hold.holder} returning 1`,
  )
  return moved.length > 0
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
