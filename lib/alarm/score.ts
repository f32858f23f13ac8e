import type { Micros } from '../time.ts'

/** A fault that is known to have been there. */
export interface Truth {
  sensorId: string
  kind: string
  /** in deviations of the sensor's noise; null where a size has no meaning (stuck, dropout) */
  size: number | null
  from: Micros
  to: Micros
  /** it was there before its sensor was watched: it excuses alarms and is not looked for */
  unwatched?: boolean
  /** the share of such faults that anybody could find without raising too many false alarms; missing: all */
  findable?: number
}

export interface Scored {
  sensorId: string
  at: Micros
}

export interface Row {
  name: string
  faults: number
  found: number
  /** how many of them anybody could find */
  findable: number
  /** seconds from the fault's first reading to the first alarm: half are found sooner */
  medianDelay: number | null
}

export interface Score {
  alarms: number
  /** alarms in no fault, nor on the way back from one */
  falseAlarms: number
  /** alarms on the way back from a fault, later than a minute after it: they find nothing */
  echoes: number
  /** right ones of all alarms: an echo counts as a wrong one here */
  precision: number | null
  /** of faults of `big` deviations and more, and of those that have no size */
  recall: number | null
  /** the recall that nobody can exceed */
  mostRecall: number | null
  faults: number
  found: number
  falseAlarmsADayPer100: number
  echoesADayPer100: number
  medianDelay: number | null
  rows: Row[]
}

/** An alarm so soon after a fault belongs to it: an average that has just crossed its bar was moved by the fault. */
const AFTERMATH = 60e6

/**
 * Alarms against the truth. A fault is found by an alarm of its sensor from its first reading until a minute after its
 * last; an alarm is right where such a fault is, of whatever size. The way back to normal is news, too: an alarm within
 * the fault's own length after it is its echo: it finds nothing, precision counts it as wrong, and it is told beside the
 * false alarms and not among them. `sensorDays`: how long was watched.
 */
export function scoreOf(
  alarms: readonly Scored[],
  truth: readonly Truth[],
  sensorDays: number,
  big = 3,
): Score {
  const alarmsOf = Map.groupBy(alarms, (a) => a.sensorId)
  const truthOf = Map.groupBy(truth, (t) => t.sensorId)
  const covers = (t: Truth, at: Micros) => at >= t.from && at <= t.to + AFTERMATH
  const delays = new Map<Truth, number>()
  for (const t of truth) {
    const times = (alarmsOf.get(t.sensorId) ?? []).filter((a) => covers(t, a.at)).map((a) => a.at)
    if (times.length > 0) delays.set(t, (Math.min(...times) - t.from) / 1e6)
  }
  const near = (a: Scored, cause: (t: Truth, at: Micros) => boolean) =>
    (truthOf.get(a.sensorId) ?? []).some((t) => cause(t, a.at))
  const isEcho = (t: Truth, at: Micros) => at > t.to && at <= t.to + (t.to - t.from)
  const right = alarms.filter((a) => near(a, covers)).length
  const echoes = alarms.filter((a) => !near(a, covers) && near(a, isEcho)).length
  const falseAlarms = alarms.length - right - echoes
  const watched = truth.filter((t) => !t.unwatched)
  const counted = watched.filter((t) => t.size === null || Math.abs(t.size) >= big)
  const row = (name: string, list: readonly Truth[]): Row => ({
    name,
    faults: list.length,
    found: list.filter((t) => delays.has(t)).length,
    findable: list.reduce((sum, t) => sum + (t.findable ?? 1), 0),
    medianDelay: median(list.flatMap((t) => delays.get(t) ?? [])),
  })
  const { faults, found, findable, medianDelay } = row('', counted)
  return {
    alarms: alarms.length,
    falseAlarms,
    echoes,
    precision: alarms.length > 0 ? right / alarms.length : null,
    recall: faults > 0 ? found / faults : null,
    mostRecall: faults > 0 ? findable / faults : null,
    faults,
    found,
    falseAlarmsADayPer100: sensorDays > 0 ? (100 * falseAlarms) / sensorDays : 0,
    echoesADayPer100: sensorDays > 0 ? (100 * echoes) / sensorDays : 0,
    medianDelay,
    rows: [...Map.groupBy(watched, nameOf)]
      .map(([name, list]) => row(name, list))
      .sort((a, b) => order(a.name, b.name)),
  }
}

function nameOf({ kind, size }: Truth): string {
  if (size === null || kind === 'excursion') return kind
  const sigmas = Math.abs(size)
  return `${kind} ${[1, 2, 3, 4, 6, 8].findLast((s) => sigmas >= s - 0.01) ?? '<1'}σ`
}

function order(a: string, b: string): number {
  const [kindA = '', sizeA = ''] = a.split(' ')
  const [kindB = '', sizeB = ''] = b.split(' ')
  return kindA.localeCompare(kindB) || (parseFloat(sizeA) || 0) - (parseFloat(sizeB) || 0)
}

function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? null
}
