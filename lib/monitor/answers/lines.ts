import { z } from 'zod'
import { sectionState } from './live.ts'

const time = z.iso.datetime()
const maybe = z.number().nullable()

export const productionLine = z
  .object({
    factory_id: z.string(),
    sensor_id: z.string(),
    soda_name: z.string(),
    round: z.int().meta({ description: 'the how manieth time that the line has begun' }),
    tier: z.string(),
    state: z
      .enum(['running', 'complete', 'standing', 'silent'])
      .meta({ description: 'standing: no item for 15 s; silent: no sign of life of its sensor either' }),
    count: z.number(),
    total: z.number(),
    readings: z.number(),
    missing: z.number().meta({ description: 'counted, but their readings have not come' }),
    value: z.number(),
    started_at: time,
    last_at: time,
    projected_end: time.nullable().meta({ description: 'at the pace so far; null once the target is met' }),
    pace_per_minute: maybe,
    target_per_minute: z.number(),
    availability: maybe,
    performance: maybe,
    quality: maybe,
    oee: maybe,
  })
  .meta({ id: 'ProductionLine' })

export const lineSensor = z
  .object({
    sensor_id: z.string(),
    tier: z.string(),
    status: z.enum(['alive', 'silent', 'finished']),
    since: time,
    last_at: time,
    heartbeats: z.number(),
    uptime: maybe.meta({ description: 'share of the time watched in which it was alive' }),
    outages: z.number(),
  })
  .meta({ id: 'LineSensor' })

const definitions = z.object({
  availability: z.string(),
  performance: z.string(),
  quality: z.string(),
  oee: z.string(),
})

export const productionLines = sectionState
  .extend({
    lines: z.array(productionLine),
    sensors: z.array(lineSensor),
    definitions,
    at: time,
  })
  .meta({ id: 'ProductionLines' })

export const oneLine = sectionState
  .extend({
    line: productionLine.nullable(),
    sensor: lineSensor.nullable(),
    rounds: z.array(productionLine).meta({ description: 'every time that it ran, newest first' }),
    definitions,
  })
  .meta({ id: 'OneProductionLine' })
