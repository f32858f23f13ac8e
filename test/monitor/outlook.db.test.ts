import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { bookOfFile, proposeBook } from '../../lib/alarm/books.ts'
import { parseConfig } from '../../lib/config.ts'
import { DEFAULT_ENERGY_RULE } from '../../lib/detect/energy.ts'
import { energyOutlook, vibrationOutlook, type Hour } from '../../lib/monitor/outlook.ts'
import { STACK_MS } from '../stack.ts'
import { fillPlant } from './plant.ts'
import { openRoom, type Room } from './room.ts'

const HOUR_MS = 3_600_000
const START = Date.UTC(2026, 0, 5) // a Monday

/** So many hours, each with its value. */
const hours = (count: number, value: (hour: number) => number): Hour[] =>
  Array.from({ length: count }, (_, i) => ({ at: START + i * HOUR_MS, mean: value(i) }))

describe('vibrationOutlook()', () => {
  const outlook = (list: Hour[]) => vibrationOutlook('v', list, 'group-2-flexible') // 2.3, 4.5, 7.1

  test.each([
    [
      1,
      'one that rises tells when it reaches the next zone',
      120,
      (h: number) => 2.5 + h * 0.005,
      'B',
      'C',
      11.7,
    ],
    [2, 'one that is steady tells no day', 120, (h: number) => 3 + (h % 2) * 0.1, 'B', null, null],
    [3, 'one that falls tells no day', 120, (h: number) => 4 - h * 0.01, 'B', null, null],
    [4, 'two days are too short for a trend', 48, (h: number) => 2.5 + h * 0.02, 'B', null, null],
    [5, 'what takes years is no trend', 120, (h: number) => 2.5 + h * 0.00005, 'B', null, null],
    [6, 'the last zone has no next', 120, (h: number) => 8 + h * 0.01, 'D', null, null],
  ] as const)('case %i: %s', (_case, _words, count, value, zone, next, days) => {
    const seen = outlook(hours(count, value))
    expect([seen.zone, seen.next_zone]).toEqual([zone, next])
    if (days === null) expect(seen.days_to_next_zone).toBeNull()
    else expect(seen.days_to_next_zone).toBeCloseTo(days, 0)
  })

  test('says it in words', () => {
    expect(outlook(hours(120, (h) => 2.5 + h * 0.005)).text).toBe(
      'By the hour in zone B: at its pace of three days it reaches zone C in about 12 days',
    )
    expect(outlook(hours(48, () => 3)).text).toBe('By the hour in zone B. A trend is told after three days')
  })
})

describe('energyOutlook()', () => {
  const usual = (h: number) => (h % 24 >= 6 && h % 24 < 18 ? 100 : 40)
  const rule = { ...DEFAULT_ENERGY_RULE, pricePerKwh: 0.25 }
  const wasting = hours(24 * 15, (h) => usual(h) + (h % 3) * 0.5 + (h >= 24 * 15 - 5 ? 60 : 0))

  test('tells what is wasted in kWh, and in money where there is a price', () => {
    const seen = energyOutlook('e', wasting, rule, 1980)
    // four hours are over, the fifth is under way
    expect(seen.excess_kwh).toBeCloseTo(240, -1)
    expect(seen.excess_cost).toBeCloseTo((seen.excess_kwh ?? 0) * 0.25, 6)
    expect(seen.cost_last_day).toBeCloseTo((seen.kwh_last_day ?? 0) * 0.25, 6)
    expect(seen.text).toMatch(
      /^\d+ kWh \([\d.]+ in money\) in the last 24 hours\. 2\d\d kWh \([\d.]+ in money\) more than usual/,
    )
    const unpriced = energyOutlook('e', wasting, DEFAULT_ENERGY_RULE, 1980)
    expect([unpriced.excess_cost, unpriced.cost_last_day, unpriced.text.includes('money')]).toEqual([
      null,
      null,
      false,
    ])
  })

  test('says nothing of what is usual, and of what is not known yet', () => {
    const calm = energyOutlook('e', wasting.slice(0, -5), rule, 1680)
    expect([calm.excess_kwh, calm.excess_cost]).toEqual([null, null])
    expect([calm.kwh_last_day, calm.cost_last_day]).toEqual([1680, 420])
    expect(energyOutlook('e', wasting.slice(0, 30), rule, 0).text).toContain('told after three days')
  })
})

describe('on the monitor', () => {
  let room: Room
  beforeAll(async () => {
    room = await openRoom()
    await fillPlant(room.sql, { sensors: 5 })
    await proposeBook(room.sql, bookOfFile(parseConfig({ ENERGY_PRICE_PER_KWH: '0.25' })), 'test', '')
    // four weeks to the hour under way: vibration wears, power takes 60 kW too much for five hours
    await room.sql`
      insert into readings_1h (sensor_key, bucket, readings, total, lowest, highest, warnings, criticals)
      select k.sensor_key, b, 60, 60 * case k.sensor_type
          when 'vibration' then 4.2 - age * 0.005
          else 50 + (extract(hour from b)::int % 4) * 10 + (extract(day from b)::int % 3) + case when age < 5 then 60 else 0 end end,
        0, 0, 0, 0
      from generate_series(date_trunc('hour', now()) - interval '28 days', date_trunc('hour', now()), interval '1 hour') b
      cross join lateral (select extract(epoch from date_trunc('hour', now()) - b) / 3600 as age) a
      join sensors k on k.sensor_type in ('vibration', 'energy')`
    // 90 kW for half an hour, nothing for two hours, 30 kW for ten minutes: a pause is filled for ten minutes at most
    await room.sql`create table readings_1m_all partition of readings_1m default`
    await room.sql`
      insert into readings_1m (sensor_key, bucket, readings, total, lowest, highest, warnings, criticals)
      select k.sensor_key, date_trunc('minute', now()) - make_interval(mins => m), 6, 6 * case when m > 100 then 90 else 30 end, 0, 0, 0, 0
      from generate_series(1, 180) m join sensors k on k.sensor_type = 'energy' where m between 151 and 180 or m between 1 and 10`
    for (let i = 0; i < 3; i++) await room.sampler.sampleOnce()
  }, STACK_MS)
  afterAll(() => room?.close())

  test('the API and the pages of sensor and machine tell zone and days, kWh and money', async () => {
    const { sensors } = await room.json('/api/sensors')
    const of = (type: string) => sensors.find((x: any) => x.sensor_type === type)
    const { outlook: vibration } = await room.json(`/api/sensors/${of('vibration').sensor_id}`)
    expect(vibration).toEqual([
      expect.objectContaining({
        kind: 'vibration',
        zone: 'B',
        next_zone: 'C',
        days_to_next_zone: expect.closeTo(2.5, 0),
      }),
    ])
    const { outlook: energy } = await room.json(`/api/sensors/${of('energy').sensor_id}`)
    // 29 minutes of 90 kW and ten more of holding it, ten minutes of 30 kW
    expect(energy[0].kwh_last_day).toBeCloseTo((39 * 90 + 10 * 30) / 60, 6)
    expect(energy[0].excess_kwh).toBeGreaterThan(200)
    expect(energy[0].excess_cost).toBeCloseTo(energy[0].excess_kwh * 0.25, 6)
    const page = await (await room.get(`/sensors/${of('vibration').sensor_id}`)).text()
    expect(page).toMatch(/reaches zone C in about \d days/)
    for (const type of ['vibration', 'energy']) {
      const machine = await (await room.get(`/machines/${of(type).location.machine_id}`)).text()
      expect(machine).toContain(type === 'vibration' ? 'reaches zone C' : 'in money) more than usual')
    }
    expect(await (await room.get(`/sensors/${of('temperature').sensor_id}`)).text()).not.toContain('Outlook')
  })
})
