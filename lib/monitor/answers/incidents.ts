import { z } from 'zod'
import { sectionState } from './live.ts'

const time = z.iso.datetime()
const maybe = z.number().nullable()

export const incident = z
  .object({
    incident_id: z.string(),
    opened_at: time.meta({ description: 'when the first thing went wrong' }),
    noticed_at: time,
    closed_at: time.nullable().meta({ description: 'null: it goes on' }),
    title: z.string(),
    causes: z.array(z.string()),
    steps: z.array(
      z.object({
        at: time,
        kind: z.enum([
          'died',
          'noticed',
          'away',
          'back',
          'left',
          'rebalance',
          'assigned',
          'revoked',
          'lag',
          'recovered',
          'ledger',
        ]),
        subject: z.string(),
        text: z.string(),
      }),
    ),
    cost: z.object({
      duration_s: z.number(),
      max_lag: maybe,
      max_lag_seconds: maybe,
      max_end_to_end_ms: maybe,
      rebalances: z.number(),
      rebalance_ms: z.number(),
      partitions_moved: z.number(),
      repeats_suppressed: z.number(),
      readings_missing: z.number(),
      readings_lost: maybe
        .optional()
        .meta({ description: 'by the producers’ own record, asked after the end; null: not (yet) told' }),
      dead_lettered: z.number(),
      readings_stored: z.number(),
    }),
  })
  .meta({ id: 'Incident' })

export const incidentList = sectionState
  .extend({ incidents: z.array(incident), next_cursor: z.string().nullable() })
  .meta({ id: 'IncidentList' })
export const oneIncident = sectionState.extend({ incident: incident.nullable() }).meta({ id: 'OneIncident' })

export const flow = sectionState
  .extend({
    from: time,
    to: time,
    points: z.array(
      z.object({
        at: time,
        produced_per_second: maybe,
        stored_per_second: maybe,
        lag: maybe,
        lag_seconds: maybe,
        end_to_end_ms_p50: maybe,
        end_to_end_ms_p99: maybe,
      }),
    ),
  })
  .meta({ id: 'FlowHistory' })
