import type { Incident } from '../incident/incident.ts'
import type { Snapshot } from '../snapshot.ts'
import { latestIncident } from './incidents.ts'
import { attention } from './sections/attention.ts'
import { moreReasons, verdictBar } from './sections/bar.ts'
import { flow } from './sections/flow.ts'
import { h, type Element } from './tree.ts'

/** For a screen on the wall, read from across the room: the verdict and what waits for a person, large. */
export function wall(s: Snapshot, newest: Incident | undefined): Element {
  const now = Date.parse(s.at)
  return h(
    'div',
    { id: 'page', class: 'wall' },
    verdictBar(s, now),
    h(
      'main',
      { id: 'content', key: 'content', tabindex: -1 },
      moreReasons(s),
      attention(s, now),
      latestIncident(s, newest),
      flow(s, now),
    ),
  )
}
