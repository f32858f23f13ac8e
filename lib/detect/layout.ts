/**
 * How a detector's state lies in bytes. A state is a few views of a buffer: where many sensors have one each, the bytes
 * alone are kept, and copied to where views are while a reading is judged (see desk.ts).
 */
export interface Layout<State> {
  /** the most bytes that a state takes */
  readonly size: number
  /** the state that lies at this place, a multiple of 8, as it is there */
  at(buffer: ArrayBuffer, offset: number): State
  /** the state of a sensor that nothing is known of, whatever the bytes were before; missing: all zero */
  begin?(state: State): void
  /** how many of the bytes say something; missing: always all */
  used?(state: State): number
}

/** A state as what it is made of. */
export interface InBytes {
  readonly bytes: Uint8Array
}

/** What every detector can do with its state. */
export interface Kept<State> {
  /** rises whenever the meaning of the encoded state changes */
  readonly version: number
  readonly layout: Layout<State>
  create(): State
  encode(state: State): Uint8Array
  decode(bytes: Uint8Array, version: number): State | null
}

/** `older` reads what another version encoded into a state that has just begun; false where it can't be continued from. */
export function kept<State extends InBytes>(
  version: number,
  layout: Layout<State>,
  older: (state: State, bytes: Uint8Array, version: number) => boolean = () => false,
): Kept<State> {
  function create(): State {
    const state = layout.at(new ArrayBuffer(layout.size), 0)
    layout.begin?.(state)
    return state
  }
  return {
    version,
    layout,
    create,
    encode: (state) => state.bytes.slice(0, layout.used?.(state) ?? layout.size),
    decode(bytes, was) {
      const state = create()
      if (was !== version) return older(state, bytes, was) ? state : null
      if (bytes.length > layout.size) return null
      state.bytes.set(bytes)
      return bytes.length === (layout.used?.(state) ?? layout.size) ? state : null
    },
  }
}

/** A state of so many numbers, zero at first. */
export interface Numbers extends InBytes {
  readonly numbers: Float64Array
}

export function numbers(count: number): Layout<Numbers> {
  return {
    size: 8 * count,
    at: (buffer, offset) => ({
      bytes: new Uint8Array(buffer, offset, 8 * count),
      numbers: new Float64Array(buffer, offset, count),
    }),
  }
}
