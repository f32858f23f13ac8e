import { ask, type Sql } from '../../db/connect.ts'
import { DEADLINE_MS } from './consumers.ts'
import { plainAll } from './rows.ts'

/** A sensor for which nobody is called, until when, by whom and why. */
export interface OutOfServiceRow {
  sensor_id: string
  since: string
  until: string | null
  by: string
  reason: string
}

export async function sensorsOutOfService(sql: Sql): Promise<OutOfServiceRow[]> {
  const rows = await ask(
    'read out_of_service',
    sql`
      select sensor_id, since, until, by, reason from out_of_service
      where until is null or until > now() order by since desc limit 5000`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}
