import { energy, energyTotals, type EnergyRule } from '../detect/energy.ts'
import {
  MACHINE_CLASSES,
  trendOf,
  vibration,
  ZONES,
  zoneOf,
  type MachineClass,
  type Zone,
} from '../detect/vibration.ts'

/**
 * Where a sensor is going, from the hours of the roll-ups: the detectors themselves walk over them, so that a page says
 * what an alarm would. Vibration: its zone (ISO 20816) and when its trend reaches the next. Energy: kWh of the last 24
 * hours, and what it takes beyond the usual of its hours of the week while that lasts; both in money where a price is set.
 */
export interface Outlook {
  sensor_id: string
  kind: 'vibration' | 'energy'
  /** one sentence for people */
  text: string
  zone: Zone | null
  /** null: no trend, or a falling one */
  next_zone: Zone | null
  days_to_next_zone: number | null
  kwh_last_day: number | null
  cost_last_day: number | null
  /** kWh and money over (or under) the usual since it became unusual; null: it is usual, or not known yet */
  excess_kwh: number | null
  excess_cost: number | null
}

/** One hour of one sensor; `at`: its beginning, milliseconds since 1970. */
export interface Hour {
  at: number
  mean: number
}

const HOUR_MS = 3_600_000
/** later than that nothing is foretold from three days */
const MOST_DAYS = 365
const LEARNS_HOURS = 72
const NOTHING = {
  zone: null,
  next_zone: null,
  days_to_next_zone: null,
  kwh_last_day: null,
  cost_last_day: null,
  excess_kwh: null,
  excess_cost: null,
}

/** `hours`: of one sensor, oldest first, not empty */
export function vibrationOutlook(
  sensorId: string,
  hours: readonly Hour[],
  machineClass: MachineClass,
): Outlook {
  const state = vibration.create()
  const rule = { machineClass, horizonMicros: 0 }
  for (const { at, mean } of hours) vibration.step(state, { at: at * 1000, value: mean, quality: 1 }, rule)
  const zone = zoneOf(state)
  const next = ZONES[ZONES.indexOf(zone) + 1] ?? null
  const limit = MACHINE_CLASSES[machineClass][ZONES.indexOf(zone)]
  const trend = trendOf(state)
  const perDay = trend === null ? null : trend.perHour * 24
  const value = hours.at(-1)?.mean ?? 0
  const days =
    perDay !== null && perDay > 0 && limit !== undefined ? Math.max(0, limit - value) / perDay : Infinity
  const isForetold = next !== null && days <= MOST_DAYS
  return {
    ...NOTHING,
    sensor_id: sensorId,
    kind: 'vibration',
    zone,
    next_zone: isForetold ? next : null,
    days_to_next_zone: isForetold ? days : null,
    text: `By the hour in zone ${zone}${isForetold ? `: at its pace of three days it reaches zone ${next} in about ${inDays(days)}` : `. ${steadiness(hours, perDay)}`}`,
  }
}

function steadiness(hours: readonly Hour[], perDay: number | null): string {
  if (spanOf(hours) < LEARNS_HOURS) return 'A trend is told after three days'
  return perDay !== null && perDay < 0 ? 'It is falling' : 'It shows no trend'
}

/** The same for power in kW; `kwh`: what was measured in the last 24 hours. */
export function energyOutlook(
  sensorId: string,
  hours: readonly Hour[],
  rule: EnergyRule,
  kwh: number,
): Outlook {
  const state = energy.create()
  let isUnusual = false
  for (const { at, mean } of hours)
    for (let part = 0; part < 6; part++) {
      const sample = { at: (at + (part * HOUR_MS) / 6) * 1000, value: mean, quality: 1 }
      isUnusual = energy.step(state, sample, rule).active
    }
  const cost = (of: number) => (rule.pricePerKwh === null ? null : of * rule.pricePerKwh)
  const excess = isUnusual ? energyTotals(state).excessKwh : null
  const excessCost = excess === null ? null : cost(excess)
  const usual =
    excess !== null
      ? `${amount(Math.abs(excess), excessCost)} ${excess >= 0 ? 'more' : 'less'} than usual for these hours of the week`
      : spanOf(hours) < LEARNS_HOURS
        ? 'What is usual is told after three days'
        : 'As usual for this hour of the week'
  return {
    ...NOTHING,
    sensor_id: sensorId,
    kind: 'energy',
    kwh_last_day: kwh,
    cost_last_day: cost(kwh),
    excess_kwh: excess,
    excess_cost: excessCost,
    text: `${amount(kwh, cost(kwh))} in the last 24 hours. ${usual}`,
  }
}

function spanOf(hours: readonly Hour[]): number {
  return ((hours.at(-1)?.at ?? 0) - (hours[0]?.at ?? 0)) / HOUR_MS
}

function inDays(days: number): string {
  if (days < 1) return `${Math.max(1, Math.round(days * 24))} h`
  return `${Math.round(days)} ${Math.round(days) === 1 ? 'day' : 'days'}`
}

function amount(kwh: number, cost: number | null): string {
  const rounded = kwh >= 100 ? kwh.toFixed(0) : kwh.toFixed(1)
  return `${rounded} kWh${cost === null ? '' : ` (${Math.abs(cost).toFixed(2)} in money)`}`
}
