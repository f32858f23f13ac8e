import type { Part, Reason, Verdict } from './detector.ts'

/**
 * A verdict in words, for an operator: what was seen, what is usual, how rare that is for this sensor. The first
 * sentence stands alone as a headline.
 */
export function explain(
  verdict: Verdict,
  value: number,
  unit: string,
  channels: readonly string[] = [],
): string {
  const sentences = verdict.reasons.slice(0, 3).map((r) => sentence(r, value, unit, channels))
  if (verdict.expected !== null) sentences.push(`Usual now: ${amount(verdict.expected, unit)}.`)
  if (verdict.rarity !== null && verdict.rarity > 0)
    sentences.push(`So unusual is ${oneIn(verdict.rarity)} readings of this sensor.`)
  return sentences.length > 0 ? sentences.join(' ') : `${amount(value, unit)}.`
}

/** The facts behind a verdict alone, in words: what an alarm came to by its end. */
export function account({ reasons }: Verdict, value: number, unit: string): string {
  return reasons.map((r) => sentence(r, value, unit, [])).join(' ')
}

/** `1 in 4,000` */
export function oneIn(p: number): string {
  const n = 1 / p
  const digits = 10 ** Math.max(0, Math.floor(Math.log10(n)) - 1)
  return `1 in ${count(Math.min(1e9, Math.round(n / digits) * digits))}`
}

const SAYS: Record<Part, (r: Reason, value: string, unit: string) => string> = {
  level: (r, value, unit) =>
    r.p === null
      ? `${value} is ${amount(Math.abs(r.size), unit)} off its level`
      : `${count(r.size)} readings in a row on one side of its level`,
  ratio: (r, value) => `${value} is ${number(Math.exp(r.size))} times off its usual size`,
  change: (r, value, unit) => `${value} is a step of ${amount(Math.abs(r.size), unit)}${times(r)}`,
  'hour-of-day': (r, value, unit) =>
    `${value} is ${amount(r.size, unit)} from what is usual at this hour${times(r)}`,
  activity: (r, _value, unit) => `It moves by ${amount(r.size, unit)} from reading to reading${times(r)}`,
  trend: (r, _value, unit) =>
    r.zone !== undefined
      ? `At this pace zone ${r.zone} is reached in ${number(r.size)} h`
      : `It moves away from its slow mean, by ${amount(Math.abs(r.size), unit)} now${times(r)}`,
  range: (r, value, unit) =>
    `${value} lies ${amount(r.size, unit)} beyond everything seen${r.usual ? ` (${percent(r.size / r.usual)} of the known range)` : ''}`,
  limit: (r, value, unit) => `${value} is ${amount(r.size, unit)} beyond its limit`,
  condition: () => 'The machine as a whole has left its baseline',
  frozen: (r) => `The same value ${count(r.size)} times in a row`,
  jump: (r, value, unit) => `${value} is a jump of ${amount(r.size, unit)}${times(r)}`,
  physical: (_r, value) => `${value} is outside what can be`,
  late: () => 'The reading came late',
  future: () => 'The reading comes from the future',
  zone: (r, _value, unit) =>
    `Zone ${r.zone ?? '?'}: vibration ${amount(r.size, unit)} over the last minute${r.usual ? `, acceptable to ${amount(r.usual, unit)}` : ''}`,
  pattern: (r, _value, unit) =>
    `${amount(r.size, unit)} on average in the last hour, where ${amount(r.usual ?? 0, unit)} is usual`,
  excess: (r) =>
    `${number(Math.abs(r.size))} kWh ${r.size >= 0 ? 'more' : 'less'} than usual since this began`,
  cost: (r) => `${number(Math.abs(r.size))} ${r.size >= 0 ? 'more' : 'less'} in money`,
  silence: (r) => `Nothing for ${number(r.size)} s, where a reading every ${number(r.usual ?? 0)} s is usual`,
}

function sentence(r: Reason, value: number, unit: string, channels: readonly string[]): string {
  const channel = r.channel === undefined ? '' : `${channels[r.channel] ?? `channel ${r.channel + 1}`}: `
  // of a machine the reason's own size is the value; a level is told against its baseline
  if (channel && r.part === 'level')
    return `${channel}${number(r.size)} where its baseline is ${number(r.usual ?? 0)}.`
  const said = SAYS[r.part](r, amount(value, unit), channel ? '' : unit)
  return `${channel}${said}${r.p !== null && r.p > 0 ? `, ${oneIn(r.p)}` : ''}.`
}

const times = (r: Reason) =>
  r.usual && r.usual > 0 && Math.abs(r.size) >= r.usual
    ? `, ${number(Math.abs(r.size) / r.usual)} times the usual`
    : ''
const amount = (x: number, unit: string) => (unit ? `${number(x)} ${unit}` : number(x))
/** made once: toLocaleString makes one for each number, and an alarm tells of a dozen */
const DECIMAL = new Intl.NumberFormat('en', { maximumFractionDigits: 6 })
const WHOLE = new Intl.NumberFormat('en')
const number = (x: number) => DECIMAL.format(Number(x.toPrecision(3)))
const count = (x: number) => WHOLE.format(Math.round(x))
const percent = (x: number) => `${Math.round(100 * x)} %`
