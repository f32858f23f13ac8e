import { ask, type Database } from '../db/connect.ts'
import { log } from '../log.ts'

/** A receiver of notifications: the webhook, Alertmanager. */
export interface Channel {
  name: string
  /** resolves when the receiver has it; rejects with Refused where trying again is of no use */
  send(entry: Notification, signal: AbortSignal): Promise<void>
  /** called about every half minute, for receivers that forget */
  repeat?(database: Database, signal: AbortSignal): Promise<void>
}

/** An entry of the outbox. */
export interface Notification {
  entry: number
  /** as text: it may be beyond what a number holds */
  transaction: string
  alert_id: string
  payload: Record<string, unknown>
}

/** The receiver will never take this one. */
export class Refused extends Error {}

export interface Delivery {
  /** the receiver has it, which it has not of what calls nobody */
  sent: boolean
  /** why the receiver never takes it; null: it did not say so */
  refused: string | null
}

/** One entry, where somebody is called for it. Rejects where it is worth another try. */
export async function deliver(
  channel: Channel,
  { payload, ...rest }: Notification,
  signal: AbortSignal,
): Promise<Delivery> {
  if (!isHeard(payload)) return { sent: false, refused: null }
  const state = payload.state === 'called' ? 'raised' : payload.state
  try {
    await channel.send({ ...rest, payload: { ...payload, state } }, signal)
    return { sent: true, refused: null }
  } catch (error) {
    if (error instanceof Refused) return { sent: false, refused: error.message }
    throw error
  }
}

/**
 * Suppressed alarms call nobody; one that was called for before it fell quiet with its sensor (service.ts) is told to its
 * end; the end of a shelf calls for what is still active.
 */
export function isHeard({ state, suppressed, called, active }: Record<string, unknown>): boolean {
  if (state === 'unshelved' && active === false) return false
  return suppressed === undefined || called === true
}

/** Something about a receiver that a person should know, among the events. */
export async function tellEvent(
  database: Database,
  event: 'notification.refused' | 'notification.aside',
  channel: string,
  alertId: string,
  message: string,
): Promise<void> {
  log.warn(event, { channel, alert_id: alertId, detail: message })
  await ask(
    'record the event',
    database.sql`insert into system_events (source, event, severity, message)
      values ('notifications', ${event}, 'warning', ${message.slice(0, 1000)})`,
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
