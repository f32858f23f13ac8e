import { z } from 'zod'
import { isPlainText, sensorId, type Reading } from './reading.ts'
import { formatMicros, parseMicrosAssumingUtc, type Micros } from './time.ts'

/**
 * What production lines send: readings on SENSOR_READINGS, signs of life on SENSOR_HEARTBEAT. Their times have no zone:
 * they are UTC. Neither says who it is (run and running number): that travels in the headers.
 */
export interface LineReading {
  factoryId: string
  sensorId: string
  tier: string
  sodaName: string
  /** 0 … 100 points */
  reading: number
  /** the how manieth of `total` */
  count: number
  total: number
  at: Micros
}

export interface Heartbeat {
  sensorId: string
  tier: string
  at: Micros
  /** a word: active; finished: the last one, nothing follows and nobody is missed */
  status: string
}

export const FINISHED = 'finished'
/**
 * Types of what comes: a reading, whose 0 to 100 the contract gives no unit: points; and a sign of life, which is judged
 * like a sensor and counted, but makes no row, so that asking for a sensor's readings finds readings.
 */
export const LINE_TYPE = 'soda'
export const LINE_UNIT = 'points'
export const HEARTBEAT_TYPE = 'heartbeat'

const label = (most: number) =>
  z.string().min(1).max(most).refine(isPlainText, 'must be text without control characters')
const timestamp = z
  .string()
  .max(40)
  .refine(
    (t) => !Number.isNaN(parseMicrosAssumingUtc(t)),
    'must be a date-time that exists, such as 2025-12-03T14:30:45.123456',
  )
const items = z.number().int().min(1).max(1e9)

export const sodaName = label(64)
export const tier = label(16)

/** The JSON value on SENSOR_READINGS (SPEC B3). */
export const lineMessage = z
  .object({
    factoryId: sensorId,
    sensorId,
    tier,
    sodaName,
    reading: z.number().min(0).max(100),
    count: items,
    total: items,
    timestamp,
  })
  .refine((m) => m.count <= m.total, { path: ['count'], message: 'must not be above total' })
export type LineMessage = z.infer<typeof lineMessage>

/** The JSON value on SENSOR_HEARTBEAT (SPEC B4). */
export const heartbeatMessage = z.object({
  sensorId,
  tier,
  timestamp,
  status: z.string().regex(/^[a-z][a-z_-]{0,31}$/, 'must be a lower-case word such as active or finished'),
})
export type HeartbeatMessage = z.infer<typeof heartbeatMessage>

export function encodeLineReading(r: LineReading): string {
  const { factoryId, sensorId, tier, sodaName, reading, count, total, at } = r
  return JSON.stringify({
    factoryId,
    sensorId,
    tier,
    sodaName,
    reading,
    count,
    total,
    timestamp: withoutZone(at),
  })
}

export function encodeHeartbeat({ sensorId, tier, at, status }: Heartbeat): string {
  return JSON.stringify({ sensorId, tier, timestamp: withoutZone(at), status })
}

export function fromLineMessage({ timestamp, ...rest }: LineMessage): LineReading {
  return { ...rest, reading: rest.reading + 0, at: parseMicrosAssumingUtc(timestamp) }
}

export function fromHeartbeatMessage({ timestamp, ...rest }: HeartbeatMessage): Heartbeat {
  return { ...rest, at: parseMicrosAssumingUtc(timestamp) }
}

/** As every room after the wire knows it. The factory is section and machine in one: the message names nothing between. */
export function asReading(r: LineReading): Reading {
  return {
    sensorId: r.sensorId,
    sensorType: LINE_TYPE,
    unit: LINE_UNIT,
    location: { factorySection: r.factoryId, machineId: r.factoryId, zone: r.tier },
    measuredAt: r.at,
    value: r.reading,
    quality: 1,
    claimedLevel: null,
    warningThreshold: null,
    criticalThreshold: null,
    metadata: { soda_name: r.sodaName, count: r.count, total: r.total },
  }
}

/**
 * A sign of life in the same form, so that the rule for silence judges it like any sensor. It does not name its factory;
 * a sensor that is called as ours are (S1-2 stands in F1) tells it by its name.
 */
export function signOfLife(beat: Heartbeat): Reading {
  const factory = /^S(\d+)-/.exec(beat.sensorId)
  const factoryId = factory ? `F${factory[1]}` : ''
  return {
    sensorId: beat.sensorId,
    sensorType: HEARTBEAT_TYPE,
    unit: '',
    location: { factorySection: factoryId, machineId: factoryId, zone: beat.tier },
    measuredAt: beat.at,
    value: beat.status === FINISHED ? 0 : 1,
    quality: 1,
    claimedLevel: null,
    warningThreshold: null,
    criticalThreshold: null,
    metadata: { status: beat.status },
  }
}

/** The last sign of life said that nothing follows. */
export function hasFinished({ sensorType, metadata }: Pick<Reading, 'sensorType' | 'metadata'>): boolean {
  return sensorType === HEARTBEAT_TYPE && metadata?.status === FINISHED
}

function withoutZone(at: Micros): string {
  return formatMicros(at).slice(0, -1)
}
