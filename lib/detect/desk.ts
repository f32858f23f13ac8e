import type { Layout, Numbers } from './layout.ts'
import { recent } from './recent.ts'

/**
 * Where one sensor after the other is judged: the states of all detectors for a list of rules, as views of one buffer. A
 * sensor itself keeps only packed bytes: they are laid on the desk, its detectors move the states, and the bytes are
 * taken back. Two copies of a kilobyte a reading, and no object a state.
 *
 * Packed are first the states that are always as long, one after another, then each of the others behind its length.
 */
export interface Desk extends Packing {
  readonly parts: readonly Part[]
  /** of the parts, in their order */
  readonly states: readonly object[]
  readonly recent: Numbers
  /** lays these bytes out; they must be of this packing */
  lay(packed: Buffer): void
  /** the states of a sensor that nothing is known of */
  begin(): void
  /** replaces the state of this part by what was encoded; false, and nothing done, where it can't be gone on from */
  goOn(part: Part, bytes: Uint8Array, version: number): boolean
  /** what lies there goes into these bytes, or into longer ones where they don't suffice */
  pack(into: Buffer | null): Buffer
}

/** What packed bytes consist of. */
export interface Packing {
  /** equal for those that are packed alike */
  readonly signature: string
  readonly slots: readonly Slot[]
}

export interface Slot {
  /** '' for what belongs to no rule */
  readonly ruleId: string
  readonly detector: string
  readonly version: number
  /** bytes; 0: it says how long it is */
  readonly size: number
}

/** A rule's detector, as far as its states go. */
export interface Part {
  readonly ruleId: string
  readonly detector: string
  readonly version: number
  readonly layout: Layout<object>
  decode(bytes: Uint8Array, version: number): object | null
  encode(state: object): Uint8Array
}

/** a length, in bytes */
const LENGTH = 4
/** what a growing state may still take before its bytes move */
const SLACK = 32
/** states begin at a multiple of eight bytes, as views of doubles have to */
const roomFor = (size: number) => Math.ceil(size / 8) * 8

export function packingOf(slots: readonly Slot[]): Packing {
  return { slots, signature: slots.map((s) => `${s.ruleId} ${s.detector} ${s.version} ${s.size}`).join('\n') }
}

export function createDesk(parts: readonly Part[]): Desk {
  const fixed = parts.filter(({ layout }) => !layout.used)
  const growing = parts.filter(({ layout }) => layout.used)
  const offsets = new Map<Part, number>()
  let end = roomFor(recent.layout.size)
  let fixedEnd = end
  for (const part of [...fixed, ...growing]) {
    offsets.set(part, end)
    end += roomFor(part.layout.size)
    if (!part.layout.used) fixedEnd = end
  }
  const buffer = new ArrayBuffer(end)
  const bytes = Buffer.from(buffer)
  const stateOf = new Map([...offsets].map(([part, at]) => [part, part.layout.at(buffer, at)]))
  const stateAt = (part: Part) => stateOf.get(part) as object
  const slotOf = ({ ruleId, detector, version, layout }: Part): Slot => ({
    ruleId,
    detector,
    version,
    size: layout.used ? 0 : layout.size,
  })
  const grown = growing.map((part) => ({
    at: offsets.get(part) ?? 0,
    used: () => part.layout.used?.(stateAt(part)) ?? part.layout.size,
    /** of what is being packed */
    size: 0,
  }))

  return {
    ...packingOf([
      { ...recent.slot, size: recent.layout.size },
      ...fixed.map(slotOf),
      ...growing.map(slotOf),
    ]),
    parts,
    states: parts.map(stateAt),
    recent: recent.layout.at(buffer, 0),
    lay(packed) {
      packed.copy(bytes, 0, 0, fixedEnd)
      let from = fixedEnd
      for (const { at } of grown) {
        const length = packed.readUInt32LE(from)
        packed.copy(bytes, at, from + LENGTH, from + LENGTH + length)
        from += LENGTH + length
      }
    },
    begin() {
      bytes.fill(0)
      for (const part of parts) part.layout.begin?.(stateAt(part))
    },
    goOn(part, encoded, version) {
      const state = part.decode(encoded, version)
      if (state) bytes.set(part.encode(state), offsets.get(part))
      return state !== null
    },
    pack(into) {
      let length = fixedEnd
      for (const one of grown) {
        one.size = one.used()
        length += LENGTH + one.size
      }
      const fits = into !== null && into.length >= length
      const packed = fits ? into : Buffer.alloc(length + (grown.length > 0 ? SLACK : 0))
      bytes.copy(packed, 0, 0, fixedEnd)
      let to = fixedEnd
      for (const { at, size } of grown) {
        packed.writeUInt32LE(size, to)
        bytes.copy(packed, to + LENGTH, at, at + size)
        to += LENGTH + size
      }
      return packed
    },
  }
}

/** How many of the bytes say something: what is behind them is room to grow. */
export function packedLength({ slots }: Packing, packed: Buffer): number {
  let at = 0
  for (const { size } of slots) at += size > 0 ? roomFor(size) : LENGTH + packed.readUInt32LE(at)
  return at
}

/** Each slot with its bytes, which are those of `packed`. */
export function unpack({ slots }: Packing, packed: Buffer): { slot: Slot; bytes: Uint8Array }[] {
  let at = 0
  return slots.map((slot) => {
    if (slot.size > 0) {
      const bytes = packed.subarray(at, at + slot.size)
      at += roomFor(slot.size)
      return { slot, bytes }
    }
    const from = at + LENGTH
    at = from + packed.readUInt32LE(at)
    return { slot, bytes: packed.subarray(from, at) }
  })
}
