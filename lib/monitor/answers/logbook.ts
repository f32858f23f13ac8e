import { z } from 'zod'
import { rebalancingEvent, sectionState } from './live.ts'

const time = z.iso.datetime()
const next = z.string().nullable()

export const rebalanceList = sectionState
  .extend({ rebalancing_events: z.array(rebalancingEvent), next_cursor: next })
  .meta({ id: 'RebalanceList' })

export const systemEvent = z
  .object({
    event_id: z.number(),
    at: time,
    source: z.string(),
    event: z.string(),
    severity: z.enum(['info', 'warning', 'error']),
    message: z.string(),
    details: z.unknown(),
  })
  .meta({ id: 'SystemEvent' })
export const systemEventList = sectionState
  .extend({ system_events: z.array(systemEvent), next_cursor: next })
  .meta({ id: 'SystemEventList' })

export const deadLetter = z
  .object({
    dead_letter_id: z.number(),
    topic: z.string(),
    partition: z.int().nullable(),
    offset: z.number().nullable(),
    reason: z.string(),
    message: z.string(),
    value_bytes: z.number(),
    sensor_id: z.string().nullable(),
    run_id: z.string().nullable(),
    seq: z.number().nullable(),
    detected_by: z.string(),
    recorded_at: time,
    redriven_at: time.nullable(),
  })
  .meta({ id: 'DeadLetter' })
export const deadLetterList = sectionState
  .extend({
    dead_letters: z.array(deadLetter),
    by_reason: z.array(z.object({ reason: z.string(), count: z.number(), redriven: z.number() })),
    next_cursor: next,
  })
  .meta({ id: 'DeadLetterList' })
export const oneDeadLetter = sectionState
  .extend({
    dead_letter: deadLetter
      .extend({
        headers: z.unknown().meta({
          description: 'each as text, or {"base64"} where it is none; a list where its name is repeated',
        }),
        key_text: z.string().nullable(),
        value_text: z.string().nullable().meta({ description: 'first 4 KiB, where they are UTF-8' }),
        value_base64: z.string().nullable(),
        value_sha256: z.string().nullable(),
      })
      .nullable(),
  })
  .meta({ id: 'OneDeadLetter' })
