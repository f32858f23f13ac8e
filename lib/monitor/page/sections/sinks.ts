import type { SinkStatus } from '../../sinks.ts'
import type { Snapshot } from '../../snapshot.ts'
import { grid, panel } from '../panel.ts'
import { h, type Element } from '../tree.ts'
import { age, number, status, type Tone } from '../words.ts'

const TONES: Record<SinkStatus, Tone> = {
  active: 'normal',
  stalled: 'critical',
  stopped: 'critical',
  away: 'stale',
  left: 'stale',
}

/** Other destinations of the same readings, where there are any. */
export function sinks(s: Snapshot, now: number): Element | null {
  const list = s.sinks.data ?? []
  if (list.length === 0) return null
  return panel(
    'sinks',
    'Sinks',
    s.sinks,
    now,
    grid(
      'Sinks',
      ['Sink', 'Status', 'Run by', 'Lag', 'Stored', 'Repeats', 'Dead letters', 'Moved'],
      list.map((x) => ({
        key: x.sink,
        cells: [
          x.sink,
          [
            status(TONES[x.status], x.status === 'left' ? 'stopped on purpose' : x.status),
            x.stopped ? h('small', null, ` ${x.stopped}`) : null,
          ],
          x.owners.join(', '),
          number(x.lag),
          number(x.stored),
          number(x.repeated),
          number(x.dead_lettered),
          age(x.updated_at, now),
        ],
      })),
    ),
  )
}
