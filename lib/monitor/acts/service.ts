import { returnToService, takeOutOfService, type ServiceAct } from '../../alarm/service.ts'
import type { Sql } from '../../db/connect.ts'
import { transact } from './alarms.ts'

/** Until then nobody is called for this sensor; a second time sets another end and reason. */
export async function outOfService(
  sql: Sql,
  sensorId: string,
  until: Date,
  reason: string,
  act: ServiceAct,
): Promise<void> {
  await transact(sql, 'take a sensor out of service', (tx) =>
    takeOutOfService(tx, sensorId, until, reason, act),
  )
}

/** False: it was not out of service. */
export async function inService(
  sql: Sql,
  sensorId: string,
  reason: string | null,
  act: ServiceAct,
): Promise<boolean> {
  const back = await transact(sql, 'return a sensor to service', (tx) =>
    returnToService(tx, sensorId, reason, act),
  )
  return back.length > 0
}
