import { LEVELS } from '../reading.ts'
import { parseMicros, type Micros } from '../time.ts'

/**
 * The form of one sensor's messages: the bytes that are the same in all of them, with holes where time, value, level,
 * quality and running numbers stand. A message of a known form is read by comparing bytes and parsing what stands in the
 * holes: a fifth of what JSON.parse and the check cost. A form is learnt of a message that those two have accepted, and
 * accepts nothing that they would not: the same text around the holes, and in each hole only what is certainly valid
 * there. Everything else is theirs to judge.
 */
export interface Form {
  /** what stands in each hole, in their order */
  readonly kinds: Uint8Array
  /** lengths of what is fixed: before the first hole, between holes, behind the last */
  readonly spans: Int32Array
  /** the bytes of the spans, four in a word; see wordsOf() */
  readonly words: Int32Array
  /** the same of the headers up to the value of `seq`; of all of them where the message has no identity */
  readonly headSpan: number
  readonly headWords: Int32Array
  readonly identified: boolean
}

/** What the last message read by its form says. One for all, because nothing of it outlives the next message. */
export const read = {
  measuredAt: 0 as Micros,
  value: 0,
  quality: 1,
  /** place in LEVELS; -1 where none is claimed */
  claimed: -1,
  /** 0 where the message has no identity */
  seq: 0,
}

/** What may stand in a hole. */
export const TIME = 0
export const VALUE = 1
export const LEVEL = 2
export const QUALITY = 3
/** a running number beyond the headers' own: it is only seen to be a number */
export const COUNT = 4

/** True where the headers are of this form: then `read.seq` is known. */
export function readHead(form: Form, bytes: Uint8Array, from: number, to: number): boolean {
  const { headSpan, headWords, identified } = form
  if (!isSame(viewOf(bytes), from, to, headWords, 0, headSpan)) return false
  let at = from + headSpan
  read.seq = 0
  if (!identified) return at === to
  const zigzag = bytes[at++] as number // of one byte, and odd only below zero
  const length = zigzag >> 1
  if ((zigzag & 1) === 1 || length > MAX_DIGITS || at + length !== to) return false
  return (read.seq = wholeNumber(bytes, at, to)) > 0
}

/** True where the value is of this form: then the rest of `read` is known. */
export function readValue(form: Form, bytes: Buffer, from: number, to: number): boolean {
  const { kinds, spans, words } = form
  const view = viewOf(bytes)
  let at = from
  let word = 0
  read.claimed = -1
  read.quality = 1
  for (let i = 0; i < kinds.length; i++) {
    const span = spans[i] as number
    if (!isSame(view, at, to, words, word, span)) return false
    at += span
    word += wordsIn(span)
    const kind = kinds[i]
    if (kind === TIME) {
      const time = timeAt(bytes, at)
      if (Number.isNaN(time)) return false
      read.measuredAt = time
      at = timeEnd
    } else if (kind === LEVEL) {
      const level = levelAt(bytes, at)
      if (level < 0) return false
      read.claimed = level
      at += LEVEL_LENGTHS[level] as number
    } else {
      if (kind === QUALITY && bytes[at] === MINUS) return false
      at = numberAt(bytes, at)
      if (at < 0) return false
      if (kind === VALUE) read.value = parsed
      else if (kind === QUALITY) {
        if (parsed > 1) return false
        read.quality = parsed
      }
    }
  }
  const last = spans[kinds.length] as number
  return at + last === to && isSame(view, at, to, words, word, last)
}

/**
 * Whether the span that begins with this word stands at `at`, before `to`. Four bytes at a time: a native comparison
 * costs a call. Words, because a view for each of a hundred thousand sensors would be an object, and a buffer that the
 * collector has to look after.
 */
function isSame(
  view: DataView,
  at: number,
  to: number,
  words: Int32Array,
  word: number,
  span: number,
): boolean {
  if (at + span > to) return false
  const whole = at + (span & ~3)
  while (at < whole) {
    if (view.getInt32(at, true) !== words[word++]) return false
    at += 4
  }
  const last = words[word] as number
  for (let i = 0; i < (span & 3); i++) if (view.getUint8(at + i) !== ((last >> (8 * i)) & 0xff)) return false
  return true
}

const wordsIn = (span: number) => (span + 3) >> 2

/** The bytes of spans, each from a word of its own on, the first in the lowest bits; what a last word lacks is 0. */
export function wordsOf(spans: readonly Uint8Array[]): Int32Array {
  const words = new Int32Array(spans.reduce((sum, span) => sum + wordsIn(span.length), 0))
  let word = 0
  for (const span of spans) {
    for (const [i, byte] of span.entries()) {
      const at = word + (i >> 2)
      words[at] = (words[at] ?? 0) | (byte << (8 * (i & 3)))
    }
    word += wordsIn(span.length)
  }
  return words
}

/** of the bytes last asked for: thousands of messages lie in the same */
let viewed: { bytes: Uint8Array; view: DataView } | null = null

function viewOf(bytes: Uint8Array): DataView {
  if (viewed?.bytes !== bytes)
    viewed = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
  return viewed.view
}

// ── what stands in the holes ──

/** of the last number read */
let parsed = 0
const MINUS = 0x2d
const MAX_DIGITS = 15

/** A power of ten below 10^23 is exact as a double, and so is a whole number below 2^53: one division rounds once, rightly. */
const TENS = Float64Array.from({ length: 16 }, (_, i) => 10 ** i)

/**
 * The number at this place goes to `parsed`, the place behind it comes back; -1 where it is no plain number: an exponent,
 * more than 30 digits, a leading zero. Those are for JSON.parse.
 */
function numberAt(bytes: Buffer, from: number): number {
  let at = from
  const negative = bytes[at] === MINUS
  if (negative) at++
  const first = at
  let whole = 0
  let digit = (bytes[at] as number) - 48
  while (digit >= 0 && digit <= 9) {
    whole = whole * 10 + digit
    digit = (bytes[++at] as number) - 48
  }
  let digits = at - first
  if (digits === 0 || (digits > 1 && bytes[first] === 48)) return -1
  let decimals = 0
  if (digit === -2) {
    const point = at
    digit = (bytes[++at] as number) - 48
    while (digit >= 0 && digit <= 9) {
      whole = whole * 10 + digit
      digit = (bytes[++at] as number) - 48
    }
    decimals = at - point - 1
    if (decimals === 0) return -1
    digits += decimals
  }
  if (digits > MAX_DIGITS) return longNumberAt(bytes, from, at, digits)
  const size = decimals === 0 ? whole : whole / (TENS[decimals] as number)
  parsed = negative && size !== 0 ? -size : size // -0 becomes 0
  return at
}

/** As JSON.parse reads it: the nearest double. */
function longNumberAt(bytes: Buffer, from: number, to: number, digits: number): number {
  if (digits > 30) return -1
  parsed = Number(bytes.toString('latin1', from, to)) + 0
  return Math.abs(parsed) <= Number.MAX_SAFE_INTEGER ? to : -1
}

function wholeNumber(bytes: Uint8Array, from: number, to: number): number {
  if (from >= to || bytes[from] === 48) return -1
  let n = 0
  for (let at = from; at < to; at++) {
    const digit = (bytes[at] as number) - 48
    if (!(digit >= 0 && digit <= 9)) return -1
    n = n * 10 + digit
  }
  return n
}

const LEVEL_BYTES = LEVELS.map((level) => Buffer.from(`${level}"`))
const LEVEL_LENGTHS = LEVELS.map((level) => level.length)

function levelAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at]
  for (let level = 0; level < LEVEL_BYTES.length; level++) {
    const name = LEVEL_BYTES[level] as Uint8Array
    if (name[0] !== first) continue
    let i = 1
    while (i < name.length && bytes[at + i] === name[i]) i++
    if (i === name.length) return level
  }
  return -1
}

/** the last day seen, as its bytes `2026-11-21T` and as its beginning */
let day: Uint8Array = new Uint8Array(11)
let dayMicros: Micros = NaN
/** the place behind the last time read */
let timeEnd = 0
const CANONICAL = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:\d{3})?Z/
const POINT = 0x2e
const COLON = 0x3a
const Z = 0x5a

/** `2025-09-16T21:41:41.011144Z`, or with three decimals; NaN for other forms of time. The place behind it goes to `timeEnd`. */
function timeAt(bytes: Uint8Array, at: number): Micros {
  for (let i = 0; i < 11; i++) if (bytes[at + i] !== day[i]) return learnDay(bytes, at)
  if (bytes[at + 13] !== COLON || bytes[at + 16] !== COLON || bytes[at + 19] !== POINT) return NaN
  const hour = digits(bytes, at + 11, 2)
  const minute = digits(bytes, at + 14, 2)
  const second = digits(bytes, at + 17, 2)
  const millis = digits(bytes, at + 20, 3)
  const isShort = bytes[at + 23] === Z
  const micros = isShort ? 0 : digits(bytes, at + 23, 3)
  timeEnd = at + (isShort ? 24 : 27)
  if (bytes[timeEnd - 1] !== Z) return NaN
  if (!(hour <= 23 && minute <= 59 && second <= 59 && millis <= 999 && micros <= 999)) return NaN
  return dayMicros + ((hour * 60 + minute) * 60 + second) * 1_000_000 + millis * 1000 + micros
}

function digits(bytes: Uint8Array, from: number, count: number): number {
  let n = 0
  for (let at = from; at < from + count; at++) {
    const digit = (bytes[at] as number) - 48
    if (!(digit >= 0 && digit <= 9)) return NaN
    n = n * 10 + digit
  }
  return n
}

function learnDay(bytes: Uint8Array, at: number): Micros {
  const text = Buffer.from(bytes.subarray(at, at + 27)).toString('latin1')
  const time = CANONICAL.exec(text)?.[0]
  if (time === undefined) return NaN
  const micros = parseMicros(time)
  const beginning = parseMicros(`${time.slice(0, 11)}00:00:00.000000Z`)
  if (Number.isNaN(micros) || Number.isNaN(beginning)) return NaN
  day = Buffer.from(time.slice(0, 11), 'latin1')
  dayMicros = beginning
  timeEnd = at + time.length
  return micros
}
