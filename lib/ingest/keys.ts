import { ask, type Database } from '../db/connect.ts'
import type { Reading } from '../reading.ts'
import type { Keys } from './partition.ts'
import type { Described } from './sensor.ts'

/**
 * Numbers of the small tables. Runs and topics are few and held in memory; of sensors there may be hundreds of thousands,
 * and each partition's state has the numbers of its own: others are asked for when they come (see prepare). What is not
 * known yet is inserted outside the batch's transaction: a row too many there does no harm, and the batch can refer to it.
 */
export interface KeyCache {
  /** reads runs, topics and how many sensors there are; called at each claim, because the database may be another one than before */
  load(): Promise<void>
  topic(name: string): Promise<number>
  /** the distinct sensors, as of the last load, and those registered here since */
  sensorCount(): number
  /** the ways in which they have described themselves: rows of table sensors */
  descriptionCount(): number
  /** adds to `into` the numbers of those that are registered as they describe themselves; answers who is registered at all */
  find(readings: readonly Reading[], into: SensorNumbers): Promise<Set<string>>
  /** one row for each of these, of which `newIds` are of sensors that nobody has registered; adds their numbers to `into` */
  register(readings: readonly Reading[], newIds: number, into: SensorNumbers): Promise<void>
  run(runId: string): number
  missingRun(runId: string): boolean
  registerRun(runId: string): Promise<void>
}

/** Numbers of sensors, each under its readingKey(). */
export type SensorNumbers = Map<string, number>

/** below the session time-out: no heartbeat is sent while one of these is awaited */
const ANSWER_MS = 8000

type SensorRow = { sensor_key: number } & ReturnType<typeof toRow>

export function createKeyCache(database: Database): KeyCache {
  const runs = new Map<string, number>()
  const topics = new Map<string, number>()
  let sensors = 0
  let descriptions = 0

  async function find(readings: readonly Reading[], into: SensorNumbers): Promise<Set<string>> {
    const described = JSON.stringify(readings.map((r, n) => ({ n, ...toRow(r) })))
    const rows = await ask(
      'look sensors up',
      // Planned anew each time: a plan that was made for a handful of sensors reads the whole table of a hundred thousand.
      database.sql.unsafe<{ n: number; sensor_key: number | null; is_registered: boolean }[]>(
        FIND,
        [described],
        { prepare: false },
      ),
      ANSWER_MS,
    )
    const registered = new Set<string>()
    for (const { n, sensor_key, is_registered } of rows) {
      const reading = readings[n]
      if (!reading) continue
      if (sensor_key !== null) into.set(readingKey(reading), sensor_key)
      if (is_registered) registered.add(reading.sensorId)
    }
    return registered
  }

  return {
    async load() {
      const before = [runs, topics].map((map) => [...map.keys()])
      const [counted, runRows, topicRows] = await ask(
        'read runs and topics',
        Promise.all([
          database.sql<{ sensors: number; descriptions: number }[]>`
            select count(distinct sensor_id)::int as sensors, count(*)::int as descriptions from sensors`,
          database.sql<{ run_key: number; run_id: string }[]>`select run_key, run_id from runs`,
          database.sql<{ topic_key: number; topic: string }[]>`select topic_key, topic from topics`,
        ]),
      )
      sensors = counted[0]?.sensors ?? 0
      descriptions = counted[0]?.descriptions ?? 0
      renew(runs, before[0] ?? [], new Map(runRows.map((row) => [row.run_id, row.run_key])))
      renew(topics, before[1] ?? [], new Map(topicRows.map((row) => [row.topic, row.topic_key])))
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
    sensorCount: () => sensors,
    descriptionCount: () => descriptions,
    find,
    async register(readings, newIds, into) {
      const described = JSON.stringify(readings.map(toRow))
      const rows = await ask(
        'register sensors',
        // in one order for all: two who register the same ones wait for each other, and not both at once
        database.sql<
          SensorRow[]
        >`insert into sensors (sensor_id, sensor_type, unit, factory_section, machine_id, zone, warning_threshold, critical_threshold)
          select sensor_id, sensor_type, unit, factory_section, machine_id, zone, warning_threshold, critical_threshold
          from jsonb_to_recordset(${described}::text::jsonb) as d (sensor_id text, sensor_type text, unit text,
            factory_section text, machine_id text, zone text, warning_threshold float8, critical_threshold float8)
          order by sensor_id
          on conflict do nothing
          returning sensor_key, sensor_id, sensor_type, unit, factory_section, machine_id, zone, warning_threshold,
            critical_threshold`,
        ANSWER_MS,
      )
      for (const row of rows) into.set(rowKey(row), row.sensor_key)
      sensors += newIds
      descriptions += rows.length
      if (rows.length < readings.length) await find(readings, into) // somebody else was quicker
    },
    run: (runId) => found(runs.get(runId), `run ${runId}`),
    missingRun: (runId) => !runs.has(runId),
    async registerRun(runId) {
      await ask(
        'register the run',
        database.sql`insert into runs (run_id) values (${runId}) on conflict do nothing`,
        ANSWER_MS,
      )
      const rows = await ask(
        'read the run',
        database.sql<{ run_key: number }[]>`select run_key from runs where run_id = ${runId}`,
        ANSWER_MS,
      )
      if (rows[0]) runs.set(runId, rows[0].run_key)
    },
  }
}

const FIND = `
  select d.n, s.sensor_key, exists (select from sensors where sensor_id = d.sensor_id) as is_registered
  from jsonb_to_recordset($1::text::jsonb) as d (n integer, sensor_id text, sensor_type text, unit text,
    factory_section text, machine_id text, zone text, warning_threshold float8, critical_threshold float8)
  left join sensors s on s.sensor_id = d.sensor_id and s.sensor_type = d.sensor_type and s.unit = d.unit
    and s.factory_section = d.factory_section and s.machine_id = d.machine_id and s.zone = d.zone
    and s.warning_threshold is not distinct from d.warning_threshold
    and s.critical_threshold is not distinct from d.critical_threshold`

/** What was known before the table was asked and is not there is gone; what was registered meanwhile is younger than the answer. */
function renew(map: Map<string, number>, before: readonly string[], read: ReadonlyMap<string, number>): void {
  for (const key of before) if (!read.has(key)) map.delete(key)
  for (const [key, number] of read) map.set(key, number)
}

/** What one partition's messages are stored under: the numbers that were looked up for them lately, and the runs'. */
export function sensorNumbers(cache: KeyCache): Keys & { known: SensorNumbers } {
  const known: SensorNumbers = new Map()
  return {
    known,
    sensor: (reading) => found(known.get(readingKey(reading)), `sensor ${reading.sensorId}`),
    run: (runId) => cache.run(runId),
  }
}

function found(key: number | undefined, what: string): number {
  if (key === undefined) throw new Error(`Cannot store readings of ${what}: it is not registered`)
  return key
}

function toRow(r: Described) {
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
export function readingKey(r: Described): string {
  return rowKey(toRow(r))
}

function rowKey(r: ReturnType<typeof toRow>): string {
  return `${r.sensor_id}\n${r.sensor_type}\n${r.unit}\n${r.factory_section}\n${r.machine_id}\n${r.zone}\n${r.warning_threshold}\n${r.critical_threshold}`
}
