import { DEFINITIONS, findLine, type LineSensor, type ProductionLine } from '../lines.ts'
import type { Section } from '../section.ts'
import type { Snapshot } from '../snapshot.ts'
import { frame } from './frame.ts'
import { empty, grid, panel } from './panel.ts'
import { ending, lineStatus, pace, percent, progress } from './sections/lines.ts'
import { h, type Child, type Element } from './tree.ts'
import { age, DASH, moment, number, status, visible } from './words.ts'

/** One production line: how far, how fast, how well, and every time that it ran. */
export function linePage(
  s: Snapshot,
  name: Pick<ProductionLine, 'factory_id' | 'sensor_id' | 'soda_name'>,
  rounds: Section<ProductionLine[]>,
): Element {
  const now = Date.parse(s.at)
  const { line, sensor } = findLine(s.lines.data, name)
  return frame(
    s,
    '/',
    panel(
      'line',
      `${visible(name.soda_name)}, ${visible(name.factory_id)}`,
      s.lines,
      now,
      line ? facts(line, sensor, now) : empty('Nothing of it is known yet.'),
    ),
    panel('oee', 'OEE', s.lines, now, line ? figures(line) : empty('Nothing of it is known yet.')),
    panel('rounds', 'Every time that it ran', rounds, now, history(rounds.data ?? [])),
  )
}

function facts(line: ProductionLine, sensor: LineSensor | null, now: number): Element {
  const fact = (name: string, value: Child) =>
    h('div', { key: name }, h('dt', null, name), h('dd', null, value))
  return h(
    'dl',
    { key: 'facts' },
    fact(
      'Factory',
      h('a', { href: `/machines/${encodeURIComponent(line.factory_id)}` }, visible(line.factory_id)),
    ),
    fact('Sensor', [
      h('a', { href: `/sensors/${encodeURIComponent(line.sensor_id)}` }, line.sensor_id),
      `, tier ${line.tier}`,
    ]),
    fact('Status', lineStatus(line.state)),
    fact('Progress', progress(line)),
    fact('Pace', pace(line)),
    fact(line.state === 'complete' ? 'Ended' : 'Projected end', ending(line)),
    fact('Began', [moment(line.started_at), `, for the ${ordinal(line.round)} time`]),
    fact('Last item', [`${number(line.value)} points, `, age(line.last_at, now)]),
    fact('Signs of life', life(sensor, now)),
  )
}

function life(sensor: LineSensor | null, now: number): Child {
  if (!sensor) return 'none has come'
  return [
    status(sensor.status === 'silent' ? 'warning' : 'normal', sensor.status),
    ` · up ${percent(sensor.uptime)} since `,
    moment(sensor.since),
    ` · ${number(sensor.heartbeats)} counted, ${number(sensor.outages)} outages · last `,
    age(sensor.last_at, now),
  ]
}

function figures(line: ProductionLine): Element {
  const rows = ['availability', 'performance', 'quality', 'oee'] as const
  return grid(
    'OEE',
    ['Figure', 'Now', 'What it says'],
    rows.map((name) => ({
      key: name,
      cells: [
        name === 'oee' ? 'OEE' : name.replace(/^./, (c) => c.toUpperCase()),
        line[name] === null ? 'not measured' : percent(line[name]),
        DEFINITIONS[name],
      ],
    })),
  )
}

function history(rounds: readonly ProductionLine[]): Element {
  if (rounds.length === 0) return empty('It has not begun.')
  return grid(
    'Every time that it ran',
    ['Round', 'Status', 'Progress', 'Began', 'Last item', 'Pace', 'Quality', 'OEE'],
    rounds.map((r) => ({
      key: String(r.round),
      cells: [
        number(r.round),
        lineStatus(r.state),
        progress(r),
        moment(r.started_at),
        moment(r.last_at),
        pace(r),
        percent(r.quality),
        r.oee === null ? DASH : percent(r.oee),
      ],
    })),
  )
}

function ordinal(n: number): string {
  const ending = n % 100 > 10 && n % 100 < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th')
  return `${n}${ending}`
}
