import { z } from 'zod'
import { sectionState } from './live.ts'

const time = z.iso.datetime()
const amount = z.number()

const place = z.object({
  topic: z.string(),
  partition: z.int(),
  next_offset: amount.meta({ description: 'the first offset that is not in the sink' }),
  end_offset: amount.nullable(),
  lag: amount.nullable(),
  owner: z.string(),
  updated_at: time,
  stopped: z.string().nullable(),
})

export const sinkList = sectionState
  .extend({
    sinks: z.array(
      z.object({
        sink: z.string().meta({ description: 'kind and destination' }),
        status: z.enum(['active', 'stalled', 'stopped', 'away', 'left']),
        owners: z.array(z.string()),
        lag: amount.nullable().meta({ description: 'messages waiting' }),
        stored: amount,
        dead_lettered: amount,
        repeated: amount,
        missing: amount,
        updated_at: time,
        updated_age_s: amount,
        stopped: z.string().nullable().meta({ description: 'why it stands still, where it does' }),
        left_at: time.nullable().meta({ description: 'when it was stopped on purpose' }),
        partitions: z.array(place),
      }),
    ),
    at: time,
  })
  .meta({ id: 'SinkList' })
