import { readFileSync } from 'node:fs'
import { createCsvParser, detectSeparator } from '../fleet/csv.ts'
import { EXIT, Stop } from '../run.ts'
import { parseMicrosAssumingUtc, type Micros } from '../time.ts'

/** A recording as `detect` reads it: a header, and rows of cells, trimmed. */
export interface Table {
  file: string
  header: string[]
  rows: string[][]
  /** NaN: the cell holds no number */
  number(cell: string | undefined): number
}

/** The separator is the header's: semicolon, tab or comma. Throws Stop (1) where the file can't be read. */
export function readTable(file: string): Table {
  const text = readText(file)
  const separator = detectSeparator(/^[^\r\n]*/.exec(text)?.[0] ?? '')
  const parser = createCsvParser(separator)
  const [header = [], ...rows] = [...parser.push(text), ...parser.end()].map(({ fields }) =>
    fields.map((cell) => cell.trim().replace(/^"(.*)"$/, '$1')),
  )
  return { file, header, rows, number: (cell) => numberOf(cell, separator !== ',') }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const seen = cause instanceof Error ? cause.message : String(cause)
    throw new Stop(`Cannot read ${file}: ${seen}`, EXIT.fault, { cause })
  }
}

/** An empty cell is no reading (Number('') would be 0). Where commas don't separate, one may be the decimal sign. */
function numberOf(cell: string | undefined, decimalComma: boolean): number {
  if (cell === undefined || cell === '') return NaN
  return Number(decimalComma ? cell.replace(',', '.') : cell)
}

/**
 * ISO 8601 without a zone is UTC, and what a recording leaves out (seconds, the hour) is zero; a plain number is seconds,
 * milliseconds or microseconds since 1970 or since the recording began. NaN: no time.
 */
export function timeOf(cell: string | undefined): Micros {
  const text = cell ?? ''
  if (/^\d{1,16}(\.\d+)?$/.test(text)) {
    const number = Number(text)
    return Math.round(number < 1e11 ? number * 1e6 : number < 1e14 ? number * 1e3 : number)
  }
  const [, day, minute] = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d))?$/.exec(text) ?? []
  return parseMicrosAssumingUtc(day === undefined ? text : `${day}T${minute ?? '00:00'}:00`)
}

/** How many rows on it is seen whether a time was a jump ahead. */
const AHEAD = 10

/**
 * Which rows are in order, by their times (NaN: none): each is newer than those before it. A jump ahead that more of the
 * next rows take back than go on from is a clock's mistake: believed, it would make all after it late.
 */
export function inOrder(times: readonly Micros[]): boolean[] {
  let newest = -Infinity
  return times.map((at, i) => {
    if (!(at > newest) || isTakenBack(times, i, newest)) return false
    newest = at
    return true
  })
}

function isTakenBack(times: readonly Micros[], i: number, newest: Micros): boolean {
  const at = times[i] ?? NaN
  let back = 0
  let on = 0
  for (const next of times.slice(i + 1, i + 1 + AHEAD)) {
    if (next >= at) on++
    else if (next > newest) back++
  }
  return back > on
}

/** A cell of the result, whose separator is the comma. */
export function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}
