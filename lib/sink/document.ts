import type { Reading } from '../reading.ts'
import { formatMicros } from '../time.ts'
import type { Entry, SinkBatch } from './batch.ts'
import { toReading, type Row } from './row.ts'

/**
 * One message as a document of index sensor_readings. Beside the fields of a reading each quantity is there under its own
 * name, so that {"range":{"temperature":{"gt":45}}} finds machines and devices alike. A message of several readings (a
 * device's) is one document with all of them; its channels are kept beside, not indexed, to be told apart again.
 */
export interface SensorDocument extends Omit<Row, 'sensor_type' | 'unit' | 'value'>, Quantities {
  sensor_type: string | string[]
  unit: string | string[]
  value?: number
  channels?: Channel[]
}

interface Channel {
  sensor_id: string
  sensor_type: string
  unit: string
  value: number
}

/** Quantities that have a field of their own; others are found by sensor_type and value. */
const QUANTITIES = ['temperature', 'vibration', 'energy', 'humidity', 'pressure'] as const

type Quantities = Partial<Record<(typeof QUANTITIES)[number], number>>

const keyword = { type: 'keyword', ignore_above: 512 }
const double = { type: 'double' }
const kept = { type: 'object', enabled: false }

/** Explicit: nobody's metadata may grow the mapping. Without an index: what is read and sorted by, and seldom searched. What is kept and not indexed comes back as it was. */
export const MAPPING = {
  dynamic: false,
  properties: {
    // To the millisecond in searches; the text keeps its microseconds.
    timestamp: { type: 'date' },
    appended_at: { type: 'date', index: false },
    sensor_id: keyword,
    sensor_type: keyword,
    factory_section: keyword,
    machine_id: keyword,
    zone: keyword,
    value: double,
    unit: keyword,
    quality: { type: 'double', index: false },
    alert_level: keyword,
    metadata: kept,
    topic: keyword,
    partition: { type: 'integer' },
    offset: { type: 'long', index: false },
    run_id: keyword,
    seq: { type: 'long', index: false },
    channels: kept,
    ...Object.fromEntries(QUANTITIES.map((quantity) => [quantity, double])),
  },
}

/** topic+partition+offset: a message written twice is one document. An offset of a later log is another message. */
export function documentId({ topic, partition, log }: SinkBatch, offset: number): string {
  return `${topic}+${partition}+${offset}${log === 0 ? '' : `+log${log}`}`
}

/** Of which log a document or object is, as its name says. */
export function logNamed(name: string): number {
  return Number(/[+-]log(\d+)(\.|$)/.exec(name)?.[1] ?? 0)
}

export function toDocument({ topic, partition }: SinkBatch, entry: Entry): SensorDocument {
  const { readings, source } = entry.decoded
  const [first] = readings
  if (!first)
    throw new Error(`Cannot make a document of ${topic}-${partition} at ${entry.offset}: it has no reading`)
  const single = readings.length === 1
  return {
    timestamp: formatMicros(first.measuredAt),
    sensor_id: single ? first.sensorId : source,
    sensor_type: single ? first.sensorType : readings.map((r) => r.sensorType),
    factory_section: first.location.factorySection,
    machine_id: first.location.machineId,
    zone: first.location.zone,
    ...(single ? { value: first.value } : {}),
    unit: single ? first.unit : readings.map((r) => r.unit),
    quality: first.quality,
    alert_level: first.claimedLevel,
    metadata: first.metadata,
    topic,
    partition,
    offset: entry.offset,
    run_id: entry.identity?.runId ?? null,
    seq: entry.identity?.seq ?? null,
    appended_at: formatMicros(entry.appendedAtMs * 1000),
    ...(single ? {} : { channels: readings.map(toChannel) }),
    ...quantitiesOf(readings),
  }
}

function toChannel({ sensorId, sensorType, unit, value }: Reading): Channel {
  return { sensor_id: sensorId, sensor_type: sensorType, unit, value }
}

function quantitiesOf(readings: readonly Reading[]): Quantities {
  const found: Quantities = {}
  for (const { sensorType, value } of readings) {
    const quantity = QUANTITIES.find((name) => name === sensorType)
    if (quantity) found[quantity] = value
  }
  return found
}

/** The readings that a document was made of, as far as their content is judged. */
export function fromDocument(d: SensorDocument): Reading[] {
  const { sensor_id, value = NaN } = d
  const one = { sensor_id, sensor_type: String(d.sensor_type), unit: String(d.unit), value }
  return (d.channels ?? [one]).map((channel) => toReading({ ...d, ...channel }))
}
