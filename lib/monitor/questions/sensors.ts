import { ask, type Sql } from '../../db/connect.ts'
import { DEADLINE_MS } from './consumers.ts'
import { plainAll } from './rows.ts'

/** The newest reading of one sensor. */
export interface SensorRow {
  sensor_id: string
  sensor_type: string
  unit: string
  factory_section: string
  machine_id: string
  zone: string
  claimed_warning: number | null
  claimed_critical: number | null
  measured_at: string
  value: number
  level: number
  quality: number
  flags: number
  topic: string
  partition: number
  offset: number
  readings: number
  updated_at: string
}

/**
 * Sensors with a row newer than `seconds` ago, all of them where it is null. Bounded: beyond 20,000 sensors the page
 * needs another design, and says so by the count that it shows.
 */
export async function latestReadings(sql: Sql, seconds: number | null): Promise<SensorRow[]> {
  const rows = await ask(
    'read sensor_latest',
    sql`
      select l.sensor_id, s.sensor_type, s.unit, s.factory_section, s.machine_id, s.zone,
        s.warning_threshold as claimed_warning, s.critical_threshold as claimed_critical,
        l.measured_at, l.value, l.level, l.quality, l.flags, t.topic, l.partition, l."offset", l.readings, l.updated_at
      from sensor_latest l join sensors s on s.sensor_key = l.sensor_key join topics t on t.topic_key = l.topic_key
      where ${seconds}::float8 is null or l.updated_at > now() - make_interval(secs => ${seconds}::float8)
      limit 20000`,
    DEADLINE_MS,
  )
  return plainAll(rows)
}
