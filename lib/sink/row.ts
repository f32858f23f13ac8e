import type { Reading } from '../reading.ts'
import { formatMicros, parseMicros } from '../time.ts'
import type { SinkBatch } from './batch.ts'

/** One reading as it lies in cold storage: a line of NDJSON, a row of Parquet. */
export interface Row {
  /** RFC 3339, microseconds */
  timestamp: string
  sensor_id: string
  sensor_type: string
  factory_section: string
  machine_id: string
  zone: string
  value: number
  unit: string
  quality: number
  alert_level: string | null
  metadata: Record<string, unknown> | null
  topic: string
  partition: number
  offset: number
  run_id: string | null
  seq: number | null
  appended_at: string
}

/** Every reading of a batch, in the order of the log. */
export function rowsOf({ topic, partition, entries }: SinkBatch): Row[] {
  return entries.flatMap(({ decoded, identity, offset, appendedAtMs }) =>
    decoded.readings.map((r) => ({
      timestamp: formatMicros(r.measuredAt),
      sensor_id: r.sensorId,
      sensor_type: r.sensorType,
      factory_section: r.location.factorySection,
      machine_id: r.location.machineId,
      zone: r.location.zone,
      value: r.value,
      unit: r.unit,
      quality: r.quality,
      alert_level: r.claimedLevel,
      metadata: r.metadata,
      topic,
      partition,
      offset,
      run_id: identity?.runId ?? null,
      seq: identity?.seq ?? null,
      appended_at: formatMicros(appendedAtMs * 1000),
    })),
  )
}

/** What is needed to judge the content of a stored reading. */
export type Told = Pick<
  Row,
  | 'timestamp'
  | 'sensor_id'
  | 'sensor_type'
  | 'factory_section'
  | 'machine_id'
  | 'zone'
  | 'value'
  | 'unit'
  | 'quality'
>

export function toReading(row: Told): Reading {
  return {
    sensorId: row.sensor_id,
    sensorType: row.sensor_type,
    unit: row.unit,
    location: { factorySection: row.factory_section, machineId: row.machine_id, zone: row.zone },
    measuredAt: parseMicros(row.timestamp),
    value: row.value,
    quality: row.quality,
    claimedLevel: null,
    warningThreshold: null,
    criticalThreshold: null,
    metadata: null,
  }
}
