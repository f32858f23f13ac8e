import { ask, type Sql } from '../db/connect.ts'
import { tell } from './tell.ts'

/**
 * A new baseline for a machine, after maintenance or a changed load: an operator's act. What was learnt is forgotten, its
 * alarm ends with the act as its reason, and commissioning begins with the next minute. Who and why are kept in the
 * machine's row, in the journal and as a system event.
 */
export interface Rebaseline {
  machineId: string
  /** where several sections have a machine of that name */
  factorySection: string | null
  by: string
  reason: string
  alertTopic: string
}

/** Answers how many machines began anew: 0 where none has that name. */
export async function rebaselineMachine(sql: Sql, act: Rebaseline): Promise<number> {
  return ask(
    'begin a new baseline',
    sql.begin(async (tx) => {
      const rows = await tx<{ factory_section: string; alert_id: string | null }[]>`
        select factory_section, alert_id from machines
        where machine_id = ${act.machineId} and factory_section = coalesce(${act.factorySection}, factory_section)
        for update`
      for (const { factory_section, alert_id } of rows) {
        await tx`
          update machines set state = null, commissioning = null, condition = 'commissioning', score = 0, contributions = '[]',
            channels = '[]', next_minute = greatest(next_minute, date_trunc('minute', now())), alert_id = null,
            peak_score = null, baseline_since = now(), baseline_by = ${act.by}, baseline_reason = ${act.reason}, updated_at = now()
          where factory_section = ${factory_section} and machine_id = ${act.machineId}`
        const said = `${act.machineId}: a new baseline begins: ${act.reason}`
        await tx`insert into system_events (source, event, severity, message, details)
          values (${act.by}, 'machine.rebaselined', 'info', ${said},
            ${JSON.stringify({ machine_id: act.machineId, factory_section, by: act.by, reason: act.reason })}::text::jsonb)`
        if (alert_id === null) continue
        const ended = await tx`
          update alerts set active = false, cleared_at = now(), updated_at = now() where alert_id = ${alert_id} and active returning 1`
        if (ended.length > 0)
          await tell(tx, [alert_id], {
            transition: 'cleared',
            actor: act.by,
            reason: said,
            alertTopic: act.alertTopic,
          })
      }
      await tx`select pg_notify('alerts', '')`
      return rows.length
    }) as Promise<number>,
  )
}
