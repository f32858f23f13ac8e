import type { Around } from '../questions/around.ts'
import { h, type Child, type Element } from './tree.ts'
import { measured, moment } from './words.ts'

const WIDTH = 600
const HEIGHT = 120

/**
 * The minutes around an alarm as a picture: the readings by their time, an upright line where it was raised, a level one
 * for each limit in force. What it shows stands beside it in words, for who can't see it.
 */
export function aroundPicture(around: Around, raisedAt: string, limits: readonly number[]): Child {
  const { points, from, to, sensor_id } = around
  if (points.length === 0) return null
  const [start, end] = [Date.parse(from), Date.parse(to)]
  const all = [...points.flatMap((p) => [p.min, p.max]), ...limits]
  const [low, high] = [Math.min(...all), Math.max(...all)]
  const x = (at: string) => (((Date.parse(at) - start) / (end - start)) * WIDTH).toFixed(1)
  const y = (value: number) => (HEIGHT - 4 - ((value - low) / (high - low || 1)) * (HEIGHT - 8)).toFixed(1)
  const line = points.map((p, i) => `${i === 0 ? 'M' : 'L'}${x(p.at)} ${y(p.mean)}`).join('')
  const values = points.map((p) => p.mean)
  const said = `${sensor_id} from five minutes before the alarm to five minutes after it: ${measured(Math.min(...values))} to ${measured(Math.max(...values))}`
  return h(
    'div',
    { class: 'around' },
    h(
      'svg',
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': said },
      limits.map((limit) => h('line', { class: 'limit', x1: 0, x2: WIDTH, y1: y(limit), y2: y(limit) })),
      h('line', { class: 'raised', x1: x(raisedAt), x2: x(raisedAt), y1: 0, y2: HEIGHT }),
      h('path', { d: points.length === 1 ? `${line}h0.1` : line }),
    ),
    caption(around, raisedAt, said),
  )
}

function caption({ from, to }: Around, raisedAt: string, said: string): Element {
  return h('p', null, said, '. ', moment(from), ' to ', moment(to), ', raised at ', moment(raisedAt), '.')
}
