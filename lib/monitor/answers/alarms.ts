import { z } from 'zod'
import { alert, sectionState } from './live.ts'
import { resolution, seriesPoint } from './sensors.ts'

const time = z.iso.datetime()

export const journalEntry = z
  .object({
    entry: z.number(),
    alert_id: z.string(),
    sensor_id: z.string(),
    rule_id: z.string(),
    transition: z.string(),
    at: time,
    recorded_at: time,
    actor: z.string(),
    reason: z.string().nullable(),
    details: z.unknown(),
    severity: z.string().nullable(),
    anomaly_type: z.string().nullable(),
    description: z.string().nullable(),
  })
  .meta({ id: 'JournalEntry' })

export const alarmList = sectionState
  .extend({ alarms: z.array(alert), next_cursor: z.string().nullable() })
  .meta({ id: 'AlarmList' })

export const oneAlarm = sectionState
  .extend({
    alarm: alert
      .extend({ why: z.record(z.string(), z.unknown()).meta({ description: 'what answers "why?"' }) })
      .nullable(),
    around: z
      .object({ sensor_id: z.string(), from: time, to: time, resolution, points: z.array(seriesPoint) })
      .nullable()
      .meta({ description: 'what was measured from five minutes before it to five minutes after it' }),
    journal: z.array(journalEntry),
  })
  .meta({ id: 'OneAlarm' })

export const journal = sectionState.extend({ entries: z.array(journalEntry) }).meta({ id: 'Journal' })

export const acknowledged = z
  .object({ acknowledged: z.array(z.string()), unchanged: z.array(z.string()) })
  .meta({ id: 'Acknowledged' })

export const changed = z.object({ alert_id: z.string(), changed: z.boolean() }).meta({ id: 'Changed' })

const offender = z.object({ sensor_id: z.string(), rule_id: z.string(), raised: z.number() })
export const alarmKpis = sectionState
  .extend({
    kpis: z
      .object({
        observed_since: time.nullable(),
        raised: z.number(),
        per_ten_minutes_mean: z.number().nullable(),
        per_ten_minutes_peak: z.number(),
        flood_share: z.number().nullable(),
        chattering: z.array(offender),
        standing: z.number(),
        top: z.array(offender),
        priorities: z.object({ low: z.number(), medium: z.number(), high: z.number(), critical: z.number() }),
        median_seconds_to_acknowledge: z.number().nullable(),
      })
      .nullable(),
  })
  .meta({ id: 'AlarmKpis' })
