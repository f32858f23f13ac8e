import { z } from 'zod'
import type { Heartbeat, LineReading } from '../line.ts'
import {
  factoryMessage,
  fromFactoryMessage,
  isPlainText,
  LEVELS,
  MAX_VALUE_BYTES,
  type FactoryMessage,
  type Reading,
} from '../reading.ts'

/** A message that cannot become readings: why, in a word to sort by and a sentence to read. */
export class Fault {
  readonly message: string
  constructor(
    readonly reason: FaultReason,
    message: string,
  ) {
    // It may quote the input: neither a table nor a terminal may stumble over that.
    this.message = message.toWellFormed().replace(CONTROL, '\uFFFD')
  }
}
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g

export type FaultReason =
  | 'tombstone'
  | 'empty'
  | 'too_large'
  | 'not_json'
  | 'not_avro'
  | 'unknown_schema'
  | 'truncated'
  | 'encoding'
  | 'decode'
  | 'schema'
  | 'sensor_limit'
  | 'storage'

export interface Decoded {
  /** the sensor or device whose running number the message carries */
  source: string
  readings: Reading[]
  /** fields that the schema does not know: ignored, and counted */
  unknownFields: number
  /** what the message says of a production line, beside its readings */
  fact?: Fact
  /** signs of life: judged for silence and counted, but no rows of their own */
  isCounted?: boolean
}

export type Fact = ({ kind: 'line' } & LineReading) | ({ kind: 'heartbeat' } & Heartbeat)

export interface Decoder {
  /** Throws SchemaPending where what says how to decode it cannot be had now (Avro); nothing else. */
  (value: Buffer | null): Decoded | Fault
  /** asks for what decoding these takes, as far as it can be had */
  learn?(values: Iterable<Buffer | null>): Promise<void>
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** fields that a valid message always has */
const REQUIRED_FIELDS = Object.values(factoryMessage.shape).filter((type) => !type.isOptional()).length

/** Bytes of topic sensor-data → one reading. Never throws: whatever is wrong comes back as a Fault. */
export function decodeFactory(value: Buffer | null): Decoded | Fault {
  const json = parseJson(value)
  if (json instanceof Fault) return json
  const { text, parsed } = json
  if (!isCertainlyValid(parsed)) {
    const checked = factoryMessage.safeParse(parsed)
    if (!checked.success) return new Fault('schema', issuesOf(checked.error))
    return finish(text, checked.data, fieldCount(parsed))
  }
  return finish(text, parsed, fieldCount(parsed))
}

function finish(text: string, message: FactoryMessage, fields: number): Decoded | Fault {
  if (message.value === 0 && isUnderflow(text, 'value')) {
    return new Fault('schema', 'value: is smaller than a double can hold, it would become 0')
  }
  let known = REQUIRED_FIELDS
  if (message.alert_level !== undefined) known++
  if (message.quality !== undefined) known++
  if (message.metadata !== undefined) known++
  return {
    source: message.sensor_id,
    readings: [fromFactoryMessage(message)],
    unknownFields: fields - known,
  }
}

/** 1e-400 parses to 0 without a word: a zero that has a digit other than 0 before its exponent. Asked for zeros only. */
export function isUnderflow(text: string, field: string): boolean {
  const literals = JSON.parse(text, (key, value, context?: { source?: string }) =>
    key === field && value === 0 ? { literal: context?.source ?? '0' } : value,
  ) as Record<string, { literal: string }>
  return /^[^eE]*[1-9]/.test(literals[field]?.literal ?? '')
}

/** The value as JSON, with its text. */
export function parseJson(value: Buffer | null): Fault | { text: string; parsed: unknown } {
  const text = jsonText(value)
  if (text instanceof Fault) return text
  try {
    return { text, parsed: JSON.parse(text) as unknown }
  } catch (error) {
    return new Fault('decode', `is not JSON: ${brief(error)}`)
  }
}

/** There is something, and no more than a message may have. */
export function presentIn(value: Buffer | null): Buffer | Fault {
  if (value === null) return new Fault('tombstone', 'has no value: a reading is never deleted by key')
  if (value.length === 0) return new Fault('empty', 'has an empty value')
  if (value.length > MAX_VALUE_BYTES) {
    return new Fault('too_large', `has ${value.length} bytes: at most ${MAX_VALUE_BYTES} are looked into`)
  }
  return value
}

function jsonText(given: Buffer | null): string | Fault {
  const value = presentIn(given)
  if (value instanceof Fault) return value
  if (value[0] === 0) return new Fault('not_json', 'begins with byte 0: this topic carries JSON, not Avro')
  // Buffer's own conversion is three times faster, but writes U+FFFD for what is invalid: then the strict one decides.
  const text = value.toString('utf8')
  if (!text.includes('\uFFFD')) return text
  try {
    return utf8.decode(value)
  } catch {
    return new Fault('encoding', 'is not valid UTF-8')
  }
}

export function issuesOf(error: z.ZodError): string {
  return error.issues
    .slice(0, 5)
    .map((issue) => `${issue.path.join('.') || 'message'}: ${issue.message}`)
    .join('; ')
}

function brief(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 200) : 'unreadable'
}

export function fieldCount(parsed: unknown): number {
  return typeof parsed === 'object' && parsed !== null ? Object.keys(parsed).length : 0
}

// The checks by hand below accept only what the schema accepts too (a property test holds them to it); what they do not
// accept goes to the schema, which decides and words the reason. They cost a thirtieth of it.

/** canonical form only: other valid forms are the schema's to judge */
const TIMESTAMP = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/
const SENSOR_ID = /^[A-Za-z0-9._:-]{1,64}$/
const WORD = /^[a-z][a-z0-9_.-]{0,31}$/

/** For decodeFactory, and for the test that holds it to the schema. */
export function isCertainlyValid(m: unknown): m is FactoryMessage {
  if (!isRecord(m)) return false
  const { location, metadata, value, quality } = m
  return (
    typeof value === 'number' &&
    value <= Number.MAX_SAFE_INTEGER &&
    value >= -Number.MAX_SAFE_INTEGER &&
    typeof m.timestamp === 'string' &&
    TIMESTAMP.test(m.timestamp) &&
    typeof m.sensor_id === 'string' &&
    SENSOR_ID.test(m.sensor_id) &&
    typeof m.sensor_type === 'string' &&
    WORD.test(m.sensor_type) &&
    isShortText(m.unit, 16) &&
    isRecord(location) &&
    isShortText(location.factory_section, 64) &&
    isShortText(location.machine_id, 64) &&
    isShortText(location.zone, 64) &&
    (m.alert_level === undefined || (LEVELS as readonly unknown[]).includes(m.alert_level)) &&
    (quality === undefined || (typeof quality === 'number' && quality >= 0 && quality <= 1)) &&
    (metadata === undefined || (isRecord(metadata) && hasPlainScalars(metadata)))
  )
}

/** Flat, with keys that PostgreSQL takes and that are no prototype. */
function hasPlainScalars(metadata: Record<string, unknown>): boolean {
  for (const key in metadata) {
    if (!isShortText(key, 64) || key === '__proto__' || !isPlainScalar(metadata[key])) return false
  }
  return true
}

function isRecord(x: unknown): x is Record<string, unknown> {
  return typeof x === 'object' && x !== null && !Array.isArray(x)
}

function isShortText(x: unknown, max: number): x is string {
  return typeof x === 'string' && x.length <= max && (KNOWN_TEXTS.has(x) || isNewPlainText(x))
}

/** Units, machines and zones are few: each is looked at once. Bounded, so that a flood of names cannot fill memory. */
const KNOWN_TEXTS = new Set<string>()

function isNewPlainText(x: string): boolean {
  if (!isPlainText(x)) return false
  if (KNOWN_TEXTS.size < 10_000) KNOWN_TEXTS.add(x)
  return true
}

function isPlainScalar(x: unknown): boolean {
  if (typeof x === 'number') return Number.isFinite(x)
  if (typeof x === 'string') return x.isWellFormed() && !x.includes('\0')
  return typeof x === 'boolean' || x === null
}
