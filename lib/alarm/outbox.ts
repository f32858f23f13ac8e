import type { AvroWriter } from '../avro/writer.ts'
import { ask, type Database, type Transaction } from '../db/connect.ts'
import { DEVICE_ALERT_TOPIC } from '../device.ts'
import { log } from '../log.ts'
import { metrics } from '../metrics.ts'
import type { DeviceAlert } from './device-alert.ts'
import type { Publish, Relay, RelayMessage } from './relay.ts'

interface Entry {
  entry: number
  topic: string
  key: string
  alert_id: string
  payload: Record<string, unknown>
}

const PAGE = 200
/** Sent entries are kept for a day, for people who look. */
const KEEP = '1 day'
const KEEP_UNREAD = '7 days'
/** What the registry has refused may be mended there. */
const ASK_AGAIN_MS = 10_000

/**
 * The relay of table outbox: transitions of alarms as JSON to their topic, events of devices in Avro to theirs. Those
 * wait until `events` has its schema's number (null: no fleet of ours has devices), which is asked for while one of
 * them waits; the others don't wait for that. `onRefusal` is told the first time that it is refused.
 */
export function outboxRelay(
  database: Database,
  publish: Publish,
  events: AvroWriter<DeviceAlert> | null,
  signal: AbortSignal,
  onRefusal: (error: Error) => void,
  now: () => number = Date.now,
): Relay {
  let asking = false
  let askAgainAt = -Infinity
  let isTold = false

  async function askFor(tx: Transaction, writer: AvroWriter<DeviceAlert>): Promise<void> {
    if (asking || now() < askAgainAt) return
    const waiting =
      await tx`select 1 from outbox where sent_at is null and topic = ${DEVICE_ALERT_TOPIC} limit 1`
    if (waiting.length === 0) return
    asking = true
    void writer
      .ready(signal)
      .catch((error: Error) => {
        log.error('events.not_published', { error })
        if (!isTold) onRefusal(error)
        isTold = true
      })
      .finally(() => {
        asking = false
        askAgainAt = now() + ASK_AGAIN_MS
      })
  }

  return {
    name: 'outbox',
    channel: 'outbox',
    async waits() {
      return (await database.sql`select from outbox where sent_at is null limit 1`).length > 0
    },
    async page(tx) {
      const waits = events?.isReady() ? '' : DEVICE_ALERT_TOPIC
      if (events && waits) await askFor(tx, events)
      const entries = await tx<Entry[]>`
        select entry, topic, key, alert_id, payload from outbox where sent_at is null and topic <> ${waits}
        order by entry limit ${PAGE}`
      if (entries.length === 0) return false
      for (const [topic, list] of Map.groupBy(entries, (e) => e.topic)) {
        await publish(
          topic,
          list.map((e) => toMessage(e, topic === DEVICE_ALERT_TOPIC ? events : null)),
        )
        for (const { payload } of list) tellLatency(topic, payload, Date.now())
      }
      const ids = JSON.stringify(entries.map((e) => e.entry))
      await tx`update outbox set sent_at = now()
        where entry in (select value::bigint from jsonb_array_elements_text(${ids}::text::jsonb))`
      log.debug('outbox.relayed', { count: entries.length })
      return entries.length === PAGE
    },
    async tidy() {
      await ask(
        'tidy the outbox',
        // what a notifier has not read yet waits for it, for a week at most
        database.sql`delete from outbox o where sent_at < now() - ${KEEP}::interval
          and (sent_at < now() - ${KEEP_UNREAD}::interval or not exists (select 1 from notification_cursors c
            where (o.transaction, o.entry) > (c.transaction, c.entry))
            and not exists (select 1 from notifications_aside a
              where o.alert_id = a.alert_id and (o.transaction, o.entry) > (a.transaction, a.entry)))`,
      )
    },
  }
}

/** How long a raised alarm took from its reading to the topic; one that came late by itself says nothing about us. */
function tellLatency(topic: string, payload: Record<string, unknown>, now: number): void {
  const { state, late, timestamp, ts } = payload
  const measured = typeof ts === 'number' ? ts / 1000 : Date.parse(String(timestamp))
  const isRaised = topic === DEVICE_ALERT_TOPIC || state === 'raised'
  if (isRaised && late !== true && Number.isFinite(measured)) metrics.alerted(topic, (now - measured) / 1000)
}

function toMessage(e: Entry, events: AvroWriter<DeviceAlert> | null): RelayMessage {
  const value = events ? events.encode(e.payload as unknown as DeviceAlert) : JSON.stringify(e.payload)
  return { key: e.key, value, headers: { 'alert-id': e.alert_id } }
}
