import { ByNumber, placeOf } from '../by-number.ts'
import type { Evidence, LogMessage, Row } from '../evidence.ts'
import { createFinding, type Finding } from '../finding.ts'

/** I1 … I3: what was accepted is stored, once, as it was. */
export function judgeReadings(e: Evidence): Finding[] {
  const lost = createFinding('I1', 'every accepted reading that nobody gave up is stored')
  const doubled = createFinding('I2', 'no reading is stored twice')
  const phantom = createFinding('I3', 'no stored reading was never sent, and each says what was sent')
  const { rows, again } = rowsByIdentity(e.tables.rows)
  const letters = new Set(e.tables.letters.map((l) => identity(l.run, l.sensor, l.seq)))

  if (e.accepted === null) lost.note('no record of what was accepted')
  else judgeLost()
  doubled.look(e.tables.rows.length)
  for (const [id, list] of again)
    doubled.violated(
      `${id} is stored ${list.length} times: at ${list.map(placeOf).join(', ')}`,
      list.length - 1,
    )
  judgePhantoms()
  return [lost.done(), doubled.done(), phantom.done()]

  function judgeLost(): void {
    const given = new ByNumber<string>()
    for (const a of e.accepted ?? [])
      if (a.given_up)
        for (let i = 0; i < a.prints.length; i++) given.set(a.given_up, a.first + i, a.run, a.sensor)
    let waiting = 0
    for (const a of e.accepted ?? []) {
      if (a.given_up) continue
      for (let i = 0; i < a.prints.length; i++) {
        lost.look()
        if (rows.get(a.first + i, a.run, a.sensor)) continue
        const id = identity(a.run, a.sensor, a.first + i)
        if (letters.has(id)) continue
        const why = given.get(a.first + i, a.run, a.sensor)
        if (why === 'spooled') waiting++
        if (why === undefined || why === 'rejected')
          lost.violated(`${id} was accepted${why ? ' and rejected' : ''}, and is nowhere`)
      }
    }
    if (waiting > 0) lost.note(`${waiting} still wait in a spool`)
  }

  function judgePhantoms(): void {
    const accepted = acceptedPrints(e)
    const log = new ByNumber<LogMessage>()
    for (const m of e.log) log.set(m, m.offset, m.topic, m.partition)
    let beyond = 0
    for (const row of e.tables.rows) {
      phantom.look()
      const said = log.get(row.offset, row.topic, row.partition)
      const kept = row.run === null ? undefined : accepted.get(row.run)?.get(row.sensor)
      const print = row.seq === null ? undefined : kept?.[row.seq]
      if (kept && print === undefined)
        phantom.violated(`${name(row)} is stored at ${placeOf(row)}, and was never accepted`)
      else if (print !== undefined && print !== row.print)
        phantom.violated(`${name(row)} is not stored as it was accepted`)
      else if (said === undefined) {
        if (isBelowLog(row)) beyond++
        else phantom.violated(`${name(row)} names ${placeOf(row)}, where the log has no message`)
      } else if (said.run !== row.run || said.seq !== row.seq)
        phantom.violated(
          `${name(row)} names ${placeOf(row)}, where the log has ${said.run}/${said.key}/${said.seq}`,
        )
      else if (said.content.is === 'good' && said.content.print !== row.print)
        phantom.violated(`${name(row)} is not stored as the log says at ${placeOf(row)}`)
      else if (said.content.is === 'bad')
        phantom.violated(`${name(row)} comes from ${placeOf(row)}, which is no reading: ${said.content.why}`)
    }
    if (beyond > 0) phantom.note(`${beyond} rows are older than the log`)
  }

  function isBelowLog(row: Row): boolean {
    const end = e.ends.find((x) => x.topic === row.topic && x.partition === row.partition)
    return end === undefined || row.offset < end.low
  }
}

/** run → sensor → print by running number */
function acceptedPrints(e: Evidence): Map<string, Map<string, bigint[]>> {
  const runs = new Map<string, Map<string, bigint[]>>()
  for (const a of e.accepted ?? []) {
    if (a.given_up) continue
    const sensors = runs.get(a.run) ?? new Map<string, bigint[]>()
    const prints = sensors.get(a.sensor) ?? []
    for (const [i, print] of a.prints.entries()) prints[a.first + i] = print
    runs.set(a.run, sensors.set(a.sensor, prints))
  }
  return runs
}

/** Each identity's first row, and all of those that have more. */
function rowsByIdentity(all: readonly Row[]): { rows: ByNumber<Row>; again: Map<string, Row[]> } {
  const rows = new ByNumber<Row>()
  const again = new Map<string, Row[]>()
  for (const row of all) {
    const [n, ...of] =
      row.run === null
        ? ([row.offset, row.topic, row.partition, row.sensor] as const)
        : ([row.seq ?? -1, row.run, row.sensor] as const)
    const first = rows.get(n, ...of)
    if (first) again.set(name(row), [...(again.get(name(row)) ?? [first]), row])
    else rows.set(row, n, ...of)
  }
  return { rows, again }
}

/** Who a row is: run and number where it has them, else its place in the log. */
function name(row: Row): string {
  return row.run === null ? `${placeOf(row)}/${row.sensor}` : identity(row.run, row.sensor, row.seq)
}

function identity(run: string | null, sensor: string | null, seq: number | null): string {
  return `${run}/${sensor}/${seq}`
}
