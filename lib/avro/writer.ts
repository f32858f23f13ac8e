import { EXIT, sleep, Stop } from '../run.ts'
import { log } from '../log.ts'
import { SchemaRefused, type Registry } from './registry.ts'
import { typeOf } from './schemas.ts'
import { framed } from './wire.ts'

/** Writes one record type to one topic, its schema registered as `<topic>-value`. */
export interface AvroWriter<T extends object> {
  /**
   * Asks the registry until the schema has its number, or the signal aborts. Where the registry is away, `remembered` will
   * do: what memo() gave in an earlier life. Throws Stop (78) where the schema is refused.
   */
  ready(signal: AbortSignal, remembered?: string): Promise<void>
  isReady(): boolean
  /** the registry's last word while the schema has no number; null when it has one, or nobody has asked */
  waitsFor(): string | null
  /** the schema's number, for a later life of this writer that finds the registry away */
  memo(): string
  /** Throws before the schema has its number, and on a value that is not of its type. */
  encode(value: T): Buffer
}

const RETRY_MS = 1000
const TELL_EVERY_MS = 10_000

export function createWriter<T extends object>(
  topic: string,
  schema: string,
  registry: Registry,
): AvroWriter<T> {
  const type = typeOf(schema)
  const subject = `${topic}-value`
  let id: number | null = null
  let away: string | null = null
  // A number is one registry's own, and stands for one schema alone.
  const memo = (number: number) => JSON.stringify({ registry: registry.address, schema, id: number })

  function numberIn(remembered: string | undefined): number | null {
    const number = Number(/"id":(\d+)\}$/.exec(remembered ?? '')?.[1])
    return number > 0 && remembered === memo(number) ? number : null
  }

  return {
    isReady: () => id !== null,
    waitsFor: () => (id === null ? away : null),
    memo() {
      if (id === null) throw new Error(`Cannot remember schema ${subject}: it has no number yet`)
      return memo(id)
    },
    async ready(signal, remembered) {
      let toldAt = -Infinity
      while (id === null && !signal.aborted) {
        try {
          id = await registry.register(subject, schema)
        } catch (error) {
          if (error instanceof SchemaRefused) throw new Stop(error.message, EXIT.config, { cause: error })
          away = (error as Error).message
          id = numberIn(remembered)
          if (performance.now() - toldAt > TELL_EVERY_MS) {
            toldAt = performance.now()
            log.warn('registry.away', { subject, remembered: id, error: error as Error })
          }
          if (id === null) await sleep(RETRY_MS, signal)
        }
      }
    },
    encode(value) {
      if (id === null) throw new Error(`Cannot write to ${topic}: schema ${subject} has no number yet`)
      return framed(id, type.toBuffer(value))
    },
  }
}
