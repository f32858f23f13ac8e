import { ask, type Database, type Sql } from '../db/connect.ts'
import { log } from '../log.ts'
import { deliver, tellEvent, type Channel, type Notification } from './channel.ts'

/**
 * Alarms that a channel has gone past: their next entry could not be delivered, time and again, while the receiver took
 * another's. Each is tried again with a back-off of its own, one a page, from that entry up to
 * the channel's cursor; when the receiver has all of it, it goes with the others again. They are rows: a restart loses none.
 */
export interface Place {
  transaction: string
  entry: number
}

/** Who may work on the channel just now (notify.ts). */
export interface Hold {
  channel: Channel
  database: Database
  holder: string
  backoffMs: readonly number[]
  signal: AbortSignal
}

/** More than so many at once are no fault of single alarms: then the next holds up what follows. */
export const MOST_ASIDE = 100
/** entries of one alarm that are read at once */
const PAGE = 100

/** The alarms that wait aside. */
export async function asides({ database, channel }: Hold): Promise<Set<string>> {
  const rows = await ask(
    'read what waits aside',
    database.sql<
      { alert_id: string }[]
    >`select alert_id from notifications_aside where channel = ${channel.name}`,
  )
  return new Set(rows.map((row) => row.alert_id))
}

/** Part of the statement that moves the cursor past this alarm's entry: what it had up to there is kept. */
export function putAside(sql: Sql, { channel, holder, backoffMs }: Hold, alertId: string, error: string) {
  return sql`insert into notifications_aside (channel, alert_id, transaction, entry, attempts, next_at, last_error)
    select channel, ${alertId}::uuid, transaction, entry, 1, now() + make_interval(secs => ${waitSeconds(backoffMs, 0)}),
      ${error.slice(0, 500)}
    from notification_cursors where channel = ${channel.name} and holder = ${holder}`
}

interface Aside extends Place {
  alert_id: string
  attempts: number
}

/** Tries the one that is due longest, if any: what it has up to the cursor, in order. */
export async function retryAside(hold: Hold, cursor: Place): Promise<void> {
  const { sql } = hold.database
  const [due] = await ask(
    'look for what waits aside',
    sql<Aside[]>`select alert_id, transaction::text, entry, attempts from notifications_aside
      where channel = ${hold.channel.name} and next_at <= now() order by next_at limit 1`,
  )
  if (!due) return
  const waiting = await entriesOf(sql, due, cursor)
  for (const entry of waiting) {
    if (hold.signal.aborted) return
    try {
      const { sent, refused } = await deliver(hold.channel, entry, hold.signal)
      if (!(await moveAside(hold, entry, sent, refused !== null))) return
      due.attempts = 0
      if (refused !== null) await tellRefused(hold, entry.alert_id, refused)
    } catch (error) {
      return postpone(hold, due, error instanceof Error ? error.message : String(error))
    }
  }
  if (waiting.length < PAGE) await endAside(hold, due.alert_id)
}

function entriesOf(sql: Sql, { alert_id, ...from }: Aside, to: Place): Promise<Notification[]> {
  return ask(
    'read what waits aside',
    sql<Notification[]>`
      select entry, transaction::text, alert_id, payload from outbox
      where alert_id = ${alert_id} and payload ? 'state'
        and (transaction, entry) > (${from.transaction}::xid8, ${from.entry}::bigint)
        and (transaction, entry) <= (${to.transaction}::xid8, ${to.entry}::bigint)
      order by outbox.transaction, entry limit ${PAGE}`,
  )
}

/** False where another consumer has the channel by now. */
async function moveAside(
  { database, channel, holder }: Hold,
  { alert_id, transaction, entry }: Notification,
  sent: boolean,
  refused: boolean,
): Promise<boolean> {
  const moved = await ask(
    'move what waits aside',
    database.sql`
      with mine as (
        update notification_cursors set sent = sent + ${sent ? 1 : 0}, refused = refused + ${refused ? 1 : 0},
          updated_at = now(), held_until = now() + interval '30 seconds'
        where channel = ${channel.name} and holder = ${holder} returning channel
      )
      update notifications_aside a set transaction = ${transaction}::xid8, entry = ${entry}, attempts = 0
      from mine where a.channel = mine.channel and a.alert_id = ${alert_id} returning 1`,
  )
  return moved.length > 0
}

async function postpone({ database, channel, backoffMs }: Hold, due: Aside, error: string): Promise<void> {
  const { alert_id, attempts } = due
  log.warn('notification.not_sent', { channel: channel.name, alert_id, attempt: attempts + 1, detail: error })
  await ask(
    'postpone what waits aside',
    database.sql`update notifications_aside set attempts = attempts + 1, last_error = ${error.slice(0, 500)},
        next_at = now() + make_interval(secs => ${waitSeconds(backoffMs, attempts)})
      where channel = ${channel.name} and alert_id = ${alert_id}`,
  )
}

async function endAside({ database, channel }: Hold, alertId: string): Promise<void> {
  await ask(
    'take what waited aside back',
    database.sql`delete from notifications_aside where channel = ${channel.name} and alert_id = ${alertId}`,
  )
}

export function tellRefused({ database, channel }: Hold, alertId: string, why: string): Promise<void> {
  const message = `${channel.name} refused the transition of alarm ${alertId}: ${why}`
  return tellEvent(database, 'notification.refused', channel.name, alertId, message)
}

export function tellAside({ database, channel }: Hold, alertId: string, why: string): Promise<void> {
  const message = `${channel.name} does not take what is told of alarm ${alertId}, while it takes the others': it is tried again: ${why}`
  return tellEvent(database, 'notification.aside', channel.name, alertId, message)
}

function waitSeconds(backoffMs: readonly number[], attempts: number): number {
  return (backoffMs[Math.min(attempts, backoffMs.length - 1)] ?? 1000) / 1000
}
