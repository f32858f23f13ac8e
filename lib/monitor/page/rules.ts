import type { RulesNow } from '../api/rules.ts'
import type { RuleText, RuleVersionRow } from '../questions/rules.ts'
import type { Section } from '../section.ts'
import type { Snapshot } from '../snapshot.ts'
import { frame } from './frame.ts'
import { empty, grid, panel } from './panel.ts'
import { h, type Child, type Element } from './tree.ts'
import { moment, status } from './words.ts'

/** The rules in force: what each looks at, and since when whose book judges. */
export function rulesPage(
  s: Snapshot,
  found: Section<RulesNow>,
  versions: Section<RuleVersionRow[]>,
): Element {
  const now = Date.parse(s.at)
  const rules = found.data?.book.rules ?? []
  return frame(
    s,
    '/rules',
    panel(
      'rules',
      'Rules in force',
      found,
      now,
      found.data ? inForce(found.data) : null,
      rules.length === 0
        ? empty('No rule is in force.')
        : grid(
            'Rules',
            ['Rule', 'What', 'For', 'Raises when', 'Severity', 'State'],
            rules.map((r) => ({
              key: r.id,
              id: `rule-${r.id}`,
              cells: [
                h('a', { href: `/rules/${encodeURIComponent(r.id)}` }, r.id),
                r.title ?? r.anomaly_type.replaceAll('_', ' '),
                appliesTo(r),
                conditionOf(r),
                r.severity,
                r.enabled === false ? status('stale', 'off') : 'on',
              ],
            })),
          ),
    ),
    panel('versions', 'Versions', versions, now, versionList(versions.data ?? [])),
  )
}

/** One rule: everything that it says, a form to change it, its past. */
export function rulePage(
  s: Snapshot,
  found: Section<RulesNow>,
  rule: RuleText,
  history: Section<(RuleVersionRow & { rule: RuleText | null })[]>,
): Element {
  const now = Date.parse(s.at)
  const version = found.data?.version ?? 0
  return frame(
    s,
    '/rules',
    panel(
      'rule',
      rule.id,
      found,
      now,
      h(
        'p',
        null,
        `${rule.title ?? ''}: ${conditionOf(rule)}, for ${appliesTo(rule)}. `,
        rule.enabled === false ? status('stale', 'off') : null,
      ),
      h(
        'dl',
        null,
        Object.entries(rule)
          .filter(([name]) => name !== 'id' && name !== 'applies')
          .map(([name, value]) =>
            h(
              'div',
              { key: name },
              h('dt', null, name.replaceAll('_', ' ')),
              h('dd', null, typeof value === 'string' ? value : JSON.stringify(value)),
            ),
          ),
      ),
      changeForms(rule, version),
    ),
    panel(
      'history',
      'Its past',
      history,
      now,
      h(
        'ol',
        { class: 'events' },
        (history.data ?? []).map((one) =>
          h(
            'li',
            { key: one.version },
            one.created_at === null ? null : moment(one.created_at),
            ' ',
            h('a', { href: `/rule-books/${one.version}` }, `version ${one.version}`),
            ` by ${one.author}: `,
            one.rule === null
              ? 'taken away'
              : `${conditionOf(one.rule)}${one.rule.enabled === false ? ', off' : ''}`,
            one.reason === '' ? null : ` (${one.reason})`,
          ),
        ),
      ),
    ),
  )
}

/** One version whole, as JSON: to read, to change, to bring back. */
export function ruleBookPage(
  s: Snapshot,
  found: Section<(RuleVersionRow & { book: unknown }) | null>,
): Element {
  const now = Date.parse(s.at)
  const book = found.data
  if (!book) return frame(s, '/rules', panel('book', 'Rule book', found, now))
  return frame(
    s,
    '/rules',
    panel(
      'book',
      `Rule book ${book.version}`,
      found,
      now,
      h('p', null, moment(book.created_at), ` by ${book.author}: ${book.reason}`),
      h(
        'form',
        { method: 'post', action: '/api/rule-books', class: 'wide', 'data-needs': 'admin' },
        h(
          'label',
          null,
          'The whole book, as JSON ',
          h('textarea', { name: 'book', rows: 30 }, JSON.stringify(book.book, null, 1)),
        ),
        who(),
        h('button', { type: 'submit' }, 'Apply as the newest version'),
      ),
    ),
  )
}

function inForce(now: RulesNow): Element {
  const judging = now.in_force.filter((p) => p.version === now.version).length
  const all = now.in_force.length
  return h(
    'p',
    { key: 'version' },
    'Version ',
    now.version === 0 ? '0' : h('a', { href: `/rule-books/${now.version}` }, now.version),
    ` by ${now.author}`,
    now.created_at === null ? null : [', ', moment(now.created_at)],
    now.reason === '' ? null : `: ${now.reason}`,
    '. ',
    all === 0
      ? 'No consumer judges yet.'
      : status(judging === all ? 'normal' : 'low', `judges on ${judging} of ${all} partitions`),
  )
}

function versionList(versions: readonly RuleVersionRow[]): Child {
  if (versions.length === 0) return empty('None was made yet: the first consumer makes one of the file.')
  return h(
    'ol',
    { class: 'events' },
    versions.map((v) =>
      h(
        'li',
        { key: v.version },
        moment(v.created_at),
        ' ',
        h('a', { href: `/rule-books/${v.version}` }, `version ${v.version}`),
        ` by ${v.author}`,
        v.reason === '' ? null : `: ${v.reason}`,
      ),
    ),
  )
}

/** The numbers of a rule that are changed in place, as lib/monitor/api/rules.ts takes them. */
const NUMBERS = ['limit', 'low', 'high', 'deadband', 'threshold', 'readings'] as const

function changeForms(rule: RuleText, version: number): Element {
  const action = `/api/rules/${rule.id}`
  const values = rule as Record<string, unknown>
  const numbers = NUMBERS.filter((name) => typeof values[name] === 'number')
  const isOn = rule.enabled !== false
  const based = h('input', { type: 'hidden', name: 'based_on', value: version })
  return h(
    'div',
    { class: 'acts', key: 'acts' },
    numbers.length === 0
      ? null
      : h(
          'form',
          { method: 'post', action, 'data-needs': 'admin' },
          based,
          numbers.map((name) =>
            h(
              'label',
              null,
              `${name} `,
              h('input', { name, type: 'number', step: 'any', required: true, value: String(values[name]) }),
            ),
          ),
          who(),
          h('button', { type: 'submit' }, 'Change'),
        ),
    h(
      'form',
      { method: 'post', action, 'data-needs': 'admin' },
      based,
      h('input', { type: 'hidden', name: 'enabled', value: isOn ? 'false' : 'true' }),
      who(),
      h('button', { type: 'submit' }, isOn ? 'Turn off' : 'Turn on'),
    ),
  )
}

function who(): Child[] {
  return [
    h('label', null, 'Reason ', h('input', { name: 'reason', required: true, maxlength: 500 })),
    h('label', null, 'Your name ', h('input', { name: 'by', maxlength: 64, autocomplete: 'name' })),
  ]
}

function appliesTo({ applies = {} }: RuleText): string {
  const { sensor_types: types, sensor_ids: ids, machine_ids: machines, topics } = applies
  return (
    [types, ids, machines, topics].flatMap((list) => list?.join(', ') ?? []).join(' · ') || 'every sensor'
  )
}

/** When it speaks, in words. */
export function conditionOf(r: RuleText): string {
  switch (r.kind) {
    case 'limit':
      return `${r.side === 'high' ? 'above' : 'below'} ${r.limit}${r.deadband ? `, deadband ${r.deadband}` : ''}`
    case 'physical':
      return `outside ${r.low} to ${r.high}`
    case 'consecutive':
      return `${r.readings} in a row ${r.side === 'high' ? 'above' : 'below'} ${r.limit}`
    case 'rapid_change':
      return `a step of more than ${r.limit}`
    case 'deviation':
      return `more than ${r.limit} from its baseline`
    case 'adaptive':
      return 'unlike anything it did before'
    case 'baseline':
      return 'unlike its recent past'
    case 'quality':
      return 'it sticks'
    case 'vibration':
      return `zone C or D of ${r.machine_class}`
    case 'energy':
      return 'unlike this hour of the week'
    case 'equipment':
      return 'the machine as a whole is unlike its baseline'
    case 'silence':
      return 'it says nothing for some of its own intervals'
  }
}
