import { z } from 'zod'
import { formatMicros, parseMicros, type Micros } from './time.ts'

/**
 * One measurement of one sensor, as every room after `fleet` knows it. The wire formats of the three fleets differ;
 * inside there is only this. A device that measures two things is two sensors.
 */
export interface Reading {
  sensorId: string
  sensorType: string
  unit: string
  location: Location
  /** event time, microseconds since 1970 UTC */
  measuredAt: Micros
  value: number
  /** 0 (worthless) … 1 (good), as the producer says */
  quality: number
  /** what the producer thinks; the consumer is the authority */
  claimedLevel: Level | null
  /** limits that the producer believed in when it measured; null where it named none */
  warningThreshold: number | null
  criticalThreshold: number | null
  /** everything else that came with it, as JSON values; null where there was nothing */
  metadata: Record<string, unknown> | null
  /** what its device measured in the same moment, this value included, by type; absent where it measures one thing */
  together?: Readonly<Record<string, number>>
}

export interface Location {
  factorySection: string
  machineId: string
  zone: string
}

export const LEVELS = ['normal', 'warning', 'critical'] as const
export type Level = (typeof LEVELS)[number]

/** Who a reading is: unique, made once when the spool accepts it, never re-made on a retry. */
export interface Identity {
  /** the spool that accepted it */
  runId: string
  /** running number of this sensor in this run, from 1, without gaps */
  seq: number
}

export const SENSOR_TYPES = ['temperature', 'vibration', 'energy', 'humidity', 'pressure'] as const
export type SensorType = (typeof SENSOR_TYPES)[number]
export const UNITS: Record<SensorType, string> = {
  temperature: '°C',
  vibration: 'mm/s',
  energy: 'kW',
  humidity: '%',
  pressure: 'hPa',
}

/** The largest message that a producer accepts and a consumer looks into. */
export const MAX_VALUE_BYTES = 256 * 1024
const MAX_METADATA_DEPTH = 8

export const sensorId = z
  .string()
  .regex(/^[A-Za-z0-9._:-]{1,64}$/, 'must be 1 to 64 of the characters A-Z a-z 0-9 . _ : -')
const word = z
  .string()
  .regex(/^[a-z][a-z0-9_.-]{0,31}$/, 'must be a lower-case word of at most 32 characters')
const label = z.string().max(64).refine(isPlainText, 'must be text without control characters')
const finite = z
  .number()
  .refine(
    (v) => Math.abs(v) <= Number.MAX_SAFE_INTEGER,
    'must lie within ±2^53, beyond which digits are lost',
  )

/** The JSON value on topic sensor-data (SPEC A7). Unknown keys are dropped (and counted by the caller), none is coerced. */
export const factoryMessage = z.object({
  timestamp: z.iso
    .datetime({ offset: true })
    .refine((t) => !Number.isNaN(parseMicros(t)), 'must be a date-time that exists, of the years 1 to 9999'),
  sensor_id: sensorId,
  sensor_type: word,
  location: z.object({ factory_section: label, machine_id: label, zone: label }),
  value: finite,
  unit: z.string().max(16).refine(isPlainText, 'must be text without control characters'),
  alert_level: z.enum(LEVELS).optional(),
  quality: z.number().min(0).max(1).optional(),
  metadata: z
    .record(z.string(), z.unknown())
    .refine((m) => isPlainJson(m, MAX_METADATA_DEPTH), 'must be JSON of at most 8 levels, without NUL')
    .optional(),
})
export type FactoryMessage = z.infer<typeof factoryMessage>

/** Reading → the JSON text of SPEC A7, keys in its order. */
export function encodeFactoryMessage(r: Reading, id: Identity | null): string {
  return JSON.stringify({
    timestamp: formatMicros(r.measuredAt),
    sensor_id: r.sensorId,
    sensor_type: r.sensorType,
    location: {
      factory_section: r.location.factorySection,
      machine_id: r.location.machineId,
      zone: r.location.zone,
    },
    value: r.value,
    unit: r.unit,
    alert_level: r.claimedLevel ?? 'normal',
    quality: r.quality,
    metadata: {
      reading_count: id?.seq,
      warning_threshold: r.warningThreshold,
      critical_threshold: r.criticalThreshold,
      run_id: id?.runId,
      ...r.metadata,
    },
  })
}

/** A validated message → Reading. Identity, where the message repeats it, is left to the headers. */
export function fromFactoryMessage(m: FactoryMessage): Reading {
  const {
    reading_count: _count,
    run_id: _run,
    warning_threshold,
    critical_threshold,
    ...rest
  } = m.metadata ?? {}
  return {
    sensorId: m.sensor_id,
    sensorType: m.sensor_type,
    unit: m.unit,
    location: {
      factorySection: m.location.factory_section,
      machineId: m.location.machine_id,
      zone: m.location.zone,
    },
    measuredAt: parseMicros(m.timestamp),
    value: m.value + 0, // -0 becomes 0
    quality: m.quality ?? 1,
    claimedLevel: m.alert_level ?? null,
    warningThreshold: numberOrNull(warning_threshold),
    criticalThreshold: numberOrNull(critical_threshold),
    metadata: Object.keys(rest).length > 0 ? rest : null,
  }
}

export function isPlainText(text: string): boolean {
  return text.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(text)
}

/** JSON that PostgreSQL's jsonb takes (no NUL, no lone surrogate) and that no later stringify can overflow on. */
function isPlainJson(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0')
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  if (depth === 0) return false
  return Object.entries(value).every(([key, v]) => isPlainJson(key, 0) && isPlainJson(v, depth - 1))
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}
