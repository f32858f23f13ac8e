import type { Outlook } from '../outlook.ts'
import type { AlertRow } from '../questions/alerts.ts'
import type { Section } from '../section.ts'
import type { Sensor, Snapshot } from '../snapshot.ts'
import { presentSensor, RANGES } from '../api/sensors.ts'
import { frame } from './frame.ts'
import { outlookPanel } from './outlook.ts'
import { empty, panel } from './panel.ts'
import { alarmTable } from './sections/attention.ts'
import { sensorTile } from './sections/plant.ts'
import { h, type Child, type Element } from './tree.ts'
import { age, measured, moment, number, seconds, status } from './words.ts'

/** One sensor: its newest reading against its limits, where it is going, its past, its alarms. */
export function sensorPage(
  s: Snapshot,
  sensorId: string,
  alarms: Section<AlertRow[]>,
  outlook: Section<Outlook[]>,
): Element {
  const now = Date.parse(s.at)
  const x = s.sensors.data?.find((one) => one.sensor_id === sensorId)
  return frame(
    s,
    '/sensors',
    panel(
      'sensor',
      sensorId,
      s.sensors,
      now,
      x
        ? [h('ul', { class: 'sensors' }, sensorTile(x, now)), facts(x, now)]
        : empty('No reading of it is known.'),
    ),
    outlookPanel(outlook, now),
    chartPanel(`/api/series?sensor_id=${encodeURIComponent(sensorId)}`, x?.unit ?? '', s, now),
    x ? servicePanel(x, s, now) : null,
    panel(
      'sensor-alarms',
      'Its alarms',
      alarms,
      now,
      (alarms.data ?? []).length === 0
        ? empty('It never had an alarm.')
        : alarmTable((alarms.data ?? []).slice(0, 20), now),
    ),
  )
}

/** While somebody works on it nobody is called: until when, by whom, why; and the act, either way. */
function servicePanel(x: Sensor, s: Snapshot, now: number): Element {
  const out = x.out_of_service
  const path = `/api/sensors/${encodeURIComponent(x.sensor_id)}`
  const name = h('label', null, 'Your name ', h('input', { name: 'by', maxlength: 64, autocomplete: 'name' }))
  return panel(
    'service',
    'Service',
    s.alerts,
    now,
    h(
      'p',
      { key: 'state' },
      out
        ? [status('stale', 'out of service'), ' until ', moment(out.until), ` by ${out.by}: ${out.reason}`]
        : 'In service: its alarms call somebody.',
    ),
    h(
      'div',
      { class: 'acts', key: out ? 'return' : 'take' },
      out
        ? h(
            'form',
            { method: 'post', action: `${path}/in-service` },
            name,
            h('button', { type: 'submit' }, 'Return to service'),
          )
        : h(
            'form',
            { method: 'post', action: `${path}/out-of-service` },
            h(
              'label',
              null,
              'For ',
              h(
                'select',
                { name: 'minutes' },
                [60, 480, 1440, 10_080].map((m) =>
                  h('option', { value: m }, m < 1440 ? `${m / 60} h` : `${m / 1440} d`),
                ),
              ),
            ),
            h('label', null, 'Reason ', h('input', { name: 'reason', required: true, maxlength: 500 })),
            name,
            h('button', { type: 'submit' }, 'Take out of service'),
          ),
    ),
  )
}

/** Drawn by the page's script; without it, links to the numbers. */
function chartPanel(source: string, unit: string, s: Snapshot, now: number): Element {
  return panel(
    'past',
    'Past',
    s.sensors,
    now,
    h('div', {
      class: 'chart',
      key: 'chart',
      'data-island': 'series',
      'data-source': source,
      'data-unit': unit,
    }),
    h(
      'p',
      { class: 'links', key: 'links' },
      'As numbers: ',
      RANGES.slice(1).map((r, i) => [i > 0 ? ' · ' : '', h('a', { href: `${source}&last=${r}` }, r)]),
      ' · ',
      h('a', { href: source.replace('/api/series', '/api/export/readings') }, 'CSV of the last hour'),
    ),
  )
}

function facts(x: Sensor, now: number): Element {
  const p = presentSensor(x)
  const fact = (name: string, value: Child) =>
    value === null ? null : h('div', { key: name }, h('dt', null, name), h('dd', null, value))
  const limits = [
    ['critical below', x.low_critical],
    ['warning below', x.low_warning],
    ['warning at', x.warning],
    ['critical at', x.critical],
  ] as const
  return h(
    'dl',
    { key: 'facts' },
    fact('Machine', h('a', { href: `/machines/${encodeURIComponent(x.machine_id)}` }, x.machine_id)),
    fact('Place', [x.factory_section, x.zone].filter(Boolean).join(' · ')),
    fact('Type', x.sensor_type),
    fact('Measured', [moment(x.timestamp), ', ', age(x.timestamp, now)]),
    fact('Interval', seconds(x.interval_s)),
    fact('Quality', `${number(x.quality * 100)} %${p.flags.length > 0 ? `, ${p.flags.join(', ')}` : ''}`),
    fact(
      'Limits',
      limits
        .filter(([, v]) => v !== null)
        .map(([word, v]) => `${word} ${measured(v)} ${x.unit}`)
        .join(', ') || 'none',
    ),
    fact('Severity (ISO 20816)', x.iso_zone === null ? null : `zone ${x.iso_zone}`),
    fact('Stored as', `${x.topic} ${x.partition}, offset ${number(x.offset)}`),
    fact('Readings', number(x.readings)),
  )
}
