import { ask, type Sql } from '../../db/connect.ts'
import { DEADLINE_MS } from './consumers.ts'
import { plainAll } from './rows.ts'

export interface SystemEventRow {
  event_id: number
  at: string
  source: string
  event: string
  severity: 'info' | 'warning' | 'error'
  message: string
  details: unknown
}

/** The newest events, newest first. */
export async function recentSystemEvents(sql: Sql, limit = 50): Promise<SystemEventRow[]> {
  const rows = await ask(
    'read system_events',
    sql`
      select event_id, at, source, event, severity, message, details
      from system_events order by at desc, event_id desc limit ${limit}`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}
