import type { MachineRow } from '../questions/machines.ts'
import type { Section } from '../section.ts'
import { grid, panel } from './panel.ts'
import { h, type Child } from './tree.ts'
import { measured, moment, status, visible, type Tone } from './words.ts'

/** A machine as a whole against its baseline: how it is, which sensors have to do with it, and a new baseline. */
export function conditionPanel(section: Section<MachineRow>, now: number): Child {
  const m = section.data
  if (m === null) return null
  return panel(
    'condition',
    'Condition of the machine as a whole',
    section,
    now,
    h('p', null, status(TONES[m.condition], m.condition), ' ', sentence(m)),
    m.contributions.length === 0
      ? null
      : grid(
          'What each sensor has to do with it',
          ['Sensor', 'Share', 'Level, in swings', 'Restlessness, in swings'],
          m.contributions.slice(0, 20).map((c) => ({
            key: c.sensor_id,
            cells: [
              h('a', { href: `/sensors/${encodeURIComponent(c.sensor_id)}` }, visible(c.sensor_id)),
              `${Math.round(100 * c.share)} %`,
              measured(c.level),
              measured(c.activity),
            ],
          })),
        ),
    h(
      'form',
      {
        method: 'post',
        action: `/api/machines/${encodeURIComponent(m.machine_id)}/rebaseline`,
        class: 'acts',
      },
      h('label', null, 'Your name ', h('input', { name: 'by', maxlength: 64, autocomplete: 'name' })),
      h('label', null, 'Reason ', h('input', { name: 'reason', required: true, maxlength: 500 })),
      h('button', { type: 'submit' }, 'Begin a new baseline'),
    ),
  )
}

const TONES: Record<MachineRow['condition'], Tone> = {
  commissioning: 'stale',
  normal: 'normal',
  alarmed: 'critical',
}

function sentence(m: MachineRow): Child {
  const since = m.baseline_since === null ? null : [' Its baseline began ', moment(m.baseline_since)]
  const who = m.baseline_by === null ? null : ` (${m.baseline_by}: ${m.baseline_reason ?? ''})`
  const done = Math.floor(100 * Math.min(1, ...m.contributions.map((c) => c.commissioned)))
  const learning = m.condition === 'commissioning' ? `${done} % of its baseline is learnt.` : null
  const alarm =
    m.alert_id === null ? null : [' ', h('a', { href: `/alarms/${m.alert_id}` }, 'Its alarm'), '.']
  return [learning, since, who, since ? '.' : null, alarm]
}
