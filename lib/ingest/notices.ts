import { ask, type Database } from '../db/connect.ts'
import { log } from '../log.ts'

/** What a partition has to tell people beside its alarms: a log line and a row of system_events. */
export interface Notices {
  tell(notice: { event: string; severity: string; message: string }): Promise<void>
  /** rules whose detectors cannot go on from what was stored, with how many sensors: told once, then forgotten */
  tellRelearning(rules: Map<string, number>): void
}

export function createNotices(
  database: Database,
  consumerId: string,
  topic: string,
  partition: number,
): Notices {
  async function tell(notice: { event: string; severity: string; message: string }): Promise<void> {
    log.warn(notice.event, { topic, partition, detail: notice.message })
    await ask(
      'record the event',
      database.sql`insert into system_events (source, event, severity, message, details)
        values (${consumerId}, ${notice.event}, ${notice.severity}, ${notice.message},
          ${JSON.stringify({ topic, partition })}::text::jsonb)`,
    )
  }

  return {
    tell,
    tellRelearning(rules) {
      const which = [...rules].map(([id, sensors]) => `${id} (${sensors} sensors)`).join(', ')
      rules.clear()
      const message = `${topic}-${partition}: detectors of another version learn anew: ${which}`
      void tell({ event: 'detectors.relearning', severity: 'warning', message }).catch((error: Error) =>
        log.warn('event.not_recorded', { error }),
      )
    },
  }
}
