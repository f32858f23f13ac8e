import { sparkline } from './chart.ts'
import { grid } from './panel.ts'
import { h, type Child, type Element } from './tree.ts'
import { DASH, measured, visible } from './words.ts'

/** An alarm's own account: column `why`. */
export type Facts = Record<string, unknown>

/** said elsewhere on the page, or of use to programs only */
const LEFT_OUT = new Set([
  'recent',
  'recent_of',
  'explanation',
  'source',
  'last_us',
  'rarity',
  'low',
  'high',
  'members',
])
const LABELS: Record<string, string> = {
  part: 'What spoke',
  rule: 'Rule',
  response: 'What to do',
  consequence: 'What it may lead to',
  expected: 'Usual now',
  rare: 'How rare',
  reasons: 'What was seen',
  limits: 'Limits in force',
  live: 'Data',
  together: 'Measured with it',
  contributions: 'What each sensor has to do with it',
  means: 'Means of that minute',
}

/** Why it was raised: the readings before it drawn, then every fact in words. A fact without a label of its own has its name. */
export function whyFacts(facts: Facts, unit: string): Child[] {
  const seen = {
    ...facts,
    [facts.part === 'limit' ? 'limit' : 'usual_band']: band(facts, unit),
    ...wordsOf(facts, unit),
  }
  const shown = Object.entries(seen).flatMap(([name, value]) => {
    const child = LEFT_OUT.has(name) ? null : inWords(value)
    return child === null ? [] : [{ label: LABELS[name] ?? visible(name.replaceAll('_', ' ')), child }]
  })
  return [
    before(facts),
    h(
      'dl',
      null,
      shown
        .filter((s) => !isTable(s.child))
        .map((s) => h('div', null, h('dt', null, s.label), h('dd', null, s.child))),
    ),
    shown.filter((s) => isTable(s.child)).map((s) => h('section', null, h('h3', null, s.label), s.child)),
  ]
}

function before({ recent }: Facts): Child {
  const values = (Array.isArray(recent) ? recent : []).map((r: unknown) =>
    isObject(r) && typeof r.value === 'number' ? r.value : null,
  )
  if (values.length < 2) return null
  return h(
    'p',
    { class: 'history' },
    'readings before it ',
    sparkline(values, 'readings before the alarm', 240),
  )
}

function band({ low, high }: Facts, unit: string): string | null {
  const from = typeof low === 'number' ? `${measured(low)} ${unit}` : null
  const to = typeof high === 'number' ? `${measured(high)} ${unit}` : null
  if (from !== null && to !== null) return `${from} to ${to}`
  return from ?? to
}

function wordsOf({ rule, live, rare, expected }: Facts, unit: string): Facts {
  const title = isObject(rule) ? (rule.title ?? rule.id) : null
  return {
    rule: isObject(rule) && typeof rule.kind === 'string' ? `${String(title)} (${rule.kind})` : title,
    live: live === true ? 'live' : live === false ? 'late' : null,
    rare: typeof rare === 'string' ? `${rare} readings of this sensor` : null,
    expected: typeof expected === 'number' ? `${measured(expected)} ${unit}` : null,
  }
}

/** null: there is nothing to say */
function inWords(value: unknown): Child {
  if (value === null || value === undefined || value === '') return null
  if (typeof value === 'number') return measured(value)
  if (typeof value === 'string') return visible(value)
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  const list: [string, unknown][] = Object.entries(value)
  if (list.length === 0) return null
  if (list.every(([, v]) => isObject(v))) return table(list as [string, Facts][], Array.isArray(value))
  const texts = list.map(([name, v]) => [Array.isArray(value) ? null : `${name} `, inWords(v) ?? DASH])
  return texts.flatMap((text, i) => (i === 0 ? text : [', ', text]))
}

/** One row each; the columns are what any of them has. A list's rows have no name. */
function table(rows: [string, Facts][], isList: boolean): Element {
  const columns = [
    ...new Set(rows.flatMap(([, row]) => Object.keys(row).filter((name) => row[name] !== null))),
  ]
  return grid(
    'Details',
    [...(isList ? [] : ['']), ...columns.map((c) => visible(c.replaceAll('_', ' ')))],
    rows.slice(0, 50).map(([name, row]) => ({
      key: name,
      cells: [...(isList ? [] : [visible(name)]), ...columns.map((c) => inWords(row[c]) ?? DASH)],
    })),
  )
}

function isTable(child: Child): boolean {
  return typeof child === 'object' && child !== null && 'tag' in child && child.tag === 'table'
}

function isObject(value: unknown): value is Facts {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
