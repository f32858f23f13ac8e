import type { ClearedAlarm, RaisedAlarm, Source } from '../alarm/alarm.ts'
import { log, traceId } from '../log.ts'
import type { Outputs } from './outputs.ts'

/** What comes in masses is in the tables; the log says how many more there were. */
const LINES = 20

/**
 * What a stored batch means for somebody, a line each. `trace.id` is the place of the reading in the log
 * (`sensor-data/2/4711`): under it stand the producer's batch, the reading, the alarm, its messages and dead letters.
 */
export function logAlarms(raised: readonly RaisedAlarm[], cleared: readonly ClearedAlarm[]): void {
  for (const alarm of raised.slice(0, LINES)) tell('raised', alarm.alert_id, alarm, alarm)
  for (const { alert_id, source, raised } of cleared.slice(0, LINES))
    tell('cleared', alert_id, source, raised)
  tellMore('alarms.more', raised.length - LINES, cleared.length - LINES)
}

export function logDeadLetters(letters: Outputs['deadLetters'], topic: string, partition: number): void {
  for (const { message, fault } of letters.slice(0, LINES)) {
    const place = traceId(topic, partition, message.offset)
    log.info('dead_letter.kept', { 'trace.id': place, reason: fault.reason })
  }
  tellMore('dead_letters.more', letters.length - LINES)
}

type Told = Pick<RaisedAlarm, 'sensor_id' | 'rule_id' | 'rule_version' | 'severity'>

function tell(what: 'raised' | 'cleared', alert_id: string, at: Source, alarm: Told): void {
  const { sensor_id, rule_id, rule_version, severity } = alarm
  log.info(`alarm.${what}`, {
    'trace.id': traceId(at.topic, at.partition, at.offset),
    alert_id,
    sensor_id,
    rule_id,
    rule_version,
    severity,
  })
}

function tellMore(event: string, ...counts: number[]): void {
  const count = counts.reduce((sum, n) => sum + Math.max(0, n), 0)
  if (count > 0) log.info(event, { count })
}
