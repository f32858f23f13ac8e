import type { z } from 'zod'
import { GROUP_RULE } from '../../alarm/group.ts'
import type { oneAlarm } from '../answers/alarms.ts'
import type { Around } from '../questions/around.ts'
import type { JournalRow } from '../questions/journal.ts'
import type { Section } from '../section.ts'
import type { Snapshot } from '../snapshot.ts'
import { aroundPicture } from './around.ts'
import { frame } from './frame.ts'
import { panel } from './panel.ts'
import { h, type Child, type Element } from './tree.ts'
import { whyFacts } from './why.ts'
import { age, measured, moment, status, toneOfSeverity, visible } from './words.ts'

type Alarm = NonNullable<z.infer<typeof oneAlarm>['alarm']>

/** Why it was raised, what happened since, and what can be done. */
export function alarmPage(
  s: Snapshot,
  found: Section<unknown>,
  alarm: Alarm | null,
  journal: readonly JournalRow[],
  around: Around | null,
): Element {
  const now = Date.parse(s.at)
  if (!alarm) return frame(s, '/alarms', panel('alarm', 'Alarm', found, now))
  const tone = alarm.state === 'shelved' ? 'stale' : alarm.active ? toneOfSeverity(alarm.severity) : 'normal'
  return frame(
    s,
    '/alarms',
    panel(
      'alarm',
      `${alarm.anomaly_type.replaceAll('_', ' ')} · ${alarm.sensor_id}`,
      found,
      now,
      h(
        'p',
        null,
        status(tone, alarm.severity),
        ` ${alarm.state.replaceAll('_', ', ')}. `,
        alarm.description,
        alarm.late ? ' It came as late data.' : null,
      ),
      h(
        'dl',
        null,
        fact('Sensor', h('a', { href: `/sensors/${encodeURIComponent(alarm.sensor_id)}` }, alarm.sensor_id)),
        fact(
          'Machine',
          alarm.location.machine_id
            ? h(
                'a',
                { href: `/machines/${encodeURIComponent(alarm.location.machine_id)}` },
                alarm.location.machine_id,
              )
            : null,
        ),
        fact('Zone', alarm.location.zone),
        fact('Raised', [moment(alarm.timestamp), ', ', age(alarm.timestamp, now)]),
        fact('Value', `${measured(alarm.sensor_value)} ${alarm.sensor_unit}`),
        fact(
          'Worst since',
          alarm.peak_value === null ? null : `${measured(alarm.peak_value)} ${alarm.sensor_unit}`,
        ),
        fact('Calls', calls(alarm)),
        fact('Cleared', alarm.cleared_at === null ? null : moment(alarm.cleared_at)),
        fact('Rule', [
          h('a', { href: `/rules/${encodeURIComponent(alarm.rule_id)}` }, visible(alarm.rule_id)),
          `, version ${alarm.rule_version}`,
        ]),
        fact(
          'Read from',
          `${alarm.topic} ${alarm.partition}, offset ${alarm.offset}, by ${alarm.detected_by}`,
        ),
        fact(
          'Acknowledged',
          alarm.acknowledged_at === null
            ? null
            : [
                moment(alarm.acknowledged_at),
                ` by ${alarm.acknowledged_by ?? 'somebody'}`,
                alarm.acknowledge_comment ? `: ${alarm.acknowledge_comment}` : null,
              ],
        ),
        fact(
          'Shelved until',
          alarm.shelved_until === null
            ? null
            : [
                moment(alarm.shelved_until),
                ` by ${alarm.shelved_by ?? 'somebody'}: ${alarm.shelve_reason ?? ''}`,
              ],
        ),
      ),
      actions(alarm),
    ),
    around === null
      ? null
      : panel(
          'around',
          'The minutes around it',
          found,
          now,
          aroundPicture(around, alarm.timestamp, limitsOf(alarm)) ??
            h('p', null, 'No reading of them is stored.'),
        ),
    panel('why', 'Why', found, now, whyFacts(alarm.why, alarm.sensor_unit)),
    panel('journal', 'What happened', found, now, entries(journal)),
  )
}

function fact(name: string, value: Child): Child {
  return value === null || value === undefined
    ? null
    : h('div', null, h('dt', null, name), h('dd', null, value))
}

/** Why nobody is called, where nobody is; a machine's alarm leads to those that it stands for. */
function calls(a: Alarm): Child {
  if (a.group_id !== null)
    return [
      a.suppressed === 'group' ? 'nobody: ' : null,
      'part of ',
      h('a', { href: `/alarms/${a.group_id}` }, 'the alarm of its machine'),
    ]
  if (a.suppressed === 'waiting')
    return 'in a few seconds, unless more sensors of its machine raise: then the machine calls'
  if (a.suppressed !== null) return `nobody: ${a.suppressed.replaceAll('_', ' ')}`
  if (a.rule_id !== GROUP_RULE) return null
  const all = `/alarms?state=all&machine_id=${encodeURIComponent(a.sensor_id)}`
  return ['for all ', h('a', { href: all }, 'alarms of its machine')]
}

/** The limit that it went beyond, or the band that was usual. */
function limitsOf({ why, sensor_type }: Alarm): number[] {
  if (sensor_type === 'machine') return []
  return [why.low, why.high].filter((limit) => typeof limit === 'number')
}

function actions(a: Alarm): Child {
  if (!a.active && a.acknowledged) return null
  return h(
    'div',
    { class: 'acts' },
    a.acknowledged
      ? null
      : h(
          'form',
          { method: 'post', action: `/api/alarms/${a.alert_id}/acknowledge` },
          h('label', null, 'Your name ', h('input', { name: 'by', maxlength: 64, autocomplete: 'name' })),
          h('label', null, 'Comment ', h('input', { name: 'comment', maxlength: 500 })),
          h('button', { type: 'submit' }, 'Acknowledge'),
        ),
    a.state === 'shelved'
      ? h(
          'form',
          { method: 'post', action: `/api/alarms/${a.alert_id}/unshelve` },
          h('button', { type: 'submit' }, 'Unshelve'),
        )
      : h(
          'form',
          { method: 'post', action: `/api/alarms/${a.alert_id}/shelve` },
          h(
            'label',
            null,
            'Shelve for ',
            h(
              'select',
              { name: 'minutes' },
              [5, 15, 60, 480].map((m) => h('option', { value: m }, m < 60 ? `${m} min` : `${m / 60} h`)),
            ),
          ),
          h('label', null, 'Reason ', h('input', { name: 'reason', required: true, maxlength: 500 })),
          h('button', { type: 'submit' }, 'Shelve'),
        ),
  )
}

function entries(journal: readonly JournalRow[]): Element {
  return h(
    'ol',
    { class: 'events' },
    journal.map((j) =>
      h(
        'li',
        null,
        moment(j.at),
        ' ',
        h('strong', null, j.transition),
        ` by ${j.actor}`,
        j.reason ? `: ${j.reason}` : null,
      ),
    ),
  )
}
