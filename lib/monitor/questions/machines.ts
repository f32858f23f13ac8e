import { ask, type Sql } from '../../db/connect.ts'
import { DEADLINE_MS } from './consumers.ts'
import { plainAll } from './rows.ts'

/** A machine as a whole: its condition against its baseline, and which sensors have to do with it. */
export interface MachineRow {
  factory_section: string
  machine_id: string
  condition: 'commissioning' | 'normal' | 'alarmed'
  score: number
  contributions: { sensor_id: string; share: number; level: number; activity: number; commissioned: number }[]
  commissioning_minutes: number | null
  judged_to: string | null
  baseline_since: string | null
  baseline_by: string | null
  baseline_reason: string | null
  alert_id: string | null
}

/** The worst first. */
export async function listMachines(sql: Sql): Promise<MachineRow[]> {
  const rows = await ask(
    'list the machines',
    sql`
      select factory_section, machine_id, condition, score, contributions, commissioning as commissioning_minutes,
        next_minute as judged_to, baseline_since, baseline_by, baseline_reason, alert_id
      from machines order by score desc, factory_section, machine_id limit 1000`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}
