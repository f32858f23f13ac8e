import type { Outlook } from '../outlook.ts'
import type { MachineRow } from '../questions/machines.ts'
import type { Section } from '../section.ts'
import type { Snapshot } from '../snapshot.ts'
import { conditionPanel } from './condition.ts'
import { frame } from './frame.ts'
import { outlookPanel } from './outlook.ts'
import { empty, panel } from './panel.ts'
import { alarmTable } from './sections/attention.ts'
import { sensorTile } from './sections/plant.ts'
import { h, type Element } from './tree.ts'
import { visible } from './words.ts'

/** One machine: its condition as a whole, all that is measured on it, where that is going, and its open alarms. */
export function machinePage(
  s: Snapshot,
  machineId: string,
  condition: Section<MachineRow>,
  outlook: Section<Outlook[]>,
): Element {
  const now = Date.parse(s.at)
  const sensors = (s.sensors.data ?? []).filter((x) => x.machine_id === machineId)
  const alarms = (s.alerts.data?.list ?? []).filter(
    (a) => a.location.machine_id === machineId && (a.active || !a.acknowledged),
  )
  return frame(
    s,
    '/sensors',
    conditionPanel(condition, now),
    panel(
      'machine',
      machineId,
      s.sensors,
      now,
      sensors.length === 0
        ? empty('Nothing is measured on it.')
        : h(
            'ul',
            { class: 'sensors', key: 'sensors' },
            sensors.slice(0, 100).map((x) => sensorTile(x, now)),
          ),
    ),
    outlookPanel(outlook, now),
    panel(
      'machine-alarms',
      'Open alarms',
      s.alerts,
      now,
      alarms.length === 0 ? empty('No open alarm.') : alarmTable(alarms.slice(0, 50), now),
    ),
  )
}

const PER_PAGE = 60

/** All sensors, a page at a time, the machines as links. */
export function sensorsPage(s: Snapshot, at: number): Element {
  const now = Date.parse(s.at)
  const all = s.sensors.data ?? []
  const start = Math.min(Math.max(0, at - 1) * PER_PAGE, Math.max(0, all.length - 1))
  const machines = [...new Set(all.map((x) => x.machine_id))].sort().slice(0, 200)
  const pages = Math.ceil(all.length / PER_PAGE)
  return frame(
    s,
    '/sensors',
    panel(
      'machines',
      'Machines',
      s.sensors,
      now,
      h(
        'p',
        null,
        machines.map((m, i) => [
          i > 0 ? ' · ' : '',
          h('a', { href: `/machines/${encodeURIComponent(m)}`, key: m }, visible(m)),
        ]),
      ),
    ),
    panel(
      'sensors',
      `Sensors (${all.length})`,
      s.sensors,
      now,
      h(
        'ul',
        { class: 'sensors', key: 'list' },
        all.slice(start, start + PER_PAGE).map((x) => sensorTile(x, now)),
      ),
      pages > 1
        ? h(
            'p',
            { key: 'more' },
            Array.from({ length: Math.min(pages, 100) }, (_, i) => [
              i > 0 ? ' ' : '',
              h('a', { href: `/sensors?page=${i + 1}`, 'aria-current': i + 1 === at ? 'page' : null }, i + 1),
            ]),
          )
        : null,
    ),
  )
}
