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
 * The wait of all whose time has come is over: somebody is called for each that is not shelved by now. Those that somebody
 * else is changing just now are left to the next look: who waited for them would hold others up.
 */
export async function endWaits(
  tx: Transaction,
  { actor, reason, alertTopic }: { actor: string; reason: string; alertTopic: string },
): Promise<void> {
  const ended = await tx<{ alert_id: string; suppressed: string | null }[]>`
    update alerts set calls_at = null, suppressed = ${afterWaiting(tx)}, updated_at = now()
    where alert_id in (select alert_id from alerts where suppressed = 'waiting' and calls_at <= now() for update skip locked)
    returning alert_id, suppressed`
  const called = ended.filter((one) => one.suppressed === null).map((one) => one.alert_id)
  await tellCalled(tx, called, { actor, reason, alertTopic })
}

/** What `suppressed` becomes where it was `waiting`: somebody is called (null), unless a person has shelved it meanwhile. */
export const afterWaiting = (tx: Transaction) => tx`case when shelved_until > now() then 'shelved' end`

/** Journal and messages of alarms whose wait has ended with a call. */
export async function tellCalled(
  tx: Transaction,
  ids: readonly string[],
  told: { actor: string; reason: string; alertTopic: string },
): Promise<void> {
  await tell(tx, ids, { ...told, transition: 'called', at: 'raised' })
}
