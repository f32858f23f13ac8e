import type { Section } from '../section.ts'
import { h, type Child, type Element } from './tree.ts'
import { age, seconds } from './words.ts'

/** A section of the page with the age of its own data; greyed, with the reason, where they are old. */
export function panel(
  id: string,
  title: string,
  section: Section<unknown>,
  now: number,
  ...content: Child[]
): Element {
  const old = section.status !== 'ok' && section.as_of !== null
  return h(
    'section',
    {
      id,
      key: id,
      class: old ? 'panel old' : 'panel',
      'aria-labelledby': `${id}-title`,
      'data-status': section.status,
    },
    h(
      'header',
      { class: 'panel-head' },
      h('h2', { id: `${id}-title` }, title),
      h(
        'p',
        { class: 'as-of' },
        section.as_of === null ? 'no data yet' : ['as of ', age(section.as_of, now)],
      ),
    ),
    fault(section, now),
    ...content,
  )
}

function fault(section: Section<unknown>, now: number): Child {
  if (section.error) {
    const since = seconds(Math.max(0, (now - Date.parse(section.error.since)) / 1000))
    return h(
      'p',
      { class: 'fault', key: 'fault' },
      h(
        'span',
        { class: 'status stale' },
        h('span', { class: 'shape', 'aria-hidden': 'true' }, '▨'),
        ' ',
        section.error.title,
      ),
      ` for ${since}: ${section.error.detail}. What is shown is the last that was known.`,
    )
  }
  return null
}

/** A table whose rows become cards on a phone: each cell carries its column's name. */
export function grid(
  caption: string,
  columns: readonly string[],
  rows: readonly { key: string; id?: string; className?: string; cells: Child[] }[],
): Element {
  return h(
    'table',
    null,
    h('caption', { class: 'sr-only' }, caption),
    h(
      'thead',
      null,
      h(
        'tr',
        null,
        columns.map((c) => h('th', { scope: 'col' }, c)),
      ),
    ),
    h(
      'tbody',
      null,
      rows.map((row) =>
        h(
          'tr',
          { key: row.key, id: row.id, class: row.className },
          row.cells.map((cell, i) =>
            h(i === 0 ? 'th' : 'td', i === 0 ? { scope: 'row' } : { 'data-label': columns[i] ?? '' }, cell),
          ),
        ),
      ),
    ),
  )
}

export function empty(text: string, command?: string): Element {
  return h('p', { class: 'empty', key: 'empty' }, text, command ? [' ', h('code', null, command)] : null)
}
