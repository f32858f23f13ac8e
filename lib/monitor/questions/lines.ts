import { ask, type Sql } from '../../db/connect.ts'
import { DEADLINE_MS } from './consumers.ts'
import { plainAll } from './rows.ts'

/** A round of a production line, as the consumers have folded it from the log. */
export interface LineRow {
  factory_id: string
  sensor_id: string
  soda_name: string
  round: number
  tier: string
  total: number
  count: number
  readings: number
  first_at: string
  last_at: string
  value: number
  /** readings at 0, 1 … 100 points */
  points: number[]
}

/** The signs of life of a sensor, of its newest run. */
export interface LifeRow {
  sensor_id: string
  tier: string
  counted: number
  status: string
  since: string
  last_at: string
  up_ms: number
  outages: number
}

export interface Lines {
  lines: LineRow[]
  lives: LifeRow[]
}

/** so many lines and sensors of lines are looked at: a thousand factories (SODA_FACTORIES) of five sensors; a plant has dozens */
const MOST = 5000

/** The newest round of each line and the life of each sensor. */
export async function productionLines(sql: Sql): Promise<Lines> {
  const [lines, lives] = await ask(
    'read the production lines',
    Promise.all([
      sql`
        select distinct on (factory_id, sensor_id, soda_name) factory_id, sensor_id, soda_name, round, tier, total, count,
          readings, first_at, last_at, value, to_jsonb(points) as points
        from production_lines
        order by factory_id, sensor_id, soda_name, round desc
        limit ${MOST}`,
      sql`
        select distinct on (sensor_id) sensor_id, tier, counted, status, since, last_at, up_micros / 1000.0::float8 as up_ms, outages
        from sensor_heartbeats
        order by sensor_id, last_at desc
        limit ${MOST}`,
    ]),
    DEADLINE_MS,
  )
  return { lines: plainAll(lines), lives: plainAll(lives) }
}

/** The rounds of one line, newest first. */
export async function roundsOf(
  sql: Sql,
  factoryId: string,
  sensorId: string,
  sodaName: string,
): Promise<LineRow[]> {
  const rows = await ask(
    'read the rounds of a line',
    sql`
      select factory_id, sensor_id, soda_name, round, tier, total, count, readings, first_at, last_at, value,
        to_jsonb(points) as points
      from production_lines
      where factory_id = ${factoryId} and sensor_id = ${sensorId} and soda_name = ${sodaName}
      order by round desc limit 20`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}
