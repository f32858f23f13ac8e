import { LINE_TYPE } from '../line.ts'
import { LEVELS } from '../reading.ts'
import { zoneOfValue, type MachineClass, type Zone } from '../detect/vibration.ts'
import type { SeedPoint } from './questions/seed.ts'
import type { OutOfServiceRow } from './questions/service.ts'
import type { SensorRow } from './questions/sensors.ts'
import type { Sensor } from './snapshot.ts'

export interface Limits {
  warning: number | null
  critical: number | null
  low_warning: number | null
  low_critical: number | null
  /** of the machines on which such sensors measure vibration */
  machine_class?: MachineClass | null
}

/** Limits in force; null: there is no rule, and the ones that the producer named are shown. */
export type LimitsOf = (topic: string, sensorType: string) => Limits | null

export const TREND_POINTS = 60
export const TREND_STEP_MS = 15_000
/** Silent after three of its own intervals, but never before 3 s: sampling itself takes one. */
const SILENT_INTERVALS = 3
const SILENT_AT_LEAST_S = 3

interface Memory {
  row: SensorRow
  intervalS: number | null
  /** bucket number → sum and count, oldest first */
  buckets: Bucket[]
  /** what was shown last, and of what: an unchanged sensor stays the same object, and costs nobody anything */
  shown: { sensor: Sensor; row: SensorRow; newest: number } | null
}

interface Bucket {
  number: number
  sum: number
  count: number
}

/** The newest reading of each sensor, its own rhythm and its last fifteen minutes, kept in memory: a page asks nobody. */
export interface SensorTracker {
  /** rows as they were at `asked`; `isLast`: with them everybody who was heard until then has been looked at */
  observe(rows: readonly SensorRow[], asked: number, isLast: boolean): void
  /** minutes of the past, for lines that would otherwise begin with this process */
  seed(points: readonly SeedPoint[]): void
  view(
    now: number,
    openAlarms: ReadonlyMap<string, number>,
    outOfService?: readonly OutOfServiceRow[],
  ): Sensor[]
}

export function createSensorTracker(limitsOf: LimitsOf): SensorTracker {
  const sensors = new Map<string, Memory>()
  /** by place and name; null: somebody is new or has moved */
  let ordered: Memory[] | null = null
  /** until then whoever spoke has been looked at: nobody is silent for want of a look */
  let lookedUntil = -Infinity
  const inOrder = () =>
    (ordered ??= [...sensors.values()].sort(
      ({ row: a }, { row: b }) =>
        a.zone.localeCompare(b.zone) ||
        a.machine_id.localeCompare(b.machine_id) ||
        a.sensor_id.localeCompare(b.sensor_id),
    ))
  return {
    observe(rows, asked, isLast) {
      for (const row of rows) {
        const known = sensors.get(row.sensor_id)
        if (!known) {
          ordered = null
          sensors.set(row.sensor_id, remember({ row, intervalS: null, buckets: [], shown: null }, row, asked))
          continue
        }
        if (row.readings === known.row.readings && row.measured_at === known.row.measured_at) continue
        const passed = (Date.parse(row.measured_at) - Date.parse(known.row.measured_at)) / 1000
        const count = row.readings - known.row.readings
        if (passed > 0 && count > 0) {
          const seen = passed / count
          // Half-way towards the newest: settles in a few readings, and one late batch does not double it.
          known.intervalS = known.intervalS === null ? seen : known.intervalS + (seen - known.intervalS) / 2
        }
        if (row.zone !== known.row.zone || row.machine_id !== known.row.machine_id) ordered = null
        known.row = row
        remember(known, row, asked)
      }
      if (isLast) lookedUntil = asked
    },
    seed(points) {
      const past = new Map<string, Bucket[]>()
      for (const { sensor_id, at_ms, mean } of points) {
        const list = past.get(sensor_id) ?? []
        const first = Math.floor(at_ms / TREND_STEP_MS)
        for (let i = 0; i < 60_000 / TREND_STEP_MS; i++) list.push({ number: first + i, sum: mean, count: 1 })
        past.set(sensor_id, list)
      }
      for (const [id, memory] of sensors) {
        const own = memory.buckets[0]?.number ?? Infinity
        memory.buckets.unshift(...(past.get(id) ?? []).filter((b) => b.number < own))
        memory.shown = null
      }
    },
    view(now, openAlarms, outOfService = []) {
      const out = new Map(outOfService.map((row) => [row.sensor_id, row]))
      return inOrder().map((memory) => {
        const id = memory.row.sensor_id
        return toSensor(memory, now, lookedUntil, openAlarms.get(id) ?? 0, out.get(id) ?? null, limitsOf)
      })
    },
  }
}

function remember(memory: Memory, row: SensorRow, now: number): Memory {
  const number = Math.floor(Date.parse(row.updated_at) / TREND_STEP_MS)
  const last = memory.buckets.at(-1)
  if (last?.number === number) {
    last.sum += row.value
    last.count++
  } else if (!last || number > last.number) {
    memory.buckets.push({ number, sum: row.value, count: 1 })
  }
  const oldest = Math.floor(now / TREND_STEP_MS) - TREND_POINTS
  while ((memory.buckets[0]?.number ?? Infinity) <= oldest) memory.buckets.shift()
  return memory
}

function toSensor(
  memory: Memory,
  now: number,
  lookedUntil: number,
  openAlarms: number,
  outOfService: OutOfServiceRow | null,
  limitsOf: LimitsOf,
): Sensor {
  const { row, intervalS } = memory
  const ageS = (lookedUntil - Date.parse(row.updated_at)) / 1000
  const newest = Math.floor(now / TREND_STEP_MS)
  // A line whose target is met sends nothing more: of its sensor the signs of life tell.
  const silent =
    row.sensor_type !== LINE_TYPE &&
    intervalS !== null &&
    ageS > Math.max(SILENT_AT_LEAST_S, SILENT_INTERVALS * intervalS)
  const { shown } = memory
  if (
    shown?.row === row &&
    shown.newest === newest &&
    shown.sensor.silent === silent &&
    shown.sensor.open_alarms === openAlarms &&
    shown.sensor.out_of_service?.until === outOfService?.until &&
    shown.sensor.out_of_service?.reason === outOfService?.reason
  ) {
    return shown.sensor
  }
  const limits = limitsOf(row.topic, row.sensor_type)
  const trend: (number | null)[] = new Array(TREND_POINTS).fill(null)
  for (const b of memory.buckets) {
    const index = TREND_POINTS - 1 - (newest - b.number)
    if (index >= 0 && index < TREND_POINTS) trend[index] = b.sum / b.count
  }
  const sensor: Sensor = {
    sensor_id: row.sensor_id,
    sensor_type: row.sensor_type,
    unit: row.unit,
    factory_section: row.factory_section,
    machine_id: row.machine_id,
    zone: row.zone,
    value: row.value,
    alert_level: LEVELS[row.level] ?? 'normal',
    quality: row.quality,
    flags: row.flags,
    timestamp: row.measured_at,
    updated_at: row.updated_at,
    partition: row.partition,
    offset: row.offset,
    readings: row.readings,
    interval_s: intervalS,
    silent,
    topic: row.topic,
    warning: limits ? limits.warning : row.claimed_warning,
    critical: limits ? limits.critical : row.claimed_critical,
    low_warning: limits?.low_warning ?? null,
    low_critical: limits?.low_critical ?? null,
    open_alarms: openAlarms,
    out_of_service: outOfService,
    iso_zone: limits?.machine_class ? zoneOfMinute(trend, row.value, limits.machine_class) : null,
    trend,
  }
  memory.shown = { sensor, row, newest }
  return sensor
}

/** A truck passing by is no zone: the mean of the last minute counts. */
function zoneOfMinute(trend: readonly (number | null)[], value: number, machine: MachineClass): Zone {
  const minute = trend.slice(-60_000 / TREND_STEP_MS).filter((v) => v !== null)
  const mean = minute.length === 0 ? value : minute.reduce((a, b) => a + b, 0) / minute.length
  return zoneOfValue(mean, machine)
}
