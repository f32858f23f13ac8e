import type { Incident } from '../incident/incident.ts'
import type { Snapshot } from '../snapshot.ts'
import { frame } from './frame.ts'
import { latestIncident } from './incidents.ts'
import { kpis } from './sections/alarm-health.ts'
import { attention } from './sections/attention.ts'
import { moreReasons } from './sections/bar.ts'
import { flow } from './sections/flow.ts'
import { productionLines } from './sections/lines.ts'
import { consumers, producers } from './sections/members.ts'
import { partitions } from './sections/partitions.ts'
import { sinks } from './sections/sinks.ts'
import { plant } from './sections/plant.ts'
import { trends } from './sections/trends.ts'
import { system } from './sections/system.ts'
import type { Element } from './tree.ts'

/** The page that a person keeps open all day: is anything wrong, what, where, since when; then the rest, in depth. */
export function overview(s: Snapshot, newest: Incident | undefined): Element {
  const now = Date.parse(s.at)
  return frame(
    s,
    '/',
    moreReasons(s),
    attention(s, now),
    latestIncident(s, newest),
    flow(s, now),
    productionLines(s, now),
    consumers(s, now),
    partitions(s, now),
    producers(s, now),
    sinks(s, now),
    plant(s, now),
    trends(s, now),
    kpis(s.kpis, now),
    system(s, now),
  )
}
