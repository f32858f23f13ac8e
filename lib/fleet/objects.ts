import { factoryMessage, fromFactoryMessage } from '../reading.ts'
import { createLineSplitter, type Line } from './lines.ts'
import {
  createNamer,
  createReading,
  parseMoment,
  parseNumber,
  quote,
  TIME_NAME,
  type RecordingDecoder,
  type RecordingOptions,
  type Row,
} from './recording.ts'

/**
 * NDJSON → rows. A line is the product's own message (then it keeps its own fields), or any object: its time is the member
 * named or known as one; its values are the members named, else `value`, else every number in it, a sensor each.
 */
export function createObjectDecoder(options: RecordingOptions): RecordingDecoder {
  const splitter = createLineSplitter()
  const nameSensor = createNamer()

  function decode({ line, text }: Line): Row {
    const row: Row = { line, at: null, readings: [], faults: [], empty: 0 }
    const object = text === null ? 'is too long' : parseObject(text)
    if (typeof object === 'string') row.faults.push(object)
    else if (isFactoryForm(object)) readFactoryForm(object, row)
    else readAnyObject(object, row)
    return row
  }

  function readAnyObject(object: JsonObject, row: Row): void {
    const timeKey = options.timeColumn ?? Object.keys(object).find((key) => TIME_NAME.test(key))
    const time = timeKey === undefined ? undefined : object[timeKey]
    if (time !== undefined && time !== null) {
      const at = typeof time === 'string' || typeof time === 'number' ? parseMoment(String(time).trim()) : NaN
      if (Number.isNaN(at)) {
        row.faults.push(`time ${quote(JSON.stringify(time))} is not a date and time, nor a time since 1970`)
        return
      }
      row.at = at
    } else if (options.timeColumn !== null) {
      row.faults.push(`has no ${quote(options.timeColumn)}`)
      return
    }
    const { keys, named } = valueKeys(object, timeKey)
    if (keys.length === 0) row.faults.push('has no number in it')
    for (const key of keys) readValue(object, key, named, row)
  }

  /** `named`: one value with a known name, so that the sensor needs no name from its member. */
  function valueKeys(
    object: JsonObject,
    timeKey: string | undefined,
  ): { keys: readonly string[]; named: boolean } {
    const wanted = options.valueColumns
    if (wanted) return { keys: wanted, named: wanted.length === 1 }
    if (Object.hasOwn(object, 'value')) return { keys: ['value'], named: true }
    return {
      keys: Object.keys(object).filter((k) => k !== timeKey && typeof object[k] === 'number'),
      named: false,
    }
  }

  function readValue(object: JsonObject, key: string, named: boolean, row: Row): void {
    const raw = Object.hasOwn(object, key) ? object[key] : undefined
    if (raw === undefined || raw === null) {
      row.empty++
      return
    }
    const value = typeof raw === 'number' || typeof raw === 'string' ? parseNumber(String(raw).trim()) : NaN
    if (Number.isNaN(value)) {
      row.faults.push(`${key} ${quote(JSON.stringify(raw))} is not a decimal number within ±2^53`)
      return
    }
    const sensorId = nameSensor(ownId(object) ?? options.sensorId, named ? null : key)
    if (sensorId === null) row.faults.push('names one sensor more than 10,000')
    else row.readings.push(createReading(options, sensorId, row.at, value))
  }

  return {
    push: (piece) => splitter.push(piece).map(decode),
    end: () => splitter.end().map(decode),
    notices: () => [],
  }
}

type JsonObject = Record<string, unknown>
const ID_KEYS = ['sensor_id', 'sensorId', 'sensor', 'device_id', 'deviceId']

function parseObject(text: string): JsonObject | string {
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as JsonObject) : `is not a JSON object: got ${quote(text)}`
  } catch (error) {
    return `is not JSON: ${error instanceof Error ? error.message : String(error)}`
  }
}

function isFactoryForm(object: JsonObject): boolean {
  return Object.hasOwn(object, 'sensor_type') && Object.hasOwn(object, 'location')
}

function readFactoryForm(object: JsonObject, row: Row): void {
  const parsed = factoryMessage.safeParse(object)
  if (parsed.success) {
    const reading = fromFactoryMessage(parsed.data)
    row.at = reading.measuredAt
    row.readings.push(reading)
  } else {
    const [issue] = parsed.error.issues
    row.faults.push(`${issue?.path.join('.') ?? ''} ${issue?.message ?? 'is wrong'}`)
  }
}

function ownId(object: JsonObject): string | null {
  for (const key of ID_KEYS) {
    const id = object[key]
    if ((typeof id === 'string' && id.trim() !== '') || typeof id === 'number') return String(id)
  }
  return null
}
