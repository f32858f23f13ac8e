import type { Snapshot } from '../../snapshot.ts'
import { sparkline } from '../chart.ts'
import { panel } from '../panel.ts'
import { h, type Element } from '../tree.ts'

const CHARTS = [
  ['stored', 'Stored per second', (p: Point) => p.stored_per_second],
  ['lag', 'Messages waiting', (p: Point) => p.lag],
  ['latency', 'End to end, p99, ms', (p: Point) => p.end_to_end_ms_p99],
] as const
type Point = NonNullable<Snapshot['flow']['data']>['history'][number]

/** Section 7: the past of the flow. Without scripts the last ten minutes as drawn lines; with them, as far back as wanted. */
export function trends(s: Snapshot, now: number): Element {
  const history = s.flow.data?.history ?? []
  return panel(
    'trends',
    'Trends',
    s.flow,
    now,
    h(
      'div',
      { class: 'trends', key: 'trends' },
      CHARTS.map(([key, name, value]) =>
        h(
          'div',
          { key, class: 'trend' },
          h('h3', null, name),
          sparkline(history.map(value), `${name}, last ten minutes`, 300, 48),
        ),
      ),
    ),
    h('div', { class: 'chart', key: 'charts', 'data-island': 'flow', 'data-source': '/api/flow' }),
  )
}
