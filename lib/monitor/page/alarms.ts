import type { z } from 'zod'
import type { alarmKpis, alarmList } from '../answers/alarms.ts'
import { ALARM_STATES } from '../questions/alarm-list.ts'
import type { Section } from '../section.ts'
import type { Snapshot } from '../snapshot.ts'
import { frame } from './frame.ts'
import { empty, panel } from './panel.ts'
import { alarmTable } from './sections/attention.ts'
import { kpis } from './sections/alarm-health.ts'
import { h, type Element } from './tree.ts'

/** The list of alarms, filtered by the address, and how well the alarm system serves. */
export function alarmsPage(
  s: Snapshot,
  list: z.infer<typeof alarmList>,
  filter: { state: string; severity?: string; sensor_id?: string },
  figures: Section<z.infer<typeof alarmKpis>['kpis']>,
  next: string | null,
): Element {
  const now = Date.parse(s.at)
  return frame(
    s,
    '/alarms',
    panel(
      'alarms',
      'Alarms',
      { ...list, data: list.alarms },
      now,
      h(
        'form',
        { method: 'get', action: '/alarms', class: 'filter' },
        h(
          'label',
          null,
          'State ',
          h(
            'select',
            { name: 'state' },
            ALARM_STATES.map((x) => h('option', { value: x, selected: x === filter.state }, x)),
          ),
        ),
        h(
          'label',
          null,
          'Severity ',
          h(
            'select',
            { name: 'severity' },
            h('option', { value: '' }, 'any'),
            ['critical', 'high', 'medium', 'low'].map((x) =>
              h('option', { value: x, selected: x === filter.severity }, x),
            ),
          ),
        ),
        h(
          'label',
          null,
          'Sensor ',
          h('input', { name: 'sensor_id', value: filter.sensor_id ?? '', maxlength: 64 }),
        ),
        h('button', { type: 'submit' }, 'Show'),
      ),
      list.alarms.length === 0 ? empty('No alarm of that kind.') : alarmTable(list.alarms, now),
      next === null ? null : h('p', null, h('a', { href: next }, 'Older')),
    ),
    kpis(figures, now),
  )
}
