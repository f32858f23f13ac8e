import { expect, spyOn, test } from 'bun:test'
import type { ClearedAlarm, RaisedAlarm } from '../../lib/alarm/alarm.ts'
import type { Outputs } from '../../lib/ingest/outputs.ts'
import { logAlarms, logDeadLetters } from '../../lib/ingest/traces.ts'
import { log } from '../../lib/log.ts'

const place = { topic: 'sensor-data', partition: 2, offset: 4711 }
const facts = { sensor_id: 'temp-1', rule_id: 'temperature.high', rule_version: 3, severity: 'critical' }
const raised = { alert_id: 'a', ...facts, ...place } as RaisedAlarm
const cleared = { alert_id: 'a', raised: facts, source: { ...place, offset: 4720 } } as ClearedAlarm

function linesOf(act: () => void): Record<string, unknown>[] {
  const info = spyOn(log, 'info').mockImplementation(() => {})
  try {
    act()
    return info.mock.calls.map(([event, fields]) => ({ event, ...fields }))
  } finally {
    info.mockRestore()
  }
}

test('an alarm, its end and a dead letter are logged under the place of their reading', () => {
  const lines = linesOf(() => {
    logAlarms([raised], [cleared])
    const letter = { message: { offset: 7 }, fault: { reason: 'not_json' } }
    logDeadLetters([letter] as Outputs['deadLetters'], 'sensor-data', 0)
  })
  expect(lines.map((line) => [line.event, line['trace.id']])).toEqual([
    ['alarm.raised', 'sensor-data/2/4711'],
    ['alarm.cleared', 'sensor-data/2/4720'],
    ['dead_letter.kept', 'sensor-data/0/7'],
  ])
  expect(lines[0]).toMatchObject({ alert_id: 'a', ...facts })
  expect(lines[2]).toMatchObject({ reason: 'not_json' })
})

test('a storm is twenty lines and a number', () => {
  const lines = linesOf(() => logAlarms(new Array<RaisedAlarm>(500).fill(raised), []))
  expect(lines.length).toBe(21)
  expect(lines.at(-1)).toMatchObject({ event: 'alarms.more', count: 480 })
})
