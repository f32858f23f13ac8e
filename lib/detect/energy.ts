import { IGNORED, QUIET, type Detector, type Reason, type Sample, type Verdict } from './detector.ts'
import type { Micros } from '../time.ts'
import { kept } from './layout.ts'

/**
 * Power (kW) against the sensor's own week: what this hour of this weekday usually takes, how far hours usually stray
 * from that, and what the difference adds up to in kWh and, with a price, in money. An hour is judged when it is over and
 * at least half of it was measured; the alarm lasts until an hour is usual again.
 *
 * An hour of the week that has not come round yet is compared with the same hour of all days seen, and only for taking
 * more than any of them: the first day off is no fault. In the first three days nothing is said. While an alarm is open
 * the week learns an eighth as fast, so that waste does not become the pattern.
 */
export interface EnergyRule {
  /** usual strays beyond which an hour is unusual */
  readonly threshold: number
  /** and at least this share of what is usual, so that a very regular load does not alarm for nothing */
  readonly leastShare: number
  /** money a kWh; null: not known */
  readonly pricePerKwh: number | null
  readonly utcOffsetMinutes: number
}
export const DEFAULT_ENERGY_RULE: EnergyRule = {
  threshold: 5,
  leastShare: 0.1,
  pricePerKwh: null,
  utcOffsetMinutes: 0,
}

export interface EnergyState {
  readonly bytes: Uint8Array
  readonly numbers: Float64Array
  /** usual kW of each hour of the week, then in how many weeks it was seen */
  readonly week: Float32Array
}

const HOUR = 3600e6
const HOURS = 168
const LEARN = 0.25
const LEARN_IN_ALARM = 1 / 8
/** a gap longer than this is not filled with the last value */
const LONGEST_HOLD = 600e6
const SETTLE_HOURS = 72

const LAST_AT = 0
const COUNT = 1
const POWER = 2
const HOUR_NUMBER = 3
/** of the hour under way: kW × µs, and µs measured */
const WORK = 4
const MEASURED = 5
const STRAY = 6
const JUDGED = 7
const ACTIVE = 8
const EXCESS_KWH = 9
const TOTAL_KWH = 10
const FIELDS = 11
const BYTES = 8 * FIELDS + 8 * HOURS

export const energy: Detector<EnergyState, EnergyRule> = {
  name: 'energy',
  ...kept(1, { size: BYTES, at: layOut }),
  step,
}

function layOut(buffer: ArrayBuffer, offset: number): EnergyState {
  return {
    bytes: new Uint8Array(buffer, offset, BYTES),
    numbers: new Float64Array(buffer, offset, FIELDS),
    week: new Float32Array(buffer, offset + 8 * FIELDS, 2 * HOURS),
  }
}

function step(state: EnergyState, { at, value }: Sample, rule: EnergyRule): Verdict {
  const s = state.numbers
  const hour = Math.floor((at / 60e6 + rule.utcOffsetMinutes) / 60)
  if (s[COUNT]! === 0) {
    begin(s, at, value, hour)
    return QUIET
  }
  if (!(at > s[LAST_AT]!)) return IGNORED
  // the hour's share of the time since the last reading, at the power of that reading
  const offset = rule.utcOffsetMinutes * 60e6
  const held = Math.min(at - s[LAST_AT]!, LONGEST_HOLD)
  const hourEnd = (s[HOUR_NUMBER]! + 1) * HOUR - offset
  const inHour = Math.min(held, Math.max(0, hourEnd - s[LAST_AT]!))
  add(s, s[POWER]!, inHour)
  let verdict: Verdict | null = null
  if (hour > s[HOUR_NUMBER]!) {
    verdict = judge(state, rule)
    s[HOUR_NUMBER] = hour
    s[WORK] = s[MEASURED] = 0
    add(s, s[POWER]!, Math.min(held - inHour, at - (hour * HOUR - offset)))
  }
  s[LAST_AT] = at
  s[POWER] = value
  s[COUNT]! += 1
  if (verdict) return verdict
  return s[ACTIVE] === 1 ? { ...QUIET, active: true, part: 'pattern', expected: usual(state, hour) } : QUIET
}

/** kWh over (or under) the usual since the open alarm began, and all kWh measured. */
export function energyTotals({ numbers: s }: EnergyState): { excessKwh: number; totalKwh: number } {
  return { excessKwh: s[EXCESS_KWH]!, totalKwh: s[TOTAL_KWH]! }
}

function begin(s: Float64Array, at: Micros, value: number, hour: number): void {
  s[LAST_AT] = at
  s[COUNT] = 1
  s[POWER] = value
  s[HOUR_NUMBER] = hour
}

function add(s: Float64Array, power: number, micros: Micros): void {
  if (micros <= 0) return
  s[WORK]! += power * micros
  s[MEASURED]! += micros
  s[TOTAL_KWH]! += (power * micros) / HOUR
}

/** The hour that is over against the week; then the week learns it. */
function judge(state: EnergyState, rule: EnergyRule): Verdict {
  const { numbers: s, week } = state
  if (s[MEASURED]! < HOUR / 2) return s[ACTIVE] === 1 ? { ...QUIET, active: true, part: 'pattern' } : QUIET
  const hour = s[HOUR_NUMBER]!
  const mean = s[WORK]! / s[MEASURED]!
  const slot = slotOf(hour)
  const known = week[HOURS + slot]! > 0
  const days = known ? [week[slot]!] : daysSeen(state, hour)
  const expected =
    days.length > 0 ? days.reduce((a, b) => (Math.abs(mean - b) < Math.abs(mean - a) ? b : a)) : null
  const off = expected === null ? 0 : mean - expected
  const beyond = known || days.every((day) => mean > day) ? off : 0
  const stray = s[STRAY]!
  const judged = s[JUDGED]!
  const unusual =
    expected !== null &&
    judged >= SETTLE_HOURS &&
    Math.abs(beyond) > rule.threshold * stray &&
    Math.abs(beyond) > rule.leastShare * Math.abs(expected)
  const wasActive = s[ACTIVE] === 1
  const began = unusual && !wasActive
  const size = stray > 0 ? Math.abs(beyond) / stray : 0
  if (began) s[EXCESS_KWH] = 0
  s[ACTIVE] = unusual ? 1 : 0
  if (unusual) s[EXCESS_KWH]! += off * (s[MEASURED]! / HOUR)

  const seen = week[HOURS + slot]!
  const rate = seen === 0 ? 1 : Math.max(LEARN, 1 / (seen + 1)) * (unusual ? LEARN_IN_ALARM : 1)
  week[slot] = seen === 0 ? mean : week[slot]! + rate * (mean - week[slot]!)
  week[HOURS + slot] = Math.min(seen + 1, 50)
  if (expected !== null) {
    const most = judged < SETTLE_HOURS ? Infinity : 4 * stray
    s[STRAY]! += Math.max(0.02, 1 / (judged + 1)) * (Math.min(Math.abs(off), most) - stray)
    s[JUDGED]! += 1
  }
  const kwh = s[EXCESS_KWH]!
  if (wasActive && !unusual) return { ...QUIET, reasons: excess(kwh, rule) }
  if (expected === null || !unusual) return QUIET
  return {
    ...QUIET,
    score: began ? 1 - 2 ** (-size / rule.threshold) : 0,
    active: true,
    part: 'pattern',
    expected,
    low: expected - rule.threshold * stray,
    high: expected + rule.threshold * stray,
    reasons: [{ part: 'pattern', size: mean, usual: expected, p: null }, ...excess(kwh, rule)],
  }
}

/** Usual kW of an hour: the same hour of the week, else of the day before, else null. */
function usual({ week }: EnergyState, hour: number): number | null {
  const slot = slotOf(hour)
  if (week[HOURS + slot]! > 0) return week[slot]!
  const yesterday = slotOf(hour - 24)
  return week[HOURS + yesterday]! > 0 ? week[yesterday]! : null
}

function excess(kwh: number, { pricePerKwh }: EnergyRule): Reason[] {
  const energy: Reason = { part: 'excess', size: kwh, usual: 0, p: null }
  return pricePerKwh === null
    ? [energy]
    : [energy, { part: 'cost', size: kwh * pricePerKwh, usual: 0, p: null }]
}

/** What this hour of the day took on each weekday seen. */
function daysSeen({ week }: EnergyState, hour: number): number[] {
  const slots = Array.from({ length: HOURS / 24 }, (_, day) => slotOf(hour + 24 * day))
  return slots.flatMap((slot) => (week[HOURS + slot]! > 0 ? week[slot]! : []))
}

function slotOf(hour: number): number {
  return ((hour % HOURS) + HOURS) % HOURS
}
