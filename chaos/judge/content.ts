import { oneOf } from './by-number.ts'
import type { Content, Said } from './evidence.ts'

/**
 * What a message on the topic of readings says, by the contract alone (README, "a foreign message"): good where every
 * field is there and plain, bad where one that must be there is missing or of another type, unclear in between.
 */
export function contentOf(value: Uint8Array | null): Content {
  if (value === null) return bad('no value')
  if (value.length > 256 * 1024) return bad('larger than 256 KiB')
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value)
  } catch {
    return bad('not UTF-8')
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return bad('not JSON')
  }
  if (!isObject(json)) return bad('not an object')
  const { timestamp, sensor_id, sensor_type, unit, location, value: number, quality, metadata } = json
  if (!isObject(location)) return bad('no location')
  const texts = [
    timestamp,
    sensor_id,
    sensor_type,
    unit,
    location.factory_section,
    location.machine_id,
    location.zone,
  ]
  if (texts.some((t) => typeof t !== 'string')) return bad('a text is missing')
  if (typeof number !== 'number' || !Number.isFinite(number)) return bad('no number')
  if (quality !== undefined && typeof quality !== 'number') return bad('quality is no number')
  if (typeof quality === 'number' && (quality < 0 || quality > 1)) return bad('quality is no share')
  const at = microsOf(String(timestamp))
  if (at === null) return unclear('another form of time')
  const plain = /^[A-Za-z0-9._:-]{1,64}$/
  const words = [sensor_id, location.factory_section, location.machine_id, location.zone] as string[]
  if (
    words.some((w) => !plain.test(w)) ||
    !/^[a-z_]{1,32}$/.test(String(sensor_type)) ||
    /[\0-\x1f]/.test(String(unit))
  )
    return unclear('a name that is not plain')
  if (Math.abs(number) > 1e15) return unclear('a very large value')
  if (metadata !== undefined && (!isObject(metadata) || text.includes('\\')))
    return unclear('metadata that is not plain')
  const reading: Said = {
    sensor: oneOf(String(sensor_id)),
    type: oneOf(String(sensor_type)),
    unit: oneOf(String(unit)),
    section: oneOf(String(location.factory_section)),
    machine: oneOf(String(location.machine_id)),
    zone: oneOf(String(location.zone)),
    at,
    value: number,
    quality: typeof quality === 'number' ? quality : 1,
    history: isObject(metadata) && metadata.history === true,
  }
  return { is: 'good', reading, print: printOf(reading) }
}

const bits = new DataView(new ArrayBuffer(8))

/** Fingerprint of what a reading says, as the producers' record of accepted readings is documented to keep it. */
export function printOf(r: Omit<Said, 'history'>): bigint {
  bits.setFloat64(0, r.value + 0)
  const value = bits.getBigUint64(0).toString(16)
  bits.setFloat64(0, Math.fround(r.quality))
  const quality = bits.getBigUint64(0).toString(16)
  return Bun.hash.wyhash(
    [r.sensor, r.type, r.unit, r.section, r.machine, r.zone, r.at, value, quality].join('\n'),
  )
}

/** Microseconds since 1970 of a plain UTC time; null for any other form. */
function microsOf(text: string): number | null {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?Z$/.exec(text)
  const seconds = match ? Date.parse(`${match[1]}Z`) : NaN
  if (!match || Number.isNaN(seconds)) return null
  if (new Date(seconds).toISOString().slice(0, 19) !== match[1]) return null
  return seconds * 1000 + Number((match[2] ?? '').padEnd(6, '0'))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function bad(why: string): Content {
  return { is: 'bad', why }
}

function unclear(why: string): Content {
  return { is: 'unclear', why }
}
