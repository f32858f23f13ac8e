import type { LineSensor, LineState, ProductionLine } from '../../lines.ts'
import type { Snapshot } from '../../snapshot.ts'
import { grid, panel } from '../panel.ts'
import { h, type Child, type Element } from '../tree.ts'
import { age, DASH, moment, number, status, visible, type Tone } from '../words.ts'

/** so many have a row of their own; each has a page, and all are in the sum */
const LISTED = 500

/** How far production lines are; nothing where a plant has none. */
export function productionLines(s: Snapshot, now: number): Element | null {
  const { lines, sensors } = s.lines.data ?? { lines: [], sensors: [] }
  if (lines.length === 0 && sensors.length === 0) return null
  return panel(
    'lines',
    'Production lines',
    s.lines,
    now,
    h('p', { key: 'sum' }, sumOf(lines, sensors)),
    grid(
      'Production lines',
      ['Line', 'Sensor', 'Status', 'Progress', 'Pace', 'Ends', 'OEE', 'Last item'],
      lines.slice(0, LISTED).map((line) => ({
        key: nameOf(line),
        cells: [
          h('a', { href: hrefOf(line) }, visible(line.soda_name)),
          [`${line.factory_id} · ${line.sensor_id}`, h('small', null, ` tier ${line.tier}`)],
          lineStatus(line.state),
          progress(line),
          pace(line),
          ending(line),
          percent(line.oee),
          age(line.last_at, now),
        ],
      })),
    ),
  )
}

function sumOf(lines: readonly ProductionLine[], sensors: readonly LineSensor[]): Child {
  const made = lines.reduce((sum, line) => sum + line.count, 0)
  const wanted = lines.reduce((sum, line) => sum + line.total, 0)
  const of = (word: LineSensor['status']) => sensors.filter((x) => x.status === word).length
  const silent = sensors.filter((x) => x.status === 'silent').map((x) => x.sensor_id)
  return [
    `${number(made)} of ${number(wanted)} items`,
    lines.length > LISTED ? ` on ${number(lines.length)} lines, of which ${LISTED} are listed` : null,
    `. Sensors: ${of('alive')} alive, ${of('finished')} finished`,
    silent.length === 0
      ? '.'
      : [', ', status('warning', `${silent.length} silent`), `: ${silent.slice(0, 20).join(', ')}.`],
  ]
}

export function hrefOf(line: Pick<ProductionLine, 'factory_id' | 'sensor_id' | 'soda_name'>): string {
  return `/lines/${[line.factory_id, line.sensor_id, line.soda_name].map(encodeURIComponent).join('/')}`
}

export function nameOf(line: Pick<ProductionLine, 'factory_id' | 'sensor_id' | 'soda_name'>): string {
  return `${line.factory_id}/${line.sensor_id}/${line.soda_name}`
}

const TONES: Record<LineState, Tone> = {
  running: 'normal',
  complete: 'normal',
  standing: 'warning',
  silent: 'stale',
}

export function lineStatus(state: LineState): Element {
  return status(TONES[state], state)
}

export function progress(line: ProductionLine): Child {
  const text = `${number(line.count)} of ${number(line.total)}`
  return [
    h('progress', { value: line.count, max: line.total, 'aria-label': text }),
    ` ${text}`,
    line.missing > 0 ? h('small', null, ` ${number(line.missing)} without a reading`) : null,
  ]
}

export function pace(line: ProductionLine): Child {
  return [
    `${number(line.pace_per_minute, 1)}/min`,
    h('small', null, ` of ${number(line.target_per_minute, 1)} planned`),
  ]
}

/** When the target is, or was, met. */
export function ending(line: ProductionLine): Child {
  if (line.state === 'complete') return ['met ', moment(line.last_at)]
  return line.projected_end === null ? DASH : moment(line.projected_end)
}

export function percent(share: number | null): string {
  return share === null ? DASH : `${number(share * 100)} %`
}
