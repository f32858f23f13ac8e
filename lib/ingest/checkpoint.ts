import type { OpenAlarm } from '../alarm/alarm.ts'
import { packedLength, packingOf, type Packing, type Slot } from '../detect/desk.ts'
import type { Level, Location } from '../reading.ts'
import { decodeFirst, decodeSecond } from './checkpoint-old.ts'
import { type Mark, type Range } from './marks.ts'
import { putMark } from './mark-book.ts'
import { createState, type PartitionState } from './partition.ts'
import { createSensor, heldStates, isDescribedAlike, type Described, type SensorState } from './sensor.ts'

/**
 * The state of a partition as bytes: what to continue from, and where each sensor's alarms stand. Version 3 is a row of
 * blocks, so that neither writing nor reading one takes memory for all sensors at once:
 *   length of the block (4 bytes, little-endian) · zstd over: length of the header (4 bytes) · header (JSON) · bytes
 * The header has some hundred sensors or marks in short; the bytes are theirs, one after another: what a sensor's
 * detectors know, packed, and the last contents of a mark. Versions 1 and 2: see checkpoint-old.ts.
 */
export const CHECKPOINT_VERSION = 3

export interface Checkpoint {
  state: PartitionState
  /** the rule book that was in force; 0: none was */
  rulesVersion: number
}

interface Header {
  rules: number
  /** what packed states consist of; sensors name it by its place */
  packings: (readonly Slot[])[]
  sensors: StoredSensor[]
  marks: StoredMark[]
}

type StoredDescription = [string, string, string, Location, number | null, number | null]

/** its newest reading, then what else is known of it; the last two, mostly missing: what it was described as, its alarms */
type StoredSensor = [
  description: StoredDescription,
  measuredAt: number,
  value: number,
  quality: number,
  claimedLevel: Level | null,
  metadata: Record<string, unknown> | null,
  key: number,
  watermark: number | null,
  count: number,
  level: number,
  flags: number,
  offset: number,
  run: string | null,
  packing: number,
  bytes: number,
  described?: StoredDescription | null,
  open?: readonly OpenAlarm[],
]

type StoredMark = [source: string, runId: string, high: number, spilled: 0 | 1, missing?: Range[]]

const BLOCK = 256
const MARK_BYTES = 4 * 32
const LENGTH = 4

export function encodeCheckpoint(state: PartitionState): Buffer {
  const blocks: Uint8Array[] = []
  let block = newBlock(state)
  const next = () => {
    if (block.size() < BLOCK) return
    blocks.push(...block.finish())
    block = newBlock(state)
  }
  for (const sensor of state.sensors.values()) {
    block.addSensor(sensor)
    next()
  }
  for (const [source, runs] of state.marks)
    for (const [runId, mark] of runs) {
      block.addMark(source, runId, mark)
      next()
    }
  blocks.push(...block.finish())
  return Buffer.concat(blocks)
}

function newBlock({ rules }: PartitionState) {
  const places = new Map<string, number>()
  const header: Header = { rules: rules.version, packings: [], sensors: [], marks: [] }
  const parts: Uint8Array[] = []
  const placeOf = ({ signature, slots }: Packing) => {
    let place = places.get(signature)
    if (place === undefined) places.set(signature, (place = header.packings.push(slots) - 1))
    return place
  }
  return {
    size: () => header.sensors.length + header.marks.length,
    addSensor(s: SensorState) {
      const { packing, packed } = statesOf(s)
      const length = packedLength(packing, packed)
      parts.push(packed.subarray(0, length))
      header.sensors.push(storedSensor(s, placeOf(packing), length))
    },
    addMark(source: string, runId: string, { high, missing, spilled, recent }: Mark) {
      parts.push(new Uint8Array(recent.buffer, recent.byteOffset, recent.byteLength))
      const stored: StoredMark = [source, runId, high, spilled ? 1 : 0]
      if (missing.length > 0) stored.push(missing)
      header.marks.push(stored)
    },
    finish(): Uint8Array[] {
      const text = Buffer.from(JSON.stringify(header))
      const zipped = Bun.zstdCompressSync(Buffer.concat([lengthOf(text), text, ...parts]), { level: 1 })
      return [lengthOf(zipped), zipped]
    },
  }
}

function lengthOf(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(LENGTH)
  length.writeUInt32LE(bytes.length)
  return length
}

/** Also those at rest, each behind its length. */
function statesOf(sensor: SensorState): { packing: Packing; packed: Buffer } {
  const { packing, packed, resting } = sensor
  if (packing && packed && resting.length === 0) return { packing, packed }
  const held = heldStates(sensor)
  return {
    packing: packingOf(held.map(({ slot }) => ({ ...slot, size: 0 }))),
    packed: Buffer.concat(held.flatMap(({ bytes }) => [lengthOf(bytes), bytes])),
  }
}

function storedSensor(s: SensorState, packing: number, bytes: number): StoredSensor {
  const { measuredAt, value, quality, claimedLevel, metadata } = s.reading
  const stored: StoredSensor = [
    storedDescription(s.reading),
    measuredAt,
    value,
    quality,
    claimedLevel,
    metadata,
    s.sensorKey,
    Number.isFinite(s.watermark) ? s.watermark : null,
    s.count,
    s.level,
    s.flags,
    s.offset,
    s.runId,
    packing,
    bytes,
  ]
  const isAlike = isDescribedAlike(s.reading, s.described)
  if (!isAlike || s.open.length > 0) stored.push(isAlike ? null : storedDescription(s.described))
  if (s.open.length > 0) stored.push(s.open)
  return stored
}

function storedDescription(d: Described): StoredDescription {
  return [d.sensorId, d.sensorType, d.unit, d.location, d.warningThreshold, d.criticalThreshold]
}

/** Null for bytes of a version that this program cannot read: the caller says that it learns anew. */
export function decodeCheckpoint(bytes: Uint8Array, version: number): Checkpoint | null {
  if (version === 1) return decodeFirst(bytes)
  if (version === 2) return decodeSecond(bytes)
  if (version !== CHECKPOINT_VERSION) return null
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const state = createState()
  /** one for all that are alike, so that it is held once */
  const packings = new Map<string, Packing>()
  let rulesVersion = 0
  for (let at = 0; at < all.length;) {
    const from = at + LENGTH
    at = from + all.readUInt32LE(at)
    rulesVersion = readBlock(Bun.zstdDecompressSync(all.subarray(from, at)), state, packings)
  }
  return { state, rulesVersion }
}

function readBlock(block: Buffer, state: PartitionState, known: Map<string, Packing>): number {
  const headerEnd = LENGTH + block.readUInt32LE(0)
  const header = JSON.parse(block.toString('utf8', LENGTH, headerEnd)) as Header
  const packings = header.packings.map((slots) => {
    const packing = packingOf(slots)
    if (!known.has(packing.signature)) known.set(packing.signature, packing)
    return known.get(packing.signature) ?? packing
  })
  let at = headerEnd
  const next = (length: number) => block.subarray(at, (at += length))
  for (const stored of header.sensors) {
    const sensor = sensorOf(stored)
    const [, , , , , , , , , , , , , packing, length] = stored
    sensor.packing = packings[packing] ?? null
    sensor.packed = Buffer.allocUnsafeSlow(length)
    next(length).copy(sensor.packed)
    state.sensors.set(sensor.reading.sensorId, sensor)
  }
  for (const [source, runId, high, spilled, missing = []] of header.marks) {
    const recent = new Uint32Array(MARK_BYTES / 4)
    new Uint8Array(recent.buffer).set(next(MARK_BYTES))
    putMark(state.marks, source, runId, { high, missing, spilled: spilled === 1, recent })
  }
  return header.rules
}

function sensorOf(stored: StoredSensor): SensorState {
  const [description, measuredAt, value, quality, claimedLevel, metadata, key, watermark] = stored
  const [, , , , , , , , count, level, flags, offset, run, , , described, open] = stored
  const reading = { ...descriptionOf(description), measuredAt, value, quality, claimedLevel, metadata }
  const sensor = createSensor(reading, key)
  if (described) sensor.described = descriptionOf(described)
  sensor.watermark = watermark ?? -Infinity
  sensor.count = count
  sensor.level = level
  sensor.flags = flags
  sensor.offset = offset
  sensor.runId = run
  if (open) sensor.open = open
  return sensor
}

function descriptionOf(stored: StoredDescription): Described {
  const [sensorId, sensorType, unit, location, warningThreshold, criticalThreshold] = stored
  return { sensorId, sensorType, unit, location, warningThreshold, criticalThreshold }
}
