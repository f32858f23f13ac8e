import { z } from 'zod'
import { sectionState } from './live.ts'

const time = z.iso.datetime()
const share = z.number().min(0).max(1)

export const machineList = sectionState
  .extend({
    machines: z.array(
      z.object({
        factory_section: z.string(),
        machine_id: z.string(),
        condition: z.enum(['commissioning', 'normal', 'alarmed']),
        score: share.meta({ description: 'an alarm from 0.5 on' }),
        contributions: z.array(
          z.object({
            sensor_id: z.string(),
            share: share.meta({ description: 'of the condition' }),
            level: z
              .number()
              .meta({ description: 'distance from the baseline, in swings of the healthy machine' }),
            activity: z.number().meta({ description: 'the same for its restlessness' }),
            commissioned: share,
          }),
        ),
        commissioning_minutes: z.number().nullable(),
        judged_to: time.nullable(),
        baseline_since: time.nullable(),
        baseline_by: z.string().nullable(),
        baseline_reason: z.string().nullable(),
        alert_id: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: 'MachineList' })

export const rebaselined = z
  .object({ machine_id: z.string(), machines: z.number() })
  .meta({ id: 'Rebaselined' })
