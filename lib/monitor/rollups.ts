import { ask, closeSql, connect } from '../db/connect.ts'
import { rollUp } from '../db/roll-up.ts'
import { log } from '../log.ts'
import { rest } from '../run.ts'

/**
 * Keeps the roll-ups ten to fifteen seconds behind the readings, and catches up after any outage.
 */
export async function keepRollups(url: string, keepDays: number, signal: AbortSignal): Promise<void> {
  const sql = connect(url, { name: 'roll-ups', role: 'monitor', max: 1, statementTimeoutMs: 60_000 })
  let droppedAt = 0
  try {
    while (!signal.aborted) {
      let behind = false
      try {
        behind = await rollUp(sql, 65_000)
        if (Date.now() - droppedAt > TIDY_EVERY_MS) {
          droppedAt = Date.now()
          const dropped = await ask(
            'drop old roll-ups',
            sql<{ name: string }[]>`select drop_old_rollups(${keepDays}) as name`,
          )
          if (dropped.length > 0) log.info('rollups.dropped', { names: dropped.map((d) => d.name) })
        }
      } catch (error) {
        if (!signal.aborted) log.warn('rollups.not_kept', { error })
      }
      await rest(behind ? 20 : EVERY_MS, signal)
    }
  } finally {
    await closeSql(sql)
  }
}

const EVERY_MS = 5000
const TIDY_EVERY_MS = 3_600_000
