import { expect, test } from 'bun:test'
import { judgeMinutes, MINUTE, type Machine } from '../../lib/alarm/machine.ts'
import { bookOfFile } from '../../lib/alarm/books.ts'
import { parseBook } from '../../lib/alarm/rulebook.ts'
import { createRules } from '../../lib/alarm/rules.ts'
import { parseConfig } from '../../lib/config.ts'
import { equipment } from '../../lib/detect/equipment.ts'
import { createPlant, plantOptions } from '../../lib/fleet/plant.ts'
import type { Reading } from '../../lib/reading.ts'

/** The rule book as it is shipped, on a plant with daily rounds and weekends that measures every ten seconds. */
const config = parseConfig({ SAMPLING_INTERVAL: '10s' })
const rules = createRules(1, parseBook(bookOfFile(config), config.RULES_FILE))
const DAY = 1440 * MINUTE
const THURSDAY = 20_000 * DAY - ((20_000 * DAY) % (7 * DAY))

function watch(seed: string, days: number, change: (reading: Reading, day: number) => number) {
  const rule = rules.ofMachine('machine-001')!
  const plant = createPlant({ ...plantOptions(config), seed, faults: 'none', sensorsPerType: 1 })
  const minutes = new Map<number, Map<string, { total: number; readings: number }>>()
  for (const { reading } of plant.between(THURSDAY, THURSDAY + days * DAY)) {
    const { sensorId, sensorType, location, measuredAt } = reading
    if (location.machineId !== 'machine-001' || !rule.applies.sensor_types?.includes(sensorType)) continue
    const at = measuredAt - (measuredAt % MINUTE)
    if (!minutes.has(at)) minutes.set(at, new Map())
    const means = minutes.get(at)!
    const mean = means.get(sensorId) ?? { total: 0, readings: 0 }
    mean.total += change(reading, (at - THURSDAY) / DAY)
    mean.readings++
    means.set(sensorId, mean)
  }
  const machine: Machine = {
    factorySection: 'production',
    machineId: 'machine-001',
    channels: [],
    state: equipment(0).create(),
    commissioning: rule.commissioning,
    open: null,
    peak: 0,
    score: 0,
  }
  const stretches = [...minutes].map(([at, sums]) => ({
    at,
    means: new Map([...sums].map(([id, { total, readings }]) => [id, total / readings])),
  }))
  const { raised } = judgeMinutes(machine, stretches, rule, 1, 'test')
  return raised.map((alarm) => ({
    day: (alarm.offset * MINUTE - THURSDAY) / DAY,
    said: alarm.description,
  }))
}

test('a healthy machine is quiet for a week and its weekend', () => {
  for (const seed of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
    expect({ seed, raised: watch(seed, 8, (r) => r.value) }).toEqual({ seed, raised: [] })
}, 60_000)

test('vibration that doubles for good is told within a day, and named; no limit has spoken yet', () => {
  const worn = watch('a', 4, (r, day) => (day > 2 && r.sensorType === 'vibration' ? r.value + 2 : r.value))
  expect(worn[0]?.day).toBeGreaterThan(2)
  expect(worn[0]?.day).toBeLessThan(3)
  expect(worn[0]?.said).toContain('vibration-sensor-001')
}, 60_000)
