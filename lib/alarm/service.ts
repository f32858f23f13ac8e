import type { Transaction } from '../db/connect.ts'
import { tell } from './tell.ts'

/**
 * A sensor taken out of service by a person (repair, calibration) until an end, for a reason: it is judged and stored
 * as ever, but nobody is called. Active alarms become quiet with it and are heard again when it is back, by a person or
 * because its time is over. Who was called for one before (`called`) hears that it became quiet, and of its end.
 */
export interface ServiceAct {
  by: string
  alertTopic: string
}

export async function takeOutOfService(
  tx: Transaction,
  sensorId: string,
  until: Date,
  reason: string,
  { by, alertTopic }: ServiceAct,
): Promise<void> {
  await tx`
    insert into out_of_service (sensor_id, until, by, reason) values (${sensorId}, ${until}, ${by}, ${reason})
    on conflict (sensor_id) do update set until = excluded.until, by = excluded.by, reason = excluded.reason`
  const quiet = await tx<{ alert_id: string }[]>`
    update alerts set suppressed = 'out_of_service', called = called or suppressed is null, updated_at = now()
    where sensor_id = ${sensorId} and active and (suppressed is null or suppressed = 'waiting') returning alert_id`
  await tell(tx, idsOf(quiet), { transition: 'out_of_service', actor: by, reason, alertTopic })
  const message = `${sensorId} is out of service until ${until.toISOString()}, by ${by}: ${reason}`
  await note(tx, 'sensor.out_of_service', message)
}

/** `sensorId` null: all whose time is over. Returns the sensors that are back. */
export async function returnToService(
  tx: Transaction,
  sensorId: string | null,
  reason: string | null,
  { by, alertTopic }: ServiceAct,
): Promise<string[]> {
  const back = await tx<{ sensor_id: string }[]>`
    delete from out_of_service
    where ${sensorId === null ? tx`until <= now()` : tx`sensor_id = ${sensorId}`} returning sensor_id`
  for (const { sensor_id } of back) {
    const heard = await tx<{ alert_id: string }[]>`
      update alerts set suppressed = null, updated_at = now()
      where sensor_id = ${sensor_id} and active and suppressed = 'out_of_service' returning alert_id`
    await tell(tx, idsOf(heard), { transition: 'in_service', actor: by, reason, alertTopic })
    await note(
      tx,
      'sensor.in_service',
      `${sensor_id} is back in service, by ${by}${reason ? `: ${reason}` : ''}`,
    )
  }
  return back.map((row) => row.sensor_id)
}

function idsOf(rows: readonly { alert_id: string }[]): string[] {
  return rows.map((row) => row.alert_id)
}

/** Shown among the events; pages look again at once. */
async function note(tx: Transaction, event: string, message: string): Promise<void> {
  await tx`insert into system_events (source, event, severity, message) values ('alarms', ${event}, 'info', ${message})`
  await tx`select pg_notify('alerts', '')`
}
