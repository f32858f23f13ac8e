import { EXIT, Stop } from '../run.ts'
import { createCsvParser, detectSeparator, type CsvParser, type CsvRecord } from './csv.ts'
import {
  createNamer,
  createReading,
  isMissing,
  parseMoment,
  parseNumber,
  quote,
  TIME_NAME,
  type RecordingDecoder,
  type RecordingOptions,
  type Row,
} from './recording.ts'

/**
 * CSV → rows. One value column is one sensor with the recording's id; several are one sensor each, `<id>.<column>`. The columns are
 * settled on the first records (two at least, unless the input ends): whether they have a header, where the time stands, which hold numbers.
 */
export function createTableDecoder(options: RecordingOptions): RecordingDecoder {
  let parser: CsvParser | null = options.separator === null ? null : createCsvParser(options.separator)
  let head = '' // kept until the separator is known
  let first: CsvRecord[] = [] // kept until the columns are settled
  let columns: Columns | null = null

  function decode(records: CsvRecord[], ended: boolean): Row[] {
    if (columns) return toRows(records, columns, options)
    first = [...first, ...records]
    const sound = first.filter((r) => !r.fault)
    if (!ended && sound.length < 2) return []
    columns = settleColumns(sound, options)
    const header = columns.hasHeader ? sound[0] : undefined
    const rows = first.filter((r) => r !== header)
    first = []
    return toRows(rows, columns, options)
  }

  return {
    push(piece) {
      if (parser) return decode(parser.push(piece), false)
      head += piece
      if (head.length < 65_536 && (head.match(/\n|\r/g)?.length ?? 0) < 3) return []
      parser = createCsvParser(detectSeparator(head))
      return decode(parser.push(head), false)
    },
    end() {
      const unread = parser ? '' : head
      parser ??= createCsvParser(detectSeparator(head))
      return decode([...parser.push(unread), ...parser.end()], true)
    },
    notices: () => columns?.notices ?? [],
  }
}

interface Columns {
  hasHeader: boolean
  count: number
  /** null: no time in the recording */
  time: number | null
  values: { index: number; name: string; sensorId: string }[]
  notices: string[]
}

/** Throws Stop where a named column is not there or none holds numbers. */
function settleColumns(records: readonly CsvRecord[], options: RecordingOptions): Columns {
  const [top, ...below] = records.map((r) => r.fields.map((f) => f.trim()))
  if (!top) return { hasHeader: false, count: 0, time: null, values: [], notices: [] }
  const hasHeader = isHeader(top, below, options)
  const names = top.map((name, i) => (hasHeader && name !== '' ? name : `column${i + 1}`))
  const data = hasHeader ? below : [top, ...below]
  const cells = (i: number) => data.map((row) => row[i] ?? '').filter((cell) => !isMissing(cell))
  const find = (wanted: string) => {
    const exact = names.indexOf(wanted)
    const i = exact >= 0 ? exact : names.findIndex((n) => n.toLowerCase() === wanted.toLowerCase())
    if (i < 0)
      throw new Stop(
        `Cannot replay: there is no column ${quote(wanted)}: it has ${names.map(quote).join(', ')}`,
        EXIT.usage,
      )
    return i
  }
  const time = options.timeColumn === null ? findTime(names, cells) : find(options.timeColumn)
  const candidates = options.valueColumns?.map(find) ?? names.map((_, i) => i).filter((i) => i !== time)
  const numeric = candidates.filter((i) => {
    const seen = cells(i)
    return seen.length === 0 || seen.some((cell) => !Number.isNaN(parseNumber(cell)))
  })
  const chosen = options.valueColumns || numeric.length === 0 ? candidates : numeric
  const leftOut = candidates.filter((i) => !chosen.includes(i)).map((i) => names[i] as string)
  const nameSensor = createNamer()
  const single = chosen.length === 1
  const values = chosen.map((index) => ({
    index,
    name: names[index] as string,
    // the place is part of the name, so that two columns of one name are two sensors
    sensorId:
      nameSensor(options.sensorId, single ? null : (names[index] as string), index) ?? options.sensorId,
  }))
  return {
    hasHeader,
    count: top.length,
    time,
    values,
    notices: leftOut.length > 0 ? [`left out, because they hold text: ${leftOut.map(quote).join(', ')}`] : [],
  }
}

/** The first record is a header where a column named in the options stands in it, or where text stands above a number or a time. */
function isHeader(top: string[], below: string[][], { timeColumn, valueColumns }: RecordingOptions): boolean {
  if ([timeColumn, ...(valueColumns ?? [])].some((name) => name !== null && top.includes(name))) return true
  const isText = (cell: string) =>
    !isMissing(cell) && Number.isNaN(parseNumber(cell)) && Number.isNaN(parseMoment(cell))
  if (below.length === 0) return top.every((cell) => isText(cell) || cell === '')
  return top.some(
    (cell, i) =>
      isText(cell) && below.some((row) => row[i] !== undefined && row[i] !== '' && !isText(row[i])),
  )
}

/** By name, else by text that is a time, else a first column of whole numbers that are times since 2001. */
function findTime(names: string[], cells: (i: number) => string[]): number | null {
  const named = names.findIndex((name) => TIME_NAME.test(name))
  if (named >= 0) return named
  const dated = names.findIndex((_, i) =>
    cells(i).some((c) => Number.isNaN(parseNumber(c)) && !Number.isNaN(parseMoment(c))),
  )
  if (dated >= 0) return dated
  const counted =
    names.length > 1 && cells(0).length > 0 && cells(0).every((c) => /^\d{10,19}(\.\d+)?$/.test(c))
  return counted ? 0 : null
}

function toRows(records: CsvRecord[], columns: Columns, options: RecordingOptions): Row[] {
  return records.map((record) => toRow(record, columns, options))
}

function toRow({ line, fields, fault }: CsvRecord, columns: Columns, options: RecordingOptions): Row {
  const row: Row = { line, at: null, readings: [], faults: [], empty: 0 }
  if (fault) {
    row.faults.push(fault)
    return row
  }
  const extra = fields.slice(columns.count)
  if (fields.length < columns.count || extra.some((field) => field !== '')) {
    row.faults.push(`has ${fields.length} fields where ${columns.count} are expected`)
    return row
  }
  if (columns.time !== null) {
    const text = (fields[columns.time] ?? '').trim()
    const at = parseMoment(text)
    if (Number.isNaN(at)) {
      row.faults.push(`time ${quote(text)} is not a date and time, nor a time since 1970`)
      return row
    }
    row.at = at
  }
  for (const { index, name, sensorId } of columns.values) {
    const text = (fields[index] ?? '').trim()
    if (isMissing(text)) {
      row.empty++
      continue
    }
    const value = parseNumber(text)
    if (Number.isNaN(value)) row.faults.push(`${name} ${quote(text)} is not a decimal number within ±2^53`)
    else row.readings.push(createReading(options, sensorId, row.at, value))
  }
  return row
}
