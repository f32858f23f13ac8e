import type { Carried, Measured } from '../fleet/fleet.ts'
import { contentHash } from '../hash.ts'
import { MAX_VALUE_BYTES, type Reading } from '../reading.ts'
import { createFrameWriter, type FrameWriter } from './frame.ts'
import type { LedgerRun } from './ledger.ts'
import type { Register, Sensor, Stream } from './register.ts'

/**
 * What is accepted together: messages get their identity and their bytes here, once, and then wait for the one commit
 * that makes all of it true. A commit that fails is tried again with the same group.
 */
export interface Group {
  readonly messages: number
  readonly bytes: number
  readonly newStreams: Stream[]
  readonly newSensors: Sensor[]
  readonly touched: Set<Stream>
  readonly runs: LedgerRun[]
  readonly writers: { topic: string; partition: number; writer: FrameWriter }[]
  readonly refused: Refused[]
  readonly memos: ReadonlyMap<string, string>
  add(measured: Measured<Carried>): void
}

/** A message that no broker will take; its first bytes are kept for the dead letter. */
export interface Refused {
  topic: string
  key: string
  seq: number
  sensors: number[]
  reason: 'too_large' | 'refused_by_broker'
  message: string
  value: Uint8Array
  valueBytes: number
  valueSha256: Uint8Array
}

/** A chunk is sent whole or not at all, so it is never larger than one send. */
export const CHUNK_MESSAGES = 1000
export const CHUNK_BYTES = 512 * 1024
const KEPT_VALUE_BYTES = 64 * 1024

export function createGroup(register: Register, runId: string): Group {
  const newStreams: Stream[] = []
  const newSensors: Sensor[] = []
  const touched = new Set<Stream>()
  const runs: LedgerRun[] = []
  const openRuns = new Map<number, LedgerRun>()
  const writers: Group['writers'] = []
  const openWriters = new Map<string, FrameWriter>()
  const refused: Refused[] = []
  const memos = new Map<string, string>()
  let messages = 0
  let bytes = 0

  const streamOf = (topic: string, key: string): Stream => {
    const known = register.stream(topic, key)
    if (known) return known
    const stream = register.addStream(topic, key)
    newStreams.push(stream)
    return stream
  }
  const sensorOf = (sensorId: string): number => {
    const known = register.sensor(sensorId)
    if (known) return known.sensor
    const sensor = register.addSensor(sensorId)
    newSensors.push(sensor)
    return sensor.sensor
  }
  const remember = (sensor: number, seq: number, hash: bigint) => {
    const open = openRuns.get(sensor)
    if (open && open.firstSeq + open.hashes.length === seq) {
      open.hashes.push(hash)
      return
    }
    const run = { sensor, firstSeq: seq, hashes: [hash] }
    openRuns.set(sensor, run)
    runs.push(run)
  }
  const writerOf = (stream: Stream): FrameWriter => {
    const name = `${stream.topic}/${stream.partition}`
    const open = openWriters.get(name)
    if (open && open.messages < CHUNK_MESSAGES && open.bytes < CHUNK_BYTES - MAX_VALUE_BYTES) return open
    const writer = createFrameWriter()
    openWriters.set(name, writer)
    writers.push({ topic: stream.topic, partition: stream.partition, writer })
    return writer
  }

  return {
    get messages() {
      return messages
    },
    get bytes() {
      return bytes
    },
    newStreams,
    newSensors,
    touched,
    runs,
    writers,
    refused,
    memos,
    add(measured) {
      const stream = streamOf(measured.topic, measured.key)
      const seq = stream.nextSeq
      const value = measured.encode({ runId, seq })
      const readings = readingsOf(measured)
      const sensors = readings.map((reading) => sensorOf(reading.sensorId))
      const writer = writerOf(stream)
      const before = writer.bytes
      if (writer.append(measured.key, value, seq, sensors)) {
        bytes += writer.bytes - before
      } else {
        refused.push(refusal(stream, seq, sensors, Buffer.from(value), 'too_large'))
      }
      readings.forEach((reading, i) => remember(sensors[i] as number, seq, contentHash(reading)))
      stream.nextSeq = seq + 1 // last: where encode throws, no number is used up
      touched.add(stream)
      if (measured.memo) memos.set(measured.memo.name, measured.memo.text)
      messages++
    },
  }
}

function readingsOf({ reading }: Measured<Carried>): readonly Reading[] {
  return Array.isArray(reading) ? reading : [reading as Reading]
}

export function refusal(
  { topic, key }: { topic: string; key: string },
  seq: number,
  sensors: number[],
  value: Uint8Array,
  reason: Refused['reason'],
  seen = '',
): Refused {
  const message =
    reason === 'too_large'
      ? `Cannot send the message: it has ${value.length} bytes, at most ${MAX_VALUE_BYTES} are taken`
      : `Cannot send the message: the broker refused it for good: ${seen}`
  return {
    topic,
    key,
    seq,
    sensors,
    reason,
    message,
    value: value.subarray(0, KEPT_VALUE_BYTES),
    valueBytes: value.length,
    valueSha256: new Bun.CryptoHasher('sha256').update(value).digest(),
  }
}
