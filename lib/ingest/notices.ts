import type { Database } from '../db/connect.ts'
import { log } from '../log.ts'
import { tell, type Claim } from './claim.ts'

/** What a partition has to tell people beside its alarms: a log line and a row of system_events. */
export interface Notices {
  tell(notice: NonNullable<Claim['notice']>): Promise<void>
  /** rules whose detectors cannot go on from what was stored, with how many sensors: told once, then forgotten */
  tellRelearning(rules: Map<string, number>): void
}

export function createNotices(
  database: Database,
  consumerId: string,
  topic: string,
  partition: number,
): Notices {
  const tellPeople: Notices['tell'] = (notice) => tell(database.sql, consumerId, topic, partition, notice)

  return {
    tell: tellPeople,
    tellRelearning(rules) {
      const which = [...rules].map(([id, sensors]) => `${id} (${sensors} sensors)`).join(', ')
      rules.clear()
      const message = `${topic}-${partition}: detectors of another version learn anew: ${which}`
      void tellPeople({ event: 'detectors.relearning', severity: 'warning', message }).catch((error: Error) =>
        log.warn('event.not_recorded', { error }),
      )
    },
  }
}
