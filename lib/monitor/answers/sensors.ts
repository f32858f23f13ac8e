import { z } from 'zod'
import { alert, sectionState } from './live.ts'

const time = z.iso.datetime()
const maybe = z.number().nullable()

const outOfServiceUntil = z.object({
  sensor_id: z.string(),
  since: time,
  until: time.nullable(),
  by: z.string(),
  reason: z.string(),
})

export const outOfService = sectionState
  .extend({ sensors: z.array(outOfServiceUntil) })
  .meta({ id: 'OutOfService' })

export const inService = z
  .object({ sensor_id: z.string(), in_service: z.boolean(), changed: z.boolean() })
  .meta({ id: 'InService' })

export const sensor = z
  .object({
    sensor_id: z.string(),
    sensor_type: z.string(),
    unit: z.string(),
    location: z.object({ factory_section: z.string(), machine_id: z.string(), zone: z.string() }),
    value: z.number(),
    alert_level: z.enum(['normal', 'warning', 'critical']),
    quality: z.number(),
    flags: z.array(z.string()),
    timestamp: time,
    updated_at: time,
    topic: z.string(),
    partition: z.int(),
    offset: z.number(),
    readings: z.number(),
    interval_s: maybe,
    silent: z.boolean(),
    limits: z.object({ low_critical: maybe, low_warning: maybe, warning: maybe, critical: maybe }),
    open_alarms: z.number(),
    out_of_service: outOfServiceUntil.nullable(),
    iso_zone: z.enum(['A', 'B', 'C', 'D']).nullable().meta({
      description: 'vibration: zone of the last minute’s mean (ISO 20816) for the machine class in force',
    }),
  })
  .meta({ id: 'Sensor' })

export const sensorList = sectionState
  .extend({ sensors: z.array(sensor), total: z.number(), next_cursor: z.string().nullable() })
  .meta({ id: 'SensorList' })

const outlook = z
  .object({
    sensor_id: z.string(),
    kind: z.enum(['vibration', 'energy']),
    text: z.string(),
    zone: z.enum(['A', 'B', 'C', 'D']).nullable(),
    next_zone: z.enum(['A', 'B', 'C', 'D']).nullable(),
    days_to_next_zone: maybe.meta({ description: 'at the pace of the last three days' }),
    kwh_last_day: maybe,
    cost_last_day: maybe.meta({ description: 'where a price is set' }),
    excess_kwh: maybe.meta({ description: 'beyond the usual of its hours of the week, while that lasts' }),
    excess_cost: maybe,
  })
  .meta({ id: 'Outlook' })

export const oneSensor = sectionState
  .extend({ sensor: sensor.nullable(), outlook: z.array(outlook), alarms: z.array(alert) })
  .meta({ id: 'OneSensor' })

export const resolution = z.enum(['raw', '1m', '1h', '1d'])

export const seriesPoint = z.object({
  at: time,
  mean: z.number(),
  min: z.number(),
  max: z.number(),
  readings: z.number(),
  warnings: z.number(),
  criticals: z.number(),
})

export const series = sectionState
  .extend({
    sensor_id: z.string(),
    unit: z.string().nullable(),
    resolution,
    from: time,
    to: time,
    points: z.array(seriesPoint),
  })
  .meta({ id: 'Series' })
