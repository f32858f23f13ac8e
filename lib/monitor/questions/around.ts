import type { Sql } from '../../db/connect.ts'
import type { AlertRow } from './alerts.ts'
import { resolutionFor, series, type Resolution, type SeriesPoint } from './series.ts'

/** What was measured in the minutes around an alarm. */
export interface Around {
  /** of a machine's alarm: the sensor that has most to do with it */
  sensor_id: string
  from: string
  to: string
  resolution: Resolution
  points: SeriesPoint[]
}

/** five minutes before and after: as long as raw readings are shown; older ones are minutes */
const SIDE_MS = 300_000
const MOST_POINTS = 600

/** Null where nothing is measured by what the alarm is about (a producer). `now`: milliseconds since 1970 */
export async function readingsAround(
  sql: Sql,
  alarm: Pick<AlertRow, 'sensor_id' | 'sensor_type' | 'timestamp'> & { why: Record<string, unknown> },
  now: number,
): Promise<Around | null> {
  const sensorId = sensorOf(alarm)
  if (sensorId === null) return null
  const raised = Date.parse(alarm.timestamp)
  const [from, to] = [raised - SIDE_MS, raised + SIDE_MS]
  const resolution = resolutionFor(from, to, MOST_POINTS, now)
  const points = await series(sql, {
    sensorId,
    from: new Date(from),
    to: new Date(to),
    points: MOST_POINTS,
    resolution,
  })
  return {
    sensor_id: sensorId,
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    resolution,
    points,
  }
}

function sensorOf({
  sensor_id,
  sensor_type,
  why,
}: Pick<AlertRow, 'sensor_id' | 'sensor_type'> & { why: Record<string, unknown> }): string | null {
  if (sensor_type === 'producer') return null
  if (sensor_type !== 'machine') return sensor_id
  const [first] = [...listOf(why.contributions), ...listOf(why.sensors)]
  if (typeof first === 'string') return first
  return typeof first === 'object' && first !== null && 'sensor_id' in first ? String(first.sensor_id) : null
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}
