import { ask, type Database } from '../db/connect.ts'
import type { Reading } from '../reading.ts'
import type { Keys } from './partition.ts'

/**
 * Numbers of the small tables (sensors, runs, topics), held in memory. What is not known yet is inserted outside the
 * batch's transaction: a row too many there does no harm, and the batch can refer to it.
 */
export interface KeyCache extends Keys {
  /** reads all three tables again; called at each claim, because the database may be another one than before */
  load(): Promise<void>
  topic(name: string): Promise<number>
  /** the distinct sensors known by now */
  sensorCount(): number
  /** the ways in which they have described themselves: rows of table sensors */
  descriptionCount(): number
  isKnownSensor(sensorId: string): boolean
  /** makes sure that `sensor` and `run` can answer for all of these; one round trip where something is new */
  ensure(readings: Reading[], runIds: string[]): Promise<void>
  missing(reading: Reading): boolean
  missingRun(runId: string): boolean
}

/** below the session time-out: the handler that waits for these sends no heartbeat meanwhile */
const ANSWER_MS = 8000

interface SensorRow {
  sensor_key: number
  sensor_id: string
  sensor_type: string
  unit: string
  factory_section: string
  machine_id: string
  zone: string
  warning_threshold: number | null
  critical_threshold: number | null
}

export function createKeyCache(database: Database): KeyCache {
  const sensors = new Map<string, number>()
  const sensorIds = new Set<string>()
  const runs = new Map<string, number>()
  const topics = new Map<string, number>()

  function keep(rows: readonly SensorRow[]): void {
    for (const row of rows) {
      sensors.set(rowKey(row), row.sensor_key)
      sensorIds.add(row.sensor_id)
    }
  }

  return {
    async load() {
      const before = [sensors, runs, topics].map((map) => [...map.keys()])
      const idsBefore = [...sensorIds]
      const [sensorRows, runRows, topicRows] = await ask(
        'read the sensors',
        Promise.all([
          database.sql<SensorRow[]>`select * from sensors`,
          database.sql<{ run_key: number; run_id: string }[]>`select run_key, run_id from runs`,
          database.sql<{ topic_key: number; topic: string }[]>`select topic_key, topic from topics`,
        ]),
      )
      const ids = new Set(sensorRows.map((row) => row.sensor_id))
      for (const id of idsBefore) if (!ids.has(id)) sensorIds.delete(id)
      for (const id of ids) sensorIds.add(id)
      renew(sensors, before[0] ?? [], new Map(sensorRows.map((row) => [rowKey(row), row.sensor_key])))
      renew(runs, before[1] ?? [], new Map(runRows.map((row) => [row.run_id, row.run_key])))
      renew(topics, before[2] ?? [], new Map(topicRows.map((row) => [row.topic, row.topic_key])))
    },
    async topic(name) {
      const known = topics.get(name)
      if (known !== undefined) return known
      await ask(
        'register the topic',
        database.sql`insert into topics (topic) values (${name}) on conflict do nothing`,
      )
      const rows = await ask(
        'read the topic',
        database.sql<{ topic_key: number }[]>`select topic_key from topics where topic = ${name}`,
      )
      const key = rows[0]?.topic_key
      if (key === undefined) throw new Error(`Cannot register topic ${name}: its row is not there`)
      topics.set(name, key)
      return key
    },
    sensorCount: () => sensorIds.size,
    descriptionCount: () => sensors.size,
    isKnownSensor: (id) => sensorIds.has(id),
    missing: (reading) => !sensors.has(readingKey(reading)),
    missingRun: (runId) => !runs.has(runId),
    async ensure(readings, runIds) {
      if (readings.length > 0) {
        const described = JSON.stringify(readings.map(toRow))
        await ask(
          'register sensors',
          database.sql`insert into sensors (sensor_id, sensor_type, unit, factory_section, machine_id, zone, warning_threshold, critical_threshold)
            select sensor_id, sensor_type, unit, factory_section, machine_id, zone, warning_threshold, critical_threshold
            from jsonb_to_recordset(${described}::text::jsonb) as d (sensor_id text, sensor_type text, unit text,
              factory_section text, machine_id text, zone text, warning_threshold float8, critical_threshold float8)
            on conflict do nothing`,
          ANSWER_MS,
        )
        const ids = JSON.stringify([...new Set(readings.map((r) => r.sensorId))])
        keep(
          await ask(
            'read the new sensors',
            database.sql<SensorRow[]>`select * from sensors
              where sensor_id in (select jsonb_array_elements_text(${ids}::text::jsonb))`,
            ANSWER_MS,
          ),
        )
      }
      for (const runId of runIds) {
        await ask(
          'register the run',
          database.sql`insert into runs (run_id) values (${runId}) on conflict do nothing`,
        )
        const rows = await ask(
          'read the run',
          database.sql<{ run_key: number }[]>`select run_key from runs where run_id = ${runId}`,
          ANSWER_MS,
        )
        if (rows[0]) runs.set(runId, rows[0].run_key)
      }
    },
    sensor: (reading) => found(sensors.get(readingKey(reading)), `sensor ${reading.sensorId}`),
    run: (runId) => found(runs.get(runId), `run ${runId}`),
  }
}

/** What was known before the table was asked and is not there is gone; what was registered meanwhile is younger than the answer. */
function renew(map: Map<string, number>, before: readonly string[], read: ReadonlyMap<string, number>): void {
  for (const key of before) if (!read.has(key)) map.delete(key)
  for (const [key, number] of read) map.set(key, number)
}

function found(key: number | undefined, what: string): number {
  if (key === undefined) throw new Error(`Cannot store readings of ${what}: it is not registered`)
  return key
}

function toRow(r: Reading): Omit<SensorRow, 'sensor_key'> {
  return {
    sensor_id: r.sensorId,
    sensor_type: r.sensorType,
    unit: r.unit,
    factory_section: r.location.factorySection,
    machine_id: r.location.machineId,
    zone: r.location.zone,
    warning_threshold: r.warningThreshold,
    critical_threshold: r.criticalThreshold,
  }
}

/** Equal for readings that share a row of table sensors. */
export function readingKey(r: Reading): string {
  return rowKey(toRow(r))
}

function rowKey(r: Omit<SensorRow, 'sensor_key'>): string {
  return `${r.sensor_id}\n${r.sensor_type}\n${r.unit}\n${r.factory_section}\n${r.machine_id}\n${r.zone}\n${r.warning_threshold}\n${r.critical_threshold}`
}
