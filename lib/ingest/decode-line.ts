import type { z } from 'zod'
import {
  asReading,
  fromHeartbeatMessage,
  fromLineMessage,
  heartbeatMessage,
  lineMessage,
  signOfLife,
} from '../line.ts'
import { Fault, fieldCount, issuesOf, isUnderflow, parseJson, type Decoded } from './decode.ts'

const LINE_FIELDS = Object.keys(lineMessage.shape).length
const HEARTBEAT_FIELDS = Object.keys(heartbeatMessage.shape).length

/** Bytes of topic SENSOR_READINGS → one reading and how far its line is. Never throws. */
export function decodeLine(value: Buffer | null): Decoded | Fault {
  const checked = check(value, lineMessage)
  if (checked instanceof Fault) return checked
  const { message, text, fields } = checked
  if (message.reading === 0 && isUnderflow(text, 'reading'))
    return new Fault('schema', 'reading: is smaller than a double can hold, it would become 0')
  const line = fromLineMessage(message)
  return {
    source: line.sensorId,
    readings: [asReading(line)],
    unknownFields: fields - LINE_FIELDS,
    fact: { kind: 'line', ...line },
  }
}

/** Bytes of topic SENSOR_HEARTBEAT → a sign of life. Never throws. */
export function decodeHeartbeat(value: Buffer | null): Decoded | Fault {
  const checked = check(value, heartbeatMessage)
  if (checked instanceof Fault) return checked
  const beat = fromHeartbeatMessage(checked.message)
  return {
    source: beat.sensorId,
    readings: [signOfLife(beat)],
    unknownFields: checked.fields - HEARTBEAT_FIELDS,
    fact: { kind: 'heartbeat', ...beat },
    isCounted: true,
  }
}

function check<T>(
  value: Buffer | null,
  schema: z.ZodType<T>,
): Fault | { message: T; text: string; fields: number } {
  const json = parseJson(value)
  if (json instanceof Fault) return json
  const checked = schema.safeParse(json.parsed)
  if (!checked.success) return new Fault('schema', issuesOf(checked.error))
  return { message: checked.data, text: json.text, fields: fieldCount(json.parsed) }
}
