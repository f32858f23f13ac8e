import type { Snapshot } from '../snapshot.ts'
import { verdictBar } from './sections/bar.ts'
import { h, type Child, type Element } from './tree.ts'

const PAGES = [
  ['/', 'Overview'],
  ['/alarms', 'Alarms'],
  ['/sensors', 'Sensors'],
  ['/rules', 'Rules'],
  ['/incidents', 'Incidents'],
  ['/dead-letters', 'Dead letters'],
  ['/docs', 'API'],
] as const

/** What every page has: the verdict, the way to the other pages, and its own content. */
export function frame(s: Snapshot, here: string, ...content: Child[]): Element {
  return h(
    'div',
    { id: 'page' },
    verdictBar(s, Date.parse(s.at)),
    h(
      'nav',
      { class: 'pages', key: 'pages', 'aria-label': 'Pages' },
      PAGES.map(([href, name]) => h('a', { href, 'aria-current': href === here ? 'page' : null }, name)),
    ),
    h('main', { id: 'content', key: 'content', tabindex: -1 }, ...content),
  )
}
