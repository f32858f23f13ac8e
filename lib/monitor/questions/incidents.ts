import { ask, type Sql } from '../../db/connect.ts'
import type { Incident } from '../incident/incident.ts'
import { DEADLINE_MS } from './consumers.ts'
import { plain, plainAll } from './rows.ts'

/** Newest first. */
export async function listIncidents(sql: Sql, before: string | null, limit: number): Promise<Incident[]> {
  const rows = await ask(
    'list incidents',
    sql`
      select incident_id, opened_at, noticed_at, closed_at, title, causes, steps, cost
      from incidents
      ${before === null ? sql`` : sql`where opened_at < ${before}::timestamptz`}
      order by opened_at desc limit ${limit + 1}`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}

export async function oneIncident(sql: Sql, id: string): Promise<Incident | null> {
  const [row] = await ask(
    'read an incident',
    sql`select incident_id, opened_at, noticed_at, closed_at, title, causes, steps, cost from incidents where incident_id = ${id}`,
    DEADLINE_MS,
  )
  return row ? plain(row) : null
}

/** Writes an incident as it is now. */
export async function keepIncident(sql: Sql, i: Incident): Promise<void> {
  await ask(
    'write an incident',
    sql`
      insert into incidents (incident_id, opened_at, noticed_at, closed_at, title, causes, steps, cost)
      values (${i.incident_id}, ${i.opened_at}, ${i.noticed_at}, ${i.closed_at}, ${i.title},
        ${JSON.stringify(i.causes)}::text::jsonb, ${JSON.stringify(i.steps)}::text::jsonb, ${JSON.stringify(i.cost)}::text::jsonb)
      on conflict (incident_id) do update set closed_at = excluded.closed_at, title = excluded.title,
        causes = excluded.causes, steps = excluded.steps, cost = excluded.cost, updated_at = now()`,
    DEADLINE_MS,
  )
}

/** An incident that a monitor left open when it ended is closed by another one: what came after was not seen. One that goes on is written twice a minute. */
export async function closeForgotten(sql: Sql, except: string | null): Promise<void> {
  await ask(
    'close forgotten incidents',
    sql`update incidents set closed_at = updated_at, updated_at = now()
      where closed_at is null and updated_at < now() - interval '1 minute' and incident_id is distinct from ${except}::uuid`,
    DEADLINE_MS,
  )
}
