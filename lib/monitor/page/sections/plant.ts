import type { Sensor, Snapshot } from '../../snapshot.ts'
import { analogBar, sparkline } from '../chart.ts'
import { empty, panel } from '../panel.ts'
import { h, type Element } from '../tree.ts'
import { age, measured, number, status, toneOfLevel, visible, type Tone } from '../words.ts'

/** So many sensors are drawn where there are more than a small plant has: the page stays under 60 KB with a thousand. */
const DRAWN = 24
const SMALL_PLANT = 30

/** Section 6: every sensor against its own limits, by zone and machine; the abnormal first where not all fit. */
export function plant(s: Snapshot, now: number): Element {
  const all = s.sensors.data ?? []
  const shown =
    all.length <= SMALL_PLANT ? all : [...all].sort((a, b) => weight(b) - weight(a)).slice(0, DRAWN)
  const zones = Map.groupBy(shown, (x) => x.zone)
  return panel(
    'sensors',
    'Sensors',
    s.sensors,
    now,
    all.length === 0 ? empty('No reading has been stored yet.') : null,
    all.length > SMALL_PLANT
      ? h(
          'p',
          { key: 'cut' },
          `${DRAWN} of ${number(all.length)} sensors, the abnormal first. `,
          h('a', { href: '/sensors' }, 'All sensors'),
        )
      : null,
    [...zones]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([zone, list]) =>
        h(
          'div',
          { class: 'zone', key: `zone ${zone}` },
          h('h3', null, zone === '' ? 'no zone' : visible(zone)),
          h(
            'ul',
            { class: 'sensors' },
            list.map((x) => sensorTile(x, now)),
          ),
        ),
      ),
  )
}

function weight(x: Sensor): number {
  return (
    x.open_alarms * 10 +
    (x.alert_level === 'critical' ? 5 : x.alert_level === 'warning' ? 3 : 0) +
    (x.silent ? 4 : 0)
  )
}

/** ISO 20816, as a person who walks past would want it said */
const ZONE_MEANS = {
  A: 'Zone A: as new',
  B: 'Zone B: fit for long operation',
  C: 'Zone C: not for long, plan work',
  D: 'Zone D: does damage',
}

const tiles = new WeakMap<Sensor, Element>()

/** A sensor that did not change is the same object, and so is its tile: comparing them costs nothing. */
export function sensorTile(x: Sensor, now: number): Element {
  const known = tiles.get(x)
  if (known) return known
  const tile = drawTile(x, now)
  tiles.set(x, tile)
  return tile
}

function drawTile(x: Sensor, now: number): Element {
  const tone: Tone = x.silent || x.out_of_service ? 'stale' : toneOfLevel(x.alert_level)
  const word = x.out_of_service ? 'out of service' : x.silent ? 'silent' : x.alert_level
  const known = x.trend.filter((v) => v !== null)
  const scale = scaleOf(x, known)
  return h(
    'li',
    { class: `sensor ${tone}`, key: x.sensor_id },
    h('a', { href: `/sensors/${encodeURIComponent(x.sensor_id)}`, class: 'name' }, x.sensor_id),
    h(
      'span',
      { class: 'machine' },
      `${x.machine_id} · ${x.sensor_type === 'energy' ? 'power' : x.sensor_type}`,
      x.iso_zone === null
        ? null
        : [' · ', h('abbr', { title: ZONE_MEANS[x.iso_zone] }, `zone ${x.iso_zone}`)],
    ),
    h('span', { class: 'value' }, `${measured(x.value)} ${x.unit}`),
    status(tone, word),
    x.silent
      ? h(
          'svg',
          { class: 'bar stale', viewBox: '0 0 100 12', role: 'img', 'aria-label': 'no current value' },
          h('rect', { class: 'scale', x: 0, y: 3, width: 100, height: 6 }),
        )
      : analogBar({
          value: x.value,
          ...scale,
          warning: x.warning,
          critical: x.critical,
          tone,
          label: `${measured(x.value)} ${x.unit}, warning at ${measured(x.warning)}, critical at ${measured(x.critical)}`,
        }),
    sparkline(x.trend, 'last 15 minutes'),
    h(
      'span',
      { class: 'seen' },
      age(x.updated_at, now),
      x.open_alarms > 0 ? ` · ${x.open_alarms} alarm${x.open_alarms > 1 ? 's' : ''}` : null,
    ),
  )
}

/** From the lowest seen (or below the warning limit) to a tenth beyond the critical one. */
function scaleOf(x: Sensor, known: readonly number[]): { low: number; high: number } {
  const seenLow = Math.min(x.value, ...known)
  const seenHigh = Math.max(x.value, ...known)
  if (x.critical === null) return { low: seenLow, high: seenHigh === seenLow ? seenLow + 1 : seenHigh }
  const warning = x.warning ?? x.critical
  const room = Math.max(x.critical - warning, Math.abs(x.critical) * 0.02)
  const low = Math.min(seenLow, warning - 4 * room)
  return { low, high: x.critical + Math.max(room * 0.5, (x.critical - low) * 0.1) }
}
