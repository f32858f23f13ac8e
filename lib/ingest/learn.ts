import { LEVELS, type Identity, type Reading } from '../reading.ts'
import { COUNT, LEVEL, QUALITY, read, readHead, readValue, TIME, VALUE, wordsOf, type Form } from './form.ts'

/** Larger messages have metadata worth looking at, and would fill the memory with forms. */
const MAX_FORM_BYTES = 2048

/** The form of a message that was accepted as this reading; null where it has none that can be told safely. */
export function learnForm(
  value: Buffer,
  headers: Buffer,
  reading: Reading,
  identity: Identity | null,
): Form | null {
  if (value.length > MAX_FORM_BYTES || headers.length > MAX_FORM_BYTES) return null
  // one character a byte: places in the text are places in the bytes
  const text = value.toString('latin1')
  const holes = holesOf(text)
  const head = identity ? headOf(headers, identity) : headers
  if (!holes || !head) return null
  const fixed: Buffer[] = []
  let end = 0
  for (const hole of holes) {
    fixed.push(value.subarray(end, hole.from))
    end = hole.to
  }
  fixed.push(value.subarray(end))
  const form = {
    kinds: Uint8Array.from(holes, (hole) => hole.kind),
    spans: Int32Array.from(fixed, (span) => span.length),
    words: wordsOf(fixed),
    headSpan: head.length,
    headWords: wordsOf([head]),
    identified: identity !== null,
  }
  const isRead = readHead(form, headers, 0, headers.length) && readValue(form, value, 0, value.length)
  return isRead && saysTheSame(reading, identity) ? form : null
}

function saysTheSame(reading: Reading, identity: Identity | null): boolean {
  return (
    read.measuredAt === reading.measuredAt &&
    Object.is(read.value, reading.value) &&
    Object.is(read.quality, reading.quality) &&
    read.claimed === (reading.claimedLevel === null ? -1 : LEVELS.indexOf(reading.claimedLevel)) &&
    read.seq === (identity?.seq ?? 0)
  )
}

interface Hole {
  kind: number
  from: number
  to: number
}

/** Null where a key comes twice or is written with escapes: what JSON.parse makes of that is its own affair. */
function holesOf(text: string): Hole[] | null {
  const members = membersOf(text, text.indexOf('{'))
  const time = members?.get('timestamp')
  const value = members?.get('value')
  if (!members || !time || !value) return null
  const holes: Hole[] = [
    { kind: TIME, from: time.from + 1, to: time.to - 1 },
    { kind: VALUE, ...value },
  ]
  const level = members.get('alert_level')
  if (level) holes.push({ kind: LEVEL, from: level.from + 1, to: level.to - 1 })
  const quality = members.get('quality')
  if (quality) holes.push({ kind: QUALITY, ...quality })
  const metadata = members.get('metadata')
  if (metadata) {
    const inside = membersOf(text, metadata.from)
    if (!inside) return null
    const count = inside.get('reading_count')
    if (count && /[-0-9]/.test(text[count.from] ?? '')) holes.push({ kind: COUNT, ...count })
  }
  return holes.sort((a, b) => a.from - b.from)
}

/** Of valid JSON: the members of the object that begins here, each with the place of its value. */
function membersOf(text: string, open: number): Map<string, { from: number; to: number }> | null {
  const members = new Map<string, { from: number; to: number }>()
  let at = skipSpace(text, open + 1)
  while (text[at] === '"') {
    const keyEnd = endOfString(text, at)
    const key = text.slice(at + 1, keyEnd - 1)
    if (key.includes('\\') || members.has(key)) return null
    const from = skipSpace(text, skipSpace(text, keyEnd) + 1)
    const to = endOfValue(text, from)
    members.set(key, { from, to })
    at = skipSpace(text, to)
    if (text[at] === ',') at = skipSpace(text, at + 1)
  }
  return text[at] === '}' ? members : null
}

function skipSpace(text: string, at: number): number {
  while (' \t\n\r'.includes(text[at] ?? '-')) at++
  return at
}

function endOfString(text: string, open: number): number {
  let at = open + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

function endOfValue(text: string, from: number): number {
  if (text[from] === '"') return endOfString(text, from)
  let at = from
  let depth = 0
  while (at < text.length) {
    const c = text[at] as string
    if (depth === 0 && (c === ',' || c === '}' || c === ']' || ' \t\n\r'.includes(c))) break
    if (c === '"') {
      at = endOfString(text, at)
      continue
    }
    if (c === '{' || c === '[') depth++
    at++
    if ((c === '}' || c === ']') && --depth === 0) break
  }
  return at
}

/** The headers' bytes up to the length of `seq`, which must be the last of them; null where it is not. */
function headOf(headers: Buffer, identity: Identity): Uint8Array | null {
  let at = 1
  let name = ''
  let value = 0
  for (let left = lengthAt(headers, 0); left > 0; left--) {
    value = at + 1 + lengthAt(headers, at)
    name = headers.toString('latin1', at + 1, value)
    at = value + 1 + lengthAt(headers, value)
  }
  const isSeq = name === 'seq' && headers.toString('latin1', value + 1) === String(identity.seq)
  return isSeq && at === headers.length ? headers.subarray(0, value) : null
}

/** A zigzag varint of one byte, as short names and values have; NaN for others, which leads nowhere. */
function lengthAt(headers: Buffer, at: number): number {
  const byte = headers[at] ?? NaN
  return byte < 0x80 && byte % 2 === 0 ? byte / 2 : NaN
}
