import type { Outlook } from '../outlook.ts'
import type { Section } from '../section.ts'
import { panel } from './panel.ts'
import { h, type Child } from './tree.ts'
import { visible } from './words.ts'

/** Where the sensors of a page are going: vibration to the next zone, energy beyond its week. */
export function outlookPanel(section: Section<Outlook[]>, now: number): Child {
  const list = section.data ?? []
  if (list.length === 0) return null
  return panel(
    'outlook',
    'Outlook',
    section,
    now,
    h(
      'dl',
      null,
      list.map((o) =>
        h(
          'div',
          { key: `${o.sensor_id} ${o.kind}` },
          h(
            'dt',
            null,
            h('a', { href: `/sensors/${encodeURIComponent(o.sensor_id)}` }, visible(o.sensor_id)),
            o.kind === 'vibration' ? ' (ISO 20816)' : null,
          ),
          h('dd', null, `${o.text}.`),
        ),
      ),
    ),
  )
}
