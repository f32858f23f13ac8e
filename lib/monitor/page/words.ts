import { agoText, h, seconds as spanText, type Child, type Element } from './tree.ts'

/** How values are written on pages: unknown is a dash, never 0; every status has a shape, a word and a colour. */
export const DASH = '—'

/** A name that shows nothing still needs something to point at. */
export function visible(text: string): string {
  return /[\p{L}\p{N}\p{P}\p{S}]/u.test(text) ? text : '(blank)'
}

export function number(value: number | null | undefined, digits = 0): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH
  const text = value.toFixed(digits)
  const zero = Number(text) === 0 ? text.replace('-', '') : text
  const [whole = '', fraction] = zero.split('.')
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, '\u202f')
  return fraction === undefined ? grouped : `${grouped}.${fraction}`
}

export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined) return DASH
  return `${number(value, value < 10 ? 1 : 0)}/s`
}

export function milliseconds(value: number | null | undefined): string {
  if (value === null || value === undefined) return DASH
  if (value < 10) return `${value.toFixed(1)} ms`
  return value < 10_000 ? `${number(value)} ms` : `${number(value / 1000, 1)} s`
}

export function seconds(value: number | null | undefined): string {
  return value === null || value === undefined ? DASH : spanText(value)
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return DASH
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let size = value
  let unit = 0
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024
    unit++
  }
  return `${size.toFixed(size < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`
}

/** A measured value with the digits that its size deserves. */
export function measured(value: number | null | undefined): string {
  if (value === null || value === undefined) return DASH
  const size = Math.abs(value)
  if (size > 0 && size < 0.001) return String(Number(value.toPrecision(2)))
  return size >= 1e9 ? value.toExponential(3) : number(value, size >= 1000 ? 1 : size >= 1 ? 2 : 3)
}

/** A moment: UTC here, local time once the page's script runs, the UTC in the title. */
export function moment(iso: string | null): Child {
  if (iso === null) return DASH
  return h(
    'time',
    { datetime: iso, title: `${iso.slice(0, 19).replace('T', ' ')} UTC`, 'data-local': true },
    `${iso.slice(11, 19)} UTC`,
  )
}

/** How long ago; counts on by itself where scripts run. */
export function age(iso: string | null, now: number): Child {
  if (iso === null) return DASH
  return h('time', { datetime: iso, title: iso, 'data-age': true }, agoText(iso, now))
}

export type Tone = 'normal' | 'low' | 'warning' | 'critical' | 'stale'
const SHAPES: Record<Tone, string> = { normal: '○', low: '◇', warning: '▲', critical: '■', stale: '▨' }

export function status(tone: Tone, word: string, extra: Record<string, string> = {}): Element {
  return h(
    'span',
    { class: `status ${tone}`, ...extra },
    h('span', { class: 'shape', 'aria-hidden': 'true' }, SHAPES[tone]),
    ' ',
    word,
  )
}

export function toneOfMember(word: string): Tone {
  if (word === 'active' || word === 'standby' || word === 'finished') return 'normal'
  if (word === 'dead' || word === 'failed') return 'critical'
  if (word === 'stale' || word === 'paused' || word === 'blocked') return 'warning'
  return 'stale'
}

export function toneOfSeverity(severity: string): Tone {
  return severity === 'critical' ? 'critical' : severity === 'low' ? 'low' : 'warning'
}

export function toneOfLevel(level: string): Tone {
  return level === 'critical' ? 'critical' : level === 'warning' ? 'warning' : 'normal'
}
