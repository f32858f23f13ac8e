import { stateOf } from '../../../alarm/lifecycle.ts'
import type { AlertRow } from '../../questions/alerts.ts'
import type { RebalanceRow } from '../../questions/rebalances.ts'
import type { Snapshot } from '../../snapshot.ts'
import { empty, grid, panel } from '../panel.ts'
import { h, type Child, type Element } from '../tree.ts'
import { age, measured, moment, status, toneOfSeverity, visible } from '../words.ts'
import { byAttention } from './bar.ts'

const SHOWN = 12

/** Section 1: what a person should look at, and what the cluster just did. */
export function attention(s: Snapshot, now: number): Element {
  const open = (s.alerts.data?.list ?? [])
    .filter((a) => a.active || !a.acknowledged)
    .map((a) => ({ alarm: a, rank: byAttention(a, now) }))
    .sort((a, b) => a.rank - b.rank || b.alarm.timestamp.localeCompare(a.alarm.timestamp))
    .map((x) => x.alarm)
  const cleared = (s.alerts.data?.list ?? []).filter((a) => a.cleared_at !== null)
  const last = cleared.reduce<AlertRow | null>(
    (a, b) => (a === null || (b.cleared_at ?? '') > (a.cleared_at ?? '') ? b : a),
    null,
  )
  return panel(
    'attention',
    'Attention',
    s.alerts,
    now,
    open.length === 0
      ? h(
          'p',
          { class: 'empty', key: 'calm' },
          'No active alarms.',
          last ? [' Last cleared ', moment(last.cleared_at), ` (${last.sensor_id}).`] : null,
        )
      : alarmTable(open.slice(0, SHOWN), now),
    open.length > SHOWN
      ? h('p', { key: 'more' }, h('a', { href: '/alarms' }, `${open.length - SHOWN} more open alarms`))
      : null,
    h('h3', { key: 'rebalances-title' }, 'Rebalances'),
    rebalances(s.rebalances.data ?? []),
  )
}

export function alarmTable(list: readonly AlertRow[], now: number): Element {
  return grid(
    'Open alarms',
    ['State', 'Sensor', 'Where', 'What', 'Value', 'Since', 'Act'],
    list.map((a) => ({
      key: a.alert_id,
      id: `alarm-${a.alert_id}`,
      className: a.acknowledged ? 'acked' : 'unacked',
      cells: [
        [
          status(
            stateOf(a, now) === 'shelved' ? 'stale' : a.active ? toneOfSeverity(a.severity) : 'normal',
            a.severity,
          ),
          ' ',
          h('small', null, stateWords(a, now)),
        ],
        h('a', { href: `/sensors/${encodeURIComponent(a.sensor_id)}` }, a.sensor_id),
        [a.location.machine_id, a.location.zone].filter(Boolean).join(' · '),
        [h('a', { href: `/alarms/${a.alert_id}` }, kindOf(a)), a.late ? ' (late data)' : null],
        `${measured(a.sensor_value)} ${a.sensor_unit}`,
        age(a.timestamp, now),
        acknowledge(a),
      ],
    })),
  )
}

const QUIET = {
  shelved: '',
  out_of_service: ', out of service',
  group: ', its machine has one alarm for all',
  waiting: '',
}

function stateWords(a: AlertRow, now: number): string {
  const quiet = a.suppressed === null ? '' : QUIET[a.suppressed]
  const word = {
    active_unacknowledged: 'UNACK',
    active_acknowledged: 'acknowledged',
    cleared_unacknowledged: 'cleared, UNACK',
    cleared_acknowledged: 'cleared',
    latched: 'over, latched: UNACK',
    shelved: 'shelved',
  }[stateOf(a, now)]
  return word + quiet
}

function kindOf(a: AlertRow): string {
  return visible(a.anomaly_type.replaceAll('_', ' '))
}

function acknowledge(a: AlertRow): Child {
  if (a.acknowledged) return a.acknowledged_by ? `by ${a.acknowledged_by}` : 'acknowledged'
  return h(
    'form',
    { method: 'post', action: `/api/alarms/${a.alert_id}/acknowledge`, 'data-act': 'acknowledge' },
    h(
      'button',
      { type: 'submit' },
      'Ack',
      h('span', { class: 'sr-only' }, ` ${kindOf(a)} of ${a.sensor_id}`),
    ),
  )
}

export function rebalances(events: readonly RebalanceRow[]): Element {
  if (events.length === 0) return empty('No rebalance so far.')
  return h(
    'ol',
    { class: 'events', key: 'rebalances' },
    events
      .slice(0, 4)
      .map((e) =>
        h(
          'li',
          { key: String(e.event_id) },
          moment(e.at),
          ' ',
          h('strong', null, e.consumer_id),
          ` ${e.event_type.replaceAll('_', ' ')}`,
          e.gained.length > 0 ? `, took ${names(e.gained)}` : null,
          e.lost.length > 0 ? `, gave up ${names(e.lost)}` : null,
          e.duration_ms === null ? null : `, ${Math.round(e.duration_ms)} ms`,
        ),
      ),
  )
}

function names(list: readonly { topic: string; partition: number }[]): string {
  return list.map((p) => `${p.topic} ${p.partition}`).join(', ')
}
