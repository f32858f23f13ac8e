import type { Incident } from '../incident/incident.ts'
import type { Step } from '../incident/steps.ts'
import type { Section } from '../section.ts'
import type { Snapshot } from '../snapshot.ts'
import { frame } from './frame.ts'
import { empty, grid, panel } from './panel.ts'
import { h, type Child, type Element } from './tree.ts'
import { age, milliseconds, moment, number, seconds, status, type Tone } from './words.ts'

/** All incidents, the newest first. */
export function incidentsPage(s: Snapshot, list: Section<Incident[]>, next: string | null): Element {
  const now = Date.parse(s.at)
  return frame(
    s,
    '/incidents',
    panel(
      'incidents',
      'Incidents',
      list,
      now,
      (list.data ?? []).length === 0
        ? empty('Nothing has failed so far. To see one:', 'chaos/consumer-failure.sh')
        : incidentTable(list.data ?? [], now),
      next === null ? null : h('p', { key: 'next' }, h('a', { href: next }, 'Older')),
    ),
  )
}

function incidentTable(list: readonly Incident[], now: number): Element {
  return grid(
    'Incidents',
    ['What', 'State', 'When', 'Duration', 'Most waiting', 'Rebalances', 'Repeats suppressed', 'Missing'],
    list.map((i) => ({
      key: i.incident_id,
      cells: [
        h('a', { href: `/incidents/${i.incident_id}` }, i.title),
        i.closed_at === null ? status('warning', 'goes on') : status('normal', 'over'),
        [moment(i.opened_at), ', ', age(i.opened_at, now)],
        seconds(i.cost.duration_s),
        i.cost.max_lag === null ? '—' : `${number(i.cost.max_lag)}, ${seconds(i.cost.max_lag_seconds)}`,
        number(i.cost.rebalances),
        number(i.cost.repeats_suppressed),
        status(i.cost.readings_missing > 0 ? 'critical' : 'normal', number(i.cost.readings_missing)),
      ],
    })),
  )
}

/** One incident as a story on a time line. */
export function incidentPage(s: Snapshot, found: Section<Incident>): Element {
  const now = Date.parse(s.at)
  const i = found.data
  if (!i) return frame(s, '/incidents', panel('incident', 'Incident', found, now))
  const end = i.closed_at ?? s.at
  return frame(
    s,
    '/incidents',
    panel(
      'incident',
      i.title,
      found,
      now,
      h(
        'p',
        { key: 'state' },
        i.closed_at === null ? status('warning', 'goes on') : status('normal', 'over'),
        ` from `,
        moment(i.opened_at),
        i.closed_at === null ? null : [' to ', moment(i.closed_at)],
        `, ${seconds((Date.parse(end) - Date.parse(i.opened_at)) / 1000)}.`,
      ),
      cost(i),
      timeline(i, end),
      h(
        'ol',
        { class: 'story', key: 'story' },
        i.steps.map((step, n) => stepLine(step, i.opened_at, n)),
      ),
    ),
  )
}

/** Section of the overview: the newest story, so that a failure is told where a person looks. */
export function latestIncident(s: Snapshot, newest: Incident | undefined): Element | null {
  if (!newest) return null
  const now = Date.parse(s.at)
  const over = newest.closed_at !== null
  if (over && now - Date.parse(newest.closed_at ?? s.at) > 600_000) return null
  const end = newest.closed_at ?? s.at
  return panel(
    'incident',
    over ? 'Last incident' : 'Incident',
    { status: 'ok', as_of: s.at, error: null, data: null },
    now,
    h(
      'p',
      { key: 'title' },
      status(over ? 'normal' : 'warning', over ? 'over' : 'goes on'),
      ' ',
      h('a', { href: `/incidents/${newest.incident_id}` }, newest.title),
      `, ${seconds((Date.parse(end) - Date.parse(newest.opened_at)) / 1000)}`,
    ),
    timeline(newest, end),
    h(
      'ol',
      { class: 'story', key: 'story' },
      newest.steps.slice(-14).map((step, n) => stepLine(step, newest.opened_at, n)),
    ),
  )
}

const TONES: Record<Step['kind'], Tone> = {
  died: 'critical',
  away: 'critical',
  noticed: 'warning',
  left: 'low',
  rebalance: 'low',
  assigned: 'low',
  revoked: 'low',
  lag: 'warning',
  back: 'normal',
  recovered: 'normal',
  ledger: 'normal',
}

function stepLine(step: Step, openedAt: string, n: number): Element {
  const after = (Date.parse(step.at) - Date.parse(openedAt)) / 1000
  return h(
    'li',
    { key: `${step.at} ${step.subject} ${step.kind} ${n}` },
    h('span', { class: 'after' }, `+${after.toFixed(1)} s`),
    ' ',
    moment(step.at),
    ' ',
    status(TONES[step.kind], step.kind),
    ' ',
    step.text,
  )
}

function cost(i: Incident): Element {
  const c = i.cost
  const fact = (name: string, value: Child) =>
    h('div', { key: name }, h('dt', null, name), h('dd', null, value))
  return h(
    'dl',
    { key: 'cost' },
    fact('Most messages waiting', number(c.max_lag)),
    fact('Longest wait', seconds(c.max_lag_seconds)),
    fact('Worst end to end, p99', milliseconds(c.max_end_to_end_ms)),
    fact('Rebalances', `${number(c.rebalances)}, the longest ${milliseconds(c.rebalance_ms)}`),
    fact('Partitions taken over', number(c.partitions_moved)),
    fact('Repeats suppressed', number(c.repeats_suppressed)),
    fact(
      'Readings lost, by the ledger',
      typeof c.readings_lost === 'number'
        ? status(c.readings_lost > 0 ? 'critical' : 'normal', number(c.readings_lost))
        : i.closed_at === null
          ? 'asked at the end'
          : ['not told here: ', h('code', null, 'bun run verify')],
    ),
    fact(
      'Numbers missing',
      status(c.readings_missing > 0 ? 'critical' : 'normal', number(c.readings_missing)),
    ),
    fact('Dead letters', number(c.dead_lettered)),
    fact('Readings stored meanwhile', number(c.readings_stored)),
  )
}

/** One line from the first moment to the last, a mark for each step. */
function timeline(i: Incident, end: string): Element {
  const from = Date.parse(i.opened_at)
  const span = Math.max(1000, Date.parse(end) - from)
  const at = (iso: string) => (Math.min(1, Math.max(0, (Date.parse(iso) - from) / span)) * 100).toFixed(1)
  return h(
    'svg',
    {
      class: 'timeline',
      viewBox: '-2 0 104 10',
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': `${i.steps.length} steps in ${seconds(span / 1000)}`,
      key: 'timeline',
    },
    h('line', { x1: 0, x2: 100, y1: 5, y2: 5 }),
    i.steps.map((step) =>
      h('line', { class: TONES[step.kind], x1: at(step.at), x2: at(step.at), y1: 1, y2: 9 }),
    ),
  )
}
