import { stateOf, type AlarmBits } from '../../../alarm/lifecycle.ts'
import type { Snapshot } from '../../snapshot.ts'
import { h, type Element } from '../tree.ts'
import { age, number, status, type Tone } from '../words.ts'

const TONES: Record<string, Tone> = { OK: 'normal', DEGRADED: 'warning', DOWN: 'critical', WAITING: 'stale' }

/** Section 0: one word for the whole, its reason, what waits for a person, and whether this page is alive. */
export function verdictBar(s: Snapshot, now: number): Element {
  const { verdict } = s
  const shown = s.alerts.data?.counts
  return h(
    'header',
    { id: 'bar', key: 'bar', class: `verdict ${verdict.word.toLowerCase()}` },
    h('h1', { class: 'product' }, h('a', { href: '/' }, 'Plant monitor')),
    h(
      'p',
      { class: 'word', 'aria-live': 'polite' },
      h('strong', null, status(TONES[verdict.word] ?? 'stale', verdict.word)),
      ' ',
      h('span', { class: 'reason' }, verdict.reason),
    ),
    h(
      'p',
      { class: 'counts' },
      h('a', { href: '/#attention' }, `${number(shown?.unacknowledged ?? null)} to acknowledge`),
      ` · ${number(shown?.active ?? null)} active`,
    ),
    h('p', { class: 'live', id: 'live' }, h('span', { class: 'beat', id: 'beat' }, 'as of '), age(s.at, now)),
  )
}

export function moreReasons(s: Snapshot): Element | null {
  const rest = s.verdict.reasons.slice(1)
  if (rest.length === 0) return null
  return h(
    'ul',
    { class: 'reasons', key: 'reasons' },
    rest
      .slice(0, 8)
      .map((r) =>
        h(
          'li',
          { key: `${r.where} ${r.text.replace(/\d+/g, '')}` },
          status(r.word === 'DOWN' ? 'critical' : 'warning', r.word),
          ' ',
          h('a', { href: `/#${r.where}` }, r.text),
        ),
      ),
  )
}

/** Unacknowledged first, then by severity and age: the order in which a person should look. */
export function byAttention(
  a: AlarmBits & { severity: string; suppressed: string | null },
  now: number,
): number {
  const state = stateOf(a, now)
  const order: string[] = [
    'active_unacknowledged',
    'latched',
    'cleared_unacknowledged',
    'active_acknowledged',
  ]
  const isLoud = a.suppressed === null || a.suppressed === 'waiting'
  const waiting = isLoud && order.includes(state) ? order.indexOf(state) : order.length
  return waiting * 10 + ['critical', 'high', 'medium', 'low'].indexOf(a.severity)
}
