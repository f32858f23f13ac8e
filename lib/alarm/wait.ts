import type { Transaction } from '../db/connect.ts'
import { tell } from './tell.ts'

/**
 * An alarm at a machine that can have a group waits before it calls (suppressed `waiting`), so that the alarm of the
 * machine can call in its place: all that sensors of a failing machine raise within seconds of each other is one call.
 * Another sensor of the machine that raises meanwhile makes both wait anew, for no longer than the group's window. It is
 * stored, shown and published at once like any other; who waits alone to the end, or ends before it, is then called for.
 */
export interface Wait {
  /** seconds; critical alarms wait `CRITICAL_WAITS` at most */
  wait: number
  window: number
}

/** Long enough for what partitions say of one moment to come together. */
const CRITICAL_WAITS = 2

/** `fresh`: stored in this transaction; `others`: those of other sensors of their machines that may be waiting, too. */
export async function startWaiting(
  tx: Transaction,
  fresh: readonly string[],
  others: readonly string[],
  { wait, window }: Wait,
): Promise<void> {
  const list = JSON.stringify([
    ...fresh.map((alert_id) => ({ alert_id, fresh: true })),
    ...others.map((alert_id) => ({ alert_id, fresh: false })),
  ])
  const criticalWait = Math.min(wait, CRITICAL_WAITS)
  await tx`
    update alerts set suppressed = 'waiting', calls_at = least(created_at + make_interval(secs => ${window}::float8),
      greatest(calls_at, now() + make_interval(secs =>
        case when severity = 'critical' then ${criticalWait}::float8 else ${wait}::float8 end)))
    from jsonb_to_recordset(${list}::text::jsonb) as w (alert_id uuid, fresh boolean)
    where alerts.alert_id = w.alert_id and (w.fresh or alerts.suppressed = 'waiting')`
}

/**
 * The wait of these is over, for this reason, or (null) of all whose time has come: somebody is called for each that is
 * not shelved by now. Those that somebody else is changing just now are left to the next look: who waited for them would
 * hold others up.
 */
export async function endWaits(
  tx: Transaction,
  ids: readonly string[] | null,
  { actor, reason, alertTopic }: { actor: string; reason: string; alertTopic: string },
): Promise<void> {
  const due =
    ids === null
      ? tx`calls_at <= now()`
      : tx`alert_id in (select value::uuid from jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb))`
  const ended = await tx<{ alert_id: string; suppressed: string | null }[]>`
    update alerts set calls_at = null, updated_at = now(),
      suppressed = case when shelved_until > now() then 'shelved' end
    where alert_id in (select alert_id from alerts where suppressed = 'waiting' and ${due} for update skip locked)
    returning alert_id, suppressed`
  const called = ended.filter((one) => one.suppressed === null).map((one) => one.alert_id)
  await tell(tx, called, { transition: 'called', actor, reason, alertTopic, at: 'raised' })
}
