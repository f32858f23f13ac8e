import { h, type Child, type Element } from './tree.ts'
import { measured } from './words.ts'

/** Small pictures drawn by the server as SVG: they work in print, without scripts, and cost under a kilobyte. */

/** Line of values, evenly spaced, oldest left; gaps stay gaps. */
export function sparkline(
  values: readonly (number | null)[],
  label: string,
  width = 120,
  height = 24,
): Element {
  const known = values.filter((v) => v !== null)
  const low = Math.min(...known)
  const high = Math.max(...known)
  const span = high - low || 1
  const step = width / Math.max(1, values.length - 1)
  let path = ''
  let pen = 'M'
  values.forEach((v, i) => {
    if (v === null) {
      pen = 'M'
      return
    }
    path += `${pen}${(i * step).toFixed(0)} ${(height - 2 - ((v - low) / span) * (height - 4)).toFixed(1)}`
    pen = 'L'
  })
  // A lone point has no line; a stroke of no length with round caps shows it.
  const lone = known.length === 1 ? path.replace(/M([\d.]+) ([\d.]+)$/, 'M$1 $2h0.1') : path
  const range = known.length === 0 ? 'no data' : `${measured(low)} to ${measured(high)}`
  return h(
    'svg',
    {
      class: 'spark',
      viewBox: `0 0 ${width} ${height}`,
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': `${label}: ${range}`,
    },
    known.length > 0 ? h('path', { d: lone }) : null,
  )
}

/**
 * Where a value stands between its limits: the normal band shaded, a tick for each limit, a mark for the value. The
 * scale reaches a tenth beyond the critical limit, and a value beyond it stands at the end.
 */
export function analogBar(input: {
  value: number
  low: number
  high: number
  warning: number | null
  critical: number | null
  tone: string
  label: string
}): Element {
  const { value, low, high, warning, critical, tone, label } = input
  const at = (v: number) => (Math.min(1, Math.max(0, (v - low) / (high - low || 1))) * 100).toFixed(1)
  const tick = (v: number | null, kind: string): Child =>
    v === null ? null : h('line', { class: kind, x1: at(v), x2: at(v), y1: 0, y2: 12 })
  return h(
    'svg',
    {
      class: `bar ${tone}`,
      viewBox: '0 0 100 12',
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': label,
    },
    h('rect', { class: 'scale', x: 0, y: 3, width: 100, height: 6 }),
    warning === null ? null : h('rect', { class: 'band', x: 0, y: 3, width: at(warning), height: 6 }),
    tick(warning, 'warning'),
    tick(critical, 'critical'),
    h('rect', { class: 'mark', x: (Number(at(value)) * 0.975).toFixed(1), y: 0, width: 2.5, height: 12 }),
  )
}
