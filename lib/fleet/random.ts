/**
 * Randomness that can be repeated. Two kinds, both from a text, and every sensor has texts of its own, so that one
 * more sensor changes none of the others:
 * - Random draws one number after the other (sfc32 by Chris Doty-Humphrey, public domain);
 * - Noise is a function of a position: the n-th number is had without the n − 1 before it, so a simulation can be
 *   entered at any moment and a restart does not jump.
 */
export interface Random {
  /** 0 ≤ x < 1 */
  next(): number
  /** low ≤ x < high */
  between(low: number, high: number): number
  /** low ≤ n ≤ high, whole */
  whole(low: number, high: number): number
}

export function createRandom(seed: string): Random {
  let [a, b] = hashText(seed)
  let c = 0x9e3779b9 | 0
  let counter = 1
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return (sum >>> 0) / 2 ** 32
  }
  for (let i = 0; i < 12; i++) next()
  return {
    next,
    between: (low, high) => low + (high - low) * next(),
    whole: (low, high) => low + Math.floor(next() * (high - low + 1)),
  }
}

export interface Noise {
  /** 0 ≤ x < 1, a function of stream and position (both whole numbers, position up to 2^53) */
  uniform(stream: number, position: number): number
  /** normal with mean 0 and deviation 1 (Box and Muller, 1958), a function of stream and position */
  gauss(stream: number, position: number): number
}

export function createNoise(seed: string): Noise {
  const [a, b] = hashText(seed)
  return {
    uniform: (stream, position) => mix(a, stream, position) / 2 ** 32,
    gauss(stream, position) {
      const radius = Math.sqrt(-2 * Math.log((mix(a, stream, position) + 0.5) / 2 ** 32))
      return radius * Math.cos((2 * Math.PI * mix(b, stream, position)) / 2 ** 32)
    },
  }
}

/** MurmurHash3's 32-bit body and finish (Austin Appleby, public domain) over the position's two halves and the stream. */
function mix(key: number, stream: number, position: number): number {
  let h = block(key, position | 0)
  h = block(h, (position / 2 ** 32) | 0)
  h = block(h, stream)
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function block(h: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51)
  k = (k << 15) | (k >>> 17)
  h ^= Math.imul(k, 0x1b873593)
  h = (h << 13) | (h >>> 19)
  return (Math.imul(h, 5) + 0xe6546b64) | 0
}

function hashText(text: string): [number, number] {
  let a = 0x2f5a91c7
  let b = 0x6b43e1d9
  for (let i = 0; i < text.length; i++) {
    a = block(a, text.charCodeAt(i))
    b = block(b, text.charCodeAt(i) ^ 0x5bd1)
  }
  return [mix(a, 1, text.length) | 0, mix(b, 2, text.length) | 0]
}
