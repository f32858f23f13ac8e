import type { Location, Reading } from '../reading.ts'
import { parseMicrosAssumingUtc, type Micros } from '../time.ts'

/** What a recording is read with, whatever its format. */
export interface RecordingOptions {
  /** id of its one sensor, first part of its sensors' ids where it has several */
  sensorId: string
  sensorType: string
  unit: string
  location: Location
  /** name of the column or member that holds the time; null: found by name or by what stands in it */
  timeColumn: string | null
  /** null: all that hold numbers */
  valueColumns: readonly string[] | null
  /** CSV only; null: found */
  separator: string | null
}

/** One row: what was measured together. */
export interface Row {
  line: number
  /** null where the recording has no time */
  at: Micros | null
  /** with `measuredAt` = at */
  readings: Reading[]
  /** what was wrong; where it concerns one column, the others' readings are there all the same */
  faults: string[]
  /** columns without a value in this row, which is no fault */
  empty: number
}

/** Text in pieces → rows. May throw Stop where the options do not fit what is found. */
export interface RecordingDecoder {
  push(piece: string): Row[]
  end(): Row[]
  /** what a person should know about how it is read, known after the first rows */
  notices(): string[]
}

export function createReading(
  options: RecordingOptions,
  sensorId: string,
  at: Micros | null,
  value: number,
): Reading {
  return {
    sensorId,
    sensorType: options.sensorType,
    unit: options.unit,
    location: options.location,
    measuredAt: at ?? NaN,
    value,
    quality: 1,
    claimedLevel: null,
    warningThreshold: null,
    criticalThreshold: null,
    metadata: null,
  }
}

export const TIME_NAME = /^(@?time|@?timestamp|date|date[ _]?time|ts|t|_time|created_?at|measured_?at)$/i
const MISSING = /^(nan|null|none|na|n\/a|-)?$/i

export function isMissing(text: string): boolean {
  return text.length < 5 && MISSING.test(text)
}

/** A finite decimal number that a double holds as written, within ±2^53; else NaN. A decimal comma is not read: "1,234" may mean either. */
export function parseNumber(text: string): number {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return NaN
  const value = Number(text)
  return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? value + 0 : NaN
}

/**
 * Date and time with or without a zone (UTC assumed), a date alone, or the time since 1970 in s, ms, µs or ns, told apart
 * by its digits (up to 11: seconds until the year 5138). NaN where it is none.
 */
export function parseMoment(text: string): Micros {
  if (/^-?\d+(\.\d+)?$/.test(text)) return parseEpoch(text)
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return parseMicrosAssumingUtc(`${text}T00:00:00`)
  if (/^\d{4}-\d\d-\d\d[ T]\d\d:\d\d$/.test(text)) return parseMicrosAssumingUtc(`${text}:00`)
  return parseMicrosAssumingUtc(text)
}

function parseEpoch(text: string): Micros {
  const digits = text.replace(/^-/, '').replace(/\..*/, '').length
  if (digits <= 11) return Math.round(Number(text) * 1_000_000)
  if (digits <= 14) return Math.round(Number(text) * 1000)
  if (digits <= 16) return Math.round(Number(text))
  if (digits <= 19) return Number(text.replace(/\..*/, '').slice(0, -3)) // nanoseconds: more digits than a double has
  return NaN
}

/** So many sensors at most from one recording: consumers register 10,000 and the rest would become dead letters. */
const MAX_NAMES = 10_000
const MAX_ID_CHARS = 64
const MAX_COLUMN_CHARS = 48

/** Names as people write them → sensor ids, each (name, place) its own; null beyond 10,000. */
export function createNamer(): (base: string, column: string | null, place?: number) => string | null {
  const ids = new Map<string, string>()
  const taken = new Set<string>()
  return (base, column, place = 0) => {
    const name = column === null ? base : `${base}\n${column}\n${place}`
    const known = ids.get(name)
    if (known !== undefined) return known
    if (ids.size >= MAX_NAMES) return null
    const wanted = fitId(base, column)
    let id = wanted
    for (let n = 2; taken.has(id); n++) id = wanted.slice(0, MAX_ID_CHARS - `-${n}`.length) + `-${n}`
    taken.add(id)
    ids.set(name, id)
    return id
  }
}

function fitId(base: string, column: string | null): string {
  if (column === null) return fit(base).slice(0, MAX_ID_CHARS)
  const tail = fit(column).slice(0, MAX_COLUMN_CHARS)
  return `${fit(base).slice(0, MAX_ID_CHARS - 1 - tail.length)}.${tail}`
}

function fit(text: string): string {
  const plain = text.normalize('NFKD').replace(/\p{M}/gu, '')
  return plain.trim().replace(/[^A-Za-z0-9._:-]+/g, '_') || '_'
}

/** A value in a message, short enough to read. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}
