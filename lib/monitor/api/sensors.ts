import { z } from 'zod'
import type { Sql } from '../../db/connect.ts'
import { flagNames } from '../../ingest/flags.ts'
import * as answers from '../answers/sensors.ts'
import { cursorParameter, encodeCursor, limitParameter, nameParameter, timeParameter } from '../cursor.ts'
import { endpoint, type AnyEndpoint } from '../endpoint.ts'
import { presentAlert } from '../present.ts'
import { Problem } from '../problem.ts'
import { listAlarms } from '../questions/alarm-list.ts'
import { RESOLUTIONS, resolutionFor, series } from '../questions/series.ts'
import { OUTLOOK_FRESH_MS, outlooks } from '../questions/outlook.ts'
import type { Recall } from '../recall.ts'
import { worst } from '../section.ts'
import type { Sensor, Snapshot } from '../snapshot.ts'

export interface SensorOptions {
  current: () => Snapshot
  sql: () => Sql
  recall: Recall
  clock: () => number
}

export const RANGES = ['10m', '1h', '6h', '24h', '7d', '30d'] as const
const SPANS_MS = {
  '10m': 600_000,
  '1h': 3_600_000,
  '6h': 21_600_000,
  '24h': 86_400_000,
  '7d': 604_800_000,
  '30d': 2_592_000_000,
}
const SORTS = ['sensor_id', 'machine_id', 'zone', 'timestamp', 'value', 'alert_level'] as const
const LEVEL_RANK = { normal: 0, warning: 1, critical: 2 }
/** Ten years: beyond that no roll-up row can exist. */
const MOST_SPAN_MS = 10 * 366 * 86_400_000

export function sensorEndpoints({ current, sql, recall, clock }: SensorOptions): AnyEndpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/api/sensors',
      tag: 'sensors',
      summary: 'Every sensor with its newest reading, limits and open alarms',
      query: z.object({
        sensor_type: nameParameter.optional(),
        machine_id: nameParameter.optional(),
        zone: nameParameter.optional(),
        alert_level: z.enum(['normal', 'warning', 'critical']).optional(),
        silent: z.enum(['true', 'false']).optional(),
        sort: z.enum(SORTS).default('sensor_id'),
        order: z.enum(['asc', 'desc']).default('asc'),
        limit: limitParameter,
        cursor: cursorParameter,
      }),
      answer: answers.sensorList,
      handle({ query: q }) {
        const s = current().sensors
        const found = (s.data ?? []).filter(
          (x) =>
            (q.sensor_type === undefined || x.sensor_type === q.sensor_type) &&
            (q.machine_id === undefined || x.machine_id === q.machine_id) &&
            (q.zone === undefined || x.zone === q.zone) &&
            (q.alert_level === undefined || x.alert_level === q.alert_level) &&
            (q.silent === undefined || x.silent === (q.silent === 'true')),
        )
        const sorted = found.sort((a, b) => compare(a, b, q.sort) * (q.order === 'asc' ? 1 : -1))
        // Sorted by a value that moves, a page begins after the sensor that ended the last one.
        const start = q.cursor === null ? 0 : sorted.findIndex((x) => x.sensor_id === q.cursor?.id) + 1
        const page = sorted.slice(start, start + q.limit)
        const last = page.at(-1)
        return {
          status: s.status,
          as_of: s.as_of,
          error: s.error,
          sensors: page.map(presentSensor),
          total: found.length,
          next_cursor:
            last && start + page.length < found.length
              ? encodeCursor({ value: '', id: last.sensor_id })
              : null,
        }
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/sensors/:sensor_id',
      tag: 'sensors',
      summary: 'One sensor, where it is going (vibration, energy), and its newest alarms',
      params: z.object({ sensor_id: nameParameter }),
      answer: answers.oneSensor,
      async handle({ params }) {
        const s = current().sensors
        const found = s.data?.find((x) => x.sensor_id === params.sensor_id)
        if (!found && s.data !== null)
          throw new Problem(404, 'Not found', 'No reading of that sensor was ever stored')
        const alarms = await recall(`alarms of ${params.sensor_id}`, () =>
          listAlarms(sql(), {
            state: 'all',
            sensor_id: params.sensor_id,
            sort: 'timestamp',
            order: 'desc',
            limit: 20,
            cursor: null,
          }),
        )
        const outlook = await recall(
          `outlook sensor:${params.sensor_id}`,
          () => outlooks(sql(), found ? [found] : []),
          OUTLOOK_FRESH_MS,
        )
        return {
          ...worst(s, alarms),
          sensor: found ? presentSensor(found) : null,
          outlook: outlook.data ?? [],
          alarms: (alarms.data ?? [])
            .slice(0, 20)
            .map(({ cursor_value: _, ...a }) => presentAlert(a, clock())),
        }
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/series',
      tag: 'sensors',
      summary: 'One sensor over time; the roll-up (minute, hour, day) is chosen by the range',
      query: z.object({
        sensor_id: nameParameter,
        from: timeParameter.optional().meta({ description: 'event time; default one hour before `to`' }),
        to: timeParameter.optional().meta({ description: 'default now' }),
        last: z.enum(RANGES).optional().meta({ description: 'instead of from: this long before `to`' }),
        points: z.coerce.number().int().min(2).max(5000).default(600),
        resolution: z.enum(['auto', ...RESOLUTIONS]).default('auto'),
      }),
      answer: answers.series,
      async handle({ query: q }) {
        if (q.from !== undefined && q.last !== undefined) {
          throw new Problem(422, 'Query not understood', undefined, [
            { field: 'last', message: 'stands instead of `from`: give one of them' },
          ])
        }
        const to = q.to === undefined ? clock() : Date.parse(q.to)
        const from = q.from === undefined ? to - SPANS_MS[q.last ?? '1h'] : Date.parse(q.from)
        if (!(from < to) || to - from > MOST_SPAN_MS) {
          throw new Problem(422, 'Query not understood', undefined, [
            { field: 'from', message: 'must lie before `to`, at most ten years' },
          ])
        }
        const resolution = q.resolution === 'auto' ? resolutionFor(from, to, q.points, clock()) : q.resolution
        const known = current().sensors.data?.find((x) => x.sensor_id === q.sensor_id)
        const input = {
          sensorId: q.sensor_id,
          from: new Date(from),
          to: new Date(to),
          points: q.points,
          resolution,
        }
        const found = await recall(
          `series ${q.sensor_id} ${q.from} ${q.to} ${q.last} ${q.points} ${resolution}`,
          () => series(sql(), input),
        )
        return {
          status: found.status,
          as_of: found.as_of,
          error: found.error,
          sensor_id: q.sensor_id,
          unit: known?.unit ?? null,
          resolution,
          from: new Date(from).toISOString(),
          to: new Date(to).toISOString(),
          points: found.data ?? [],
        }
      },
    }),
  ]
}

function compare(a: Sensor, b: Sensor, sort: (typeof SORTS)[number]): number {
  const tie = a.sensor_id.localeCompare(b.sensor_id)
  if (sort === 'value') return a.value - b.value || tie
  if (sort === 'alert_level') return LEVEL_RANK[a.alert_level] - LEVEL_RANK[b.alert_level] || tie
  return a[sort].localeCompare(b[sort]) || tie
}

export function presentSensor(x: Sensor): z.infer<typeof answers.sensor> {
  return {
    sensor_id: x.sensor_id,
    sensor_type: x.sensor_type,
    unit: x.unit,
    location: { factory_section: x.factory_section, machine_id: x.machine_id, zone: x.zone },
    value: x.value,
    alert_level: x.alert_level,
    quality: x.quality,
    flags: flagNames(x.flags),
    timestamp: x.timestamp,
    updated_at: x.updated_at,
    topic: x.topic,
    partition: x.partition,
    offset: x.offset,
    readings: x.readings,
    interval_s: x.interval_s,
    silent: x.silent,
    limits: {
      low_critical: x.low_critical,
      low_warning: x.low_warning,
      warning: x.warning,
      critical: x.critical,
    },
    open_alarms: x.open_alarms,
    out_of_service: x.out_of_service,
    iso_zone: x.iso_zone,
  }
}
