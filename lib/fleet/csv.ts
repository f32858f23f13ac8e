/**
 * Separated values after RFC 4180, taken in pieces cut anywhere: quoted fields with separators, line breaks and
 * doubled quotes in them; CRLF, LF or CR; a byte order mark. Memory is bound by the longest record. What is no
 * record becomes one with a fault, and reading goes on at the next line.
 */
export interface CsvParser {
  /** the records that this piece completes; blank lines are none */
  push(piece: string): CsvRecord[]
  /** what was still open when the input ended */
  end(): CsvRecord[]
}

export interface CsvRecord {
  /** the physical line on which it begins, from 1 */
  line: number
  fields: string[]
  /** what is wrong with it; null where nothing is */
  fault: string | null
}

/** A longer record is a fault: mostly a quote that nobody closed, which would swallow the rest of the file. */
export const MAX_RECORD_CHARS = 256 * 1024

export function createCsvParser(separator: string): CsvParser {
  let text = ''
  let line = 1
  let atStart = true
  let skipping = false // the rest of a line that was too long

  function cut(ended: boolean): CsvRecord[] {
    const records: CsvRecord[] = []
    let from = 0
    while (from < text.length) {
      const record = skipping ? null : scanRecord(text, from, separator, ended)
      if (record) {
        const blank = record.fields.length === 1 && record.fields[0] === '' && !record.quoted
        if (!blank) records.push({ line, fields: record.fields, fault: record.fault })
        line += record.lines
        from = record.end
        continue
      }
      if (!skipping && !ended && text.length - from <= MAX_RECORD_CHARS) break // its end may still come
      const next = nextLine(text, from, ended)
      if (!skipping) {
        const fault = next === null ? 'is too long' : 'opens a quote that is never closed'
        records.push({ line, fields: [], fault })
      }
      skipping = next === null && !ended
      if (!skipping) line++
      from = next ?? text.length
    }
    text = text.slice(from)
    return records
  }

  return {
    push(piece) {
      text += atStart && piece.charCodeAt(0) === 0xfeff ? piece.slice(1) : piece
      atStart &&= piece === ''
      return cut(false)
    },
    end: () => cut(true),
  }
}

interface Scanned {
  fields: string[]
  quoted: boolean
  fault: string | null
  /** where the next record begins, and how many physical lines this one took */
  end: number
  lines: number
}

/** The record that begins at `from`; null while its end is not there. */
function scanRecord(text: string, from: number, separator: string, ended: boolean): Scanned | null {
  const fields: string[] = []
  let fault: string | null = null
  let quoted = false
  let lines = 0
  let at = from
  for (;;) {
    let field: string | null = null
    if (text[at] === '"') {
      const string = scanQuoted(text, at + 1)
      if (string === null) return null
      field = string.value
      at = string.end
      quoted = true
      lines += countBreaks(field)
    }
    const start = at
    while (at < text.length && !endsField(text[at], separator)) at++
    if (at === text.length && !ended) return null
    const plain = text.slice(start, at)
    if (field !== null && plain.trim() !== '') fault = 'has text after a closing quote'
    fields.push(field ?? plain)
    if (text[at] === separator) {
      at++
      continue
    }
    const next = nextLine(text, at, ended)
    if (next === null && !ended) return null
    return { fields, quoted, fault, end: next ?? text.length, lines: lines + 1 }
  }
}

function scanQuoted(text: string, from: number): { value: string; end: number } | null {
  let value = ''
  let at = from
  for (;;) {
    const quote = text.indexOf('"', at)
    if (quote < 0) return null
    value += text.slice(at, quote)
    if (text[quote + 1] !== '"') return { value, end: quote + 1 }
    value += '"'
    at = quote + 2
  }
}

function endsField(char: string | undefined, separator: string): boolean {
  return char === separator || char === '\n' || char === '\r'
}

/** Where the line after this place begins; null where no line break follows, or half a CRLF may. */
function nextLine(text: string, from: number, ended: boolean): number | null {
  let at = from
  while (at < text.length && text[at] !== '\n' && text[at] !== '\r') at++
  if (at === text.length) return null
  if (text[at] === '\n') return at + 1
  if (at + 1 === text.length) return ended ? at + 1 : null
  return text[at + 1] === '\n' ? at + 2 : at + 1
}

function countBreaks(field: string): number {
  return field.match(/\r\n|\r|\n/g)?.length ?? 0
}

/** Preferred in this order where counts are equal: a comma may stand in a number, the other two hardly. */
const SEPARATORS = ['\t', ';', ',']

/**
 * The separator of a file, from its first lines: the one that each of them has equally often, else the most frequent in
 * the first line; a comma where there is none (a file of one column).
 */
export function detectSeparator(sample: string): string {
  const lines = sample
    .replace(/"[^"]*"/g, '')
    .split(/\r\n|\r|\n/)
    .filter((line) => line !== '')
  const complete = lines.length > 1 ? lines.slice(0, -1) : lines // the last is cut anywhere
  const rated = SEPARATORS.map((separator) => {
    const counts = complete.slice(0, 10).map((line) => line.split(separator).length - 1)
    const first = counts[0] ?? 0
    return { separator, first, even: first > 0 && counts.every((n) => n === first) }
  })
  rated.sort((a, b) => Number(b.even) - Number(a.even) || b.first - a.first)
  const best = rated[0]
  return best && best.first > 0 ? best.separator : ','
}
