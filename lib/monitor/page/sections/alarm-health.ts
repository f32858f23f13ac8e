import type { z } from 'zod'
import type { alarmKpis } from '../../answers/alarms.ts'
import type { Section } from '../../section.ts'
import { empty, grid, panel } from '../panel.ts'
import { h, type Child, type Element } from '../tree.ts'
import { number, seconds, status, type Tone } from '../words.ts'

type Kpis = z.infer<typeof alarmKpis>['kpis']

/** Section 8: is the alarm system itself in order? Targets after ISA-18.2 and EEMUA 191, for one operator. */
export function kpis(section: Section<Kpis>, now: number): Element {
  const k = section.data
  if (!k) return panel('alarm-health', 'Alarm system', section, now, empty('No figures yet.'))
  const days = k.observed_since === null ? 0 : (now - Date.parse(k.observed_since)) / 86_400_000
  const total = k.priorities.low + k.priorities.medium + k.priorities.high + k.priorities.critical
  const share = (n: number) => (total === 0 ? 0 : Math.round((n / total) * 100))
  return panel(
    'alarm-health',
    'Alarm system',
    section,
    now,
    h(
      'p',
      { key: 'span' },
      days >= 30
        ? 'Over the last 30 days.'
        : `Meant for 30 days of data; there are ${seconds(days * 86_400)}.`,
    ),
    h(
      'dl',
      { key: 'figures' },
      fact('Alarms in ten minutes', [
        judge(k.per_ten_minutes_mean ?? 0, 1, 2),
        ` mean ${number(k.per_ten_minutes_mean, 2)}, most ${number(k.per_ten_minutes_peak)} (target 1, at most 2)`,
      ]),
      fact('Time in flood', [
        judge((k.flood_share ?? 0) * 100, 1, 5),
        ` ${number((k.flood_share ?? 0) * 100, 1)} % (target below 1 %)`,
      ]),
      fact('Standing longer than a day', [
        judge(k.standing, 4, 10),
        ` ${number(k.standing)} (target below 5)`,
      ]),
      fact('Chattering', [judge(k.chattering.length, 0, 2), ` ${number(k.chattering.length)} (target 0)`]),
      fact(
        'Priorities',
        `low ${share(k.priorities.low)} %, medium ${share(k.priorities.medium)} %, high ${share(k.priorities.high)} %, critical ${share(k.priorities.critical)} % (target 80 / 15 / 5)`,
      ),
      fact(
        'Median time to acknowledge',
        k.median_seconds_to_acknowledge === null ? '—' : seconds(k.median_seconds_to_acknowledge),
      ),
    ),
    k.top.length === 0
      ? null
      : grid(
          'Most frequent alarms',
          ['Sensor', 'Rule', 'Raised'],
          k.top.slice(0, 5).map((t) => ({
            key: `${t.sensor_id} ${t.rule_id}`,
            cells: [t.sensor_id, t.rule_id, number(t.raised)],
          })),
        ),
  )
}

function fact(name: string, value: Child): Element {
  return h('div', { key: name }, h('dt', null, name), h('dd', null, value))
}

function judge(value: number, target: number, most: number): Element {
  const tone: Tone = value <= target ? 'normal' : value <= most ? 'warning' : 'critical'
  return status(tone, tone === 'normal' ? 'in order' : tone === 'warning' ? 'too many' : 'far too many')
}
