import { energyOf } from '../../alarm/bind.ts'
import { listBooks } from '../../alarm/books.ts'
import { parseBook } from '../../alarm/rulebook.ts'
import { createRules } from '../../alarm/rules.ts'
import { ask, type Sql } from '../../db/connect.ts'
import { energyOutlook, vibrationOutlook, type Hour, type Outlook } from '../outlook.ts'
import type { Sensor } from '../snapshot.ts'
import { DEADLINE_MS } from './consumers.ts'

/** An answer is good for so long: hours move slowly. */
export const OUTLOOK_FRESH_MS = 60_000
/** five weeks: as far as the memory of an hour of the week reaches */
const DAYS = 35
/** more sensors of a machine than that are not looked at */
const MOST = 50

/** Where these sensors are going, by the newest rule book: those that measure vibration or power, in their order. */
export async function outlooks(sql: Sql, sensors: readonly Sensor[]): Promise<Outlook[]> {
  if (sensors.length === 0) return []
  const [book] = await listBooks(sql, 1)
  if (!book) return []
  const rules = createRules(book.version, parseBook(book.book, `version ${book.version}`))
  const asked = sensors
    .map((sensor) => ({ sensor, bound: rules.of(sensor.topic, described(sensor)).bound }))
    .filter(({ bound }) => bound.some(({ rule }) => rule.kind === 'vibration' || rule.kind === 'energy'))
    .slice(0, MOST)
  if (asked.length === 0) return []
  const ids = asked.map(({ sensor }) => sensor.sensor_id)
  const [hours, kwh] = await Promise.all([hourlyMeans(sql, ids), kwhOfLastDay(sql, ids)])
  return asked.flatMap(({ sensor: { sensor_id: id }, bound }) => {
    const own = hours.get(id)
    if (!own) return []
    return bound.flatMap(({ rule }) =>
      rule.kind === 'vibration'
        ? vibrationOutlook(id, own, rule.machine_class)
        : rule.kind === 'energy'
          ? energyOutlook(id, own, energyOf(rule), kwh.get(id) ?? 0)
          : [],
    )
  })
}

function described({ sensor_id, sensor_type, factory_section, machine_id, zone }: Sensor) {
  return {
    sensorId: sensor_id,
    sensorType: sensor_type,
    location: { factorySection: factory_section, machineId: machine_id, zone },
  }
}

/** Sensor → its hours, oldest first. */
async function hourlyMeans(sql: Sql, sensorIds: readonly string[]): Promise<Map<string, Hour[]>> {
  const rows = await ask(
    'read the hours of sensors',
    sql<(Hour & { sensor_id: string })[]>`
      select s.sensor_id, extract(epoch from h.bucket)::float8 * 1000 as at, sum(h.total) / sum(h.readings)::float8 as mean
      from readings_1h h join sensors s using (sensor_key)
      where s.sensor_id in (select jsonb_array_elements_text(${JSON.stringify(sensorIds)}::text::jsonb))
        and h.bucket > now() - make_interval(days => ${DAYS})
      group by 1, h.bucket order by h.bucket`,
    DEADLINE_MS,
  )
  return Map.groupBy(rows, (row) => row.sensor_id)
}

/** Sensor → its power by the time that it was held: each minute until the next, for ten minutes at most, like the detector. */
async function kwhOfLastDay(sql: Sql, sensorIds: readonly string[]): Promise<Map<string, number>> {
  const rows = await ask(
    'add up the power of a day',
    sql<{ sensor_id: string; kwh: number }[]>`
      select sensor_id, sum(mean * least(600, seconds) / 3600)::float8 as kwh from (
        select s.sensor_id, m.total / m.readings as mean,
          extract(epoch from lead(m.bucket, 1, m.bucket + interval '1 minute') over (partition by s.sensor_id order by m.bucket) - m.bucket) as seconds
        from readings_1m m join sensors s using (sensor_key)
        where s.sensor_id in (select jsonb_array_elements_text(${JSON.stringify(sensorIds)}::text::jsonb))
          and m.bucket > now() - interval '1 day'
      ) minutes group by 1`,
    DEADLINE_MS,
  )
  return new Map(rows.map((row) => [row.sensor_id, row.kwh]))
}
