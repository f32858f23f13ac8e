import { EXIT, sleep, Stop } from '../run.ts'
import { log } from '../log.ts'
import { SchemaRefused, type Registry } from './registry.ts'
import { typeOf } from './schemas.ts'
import { framed } from './wire.ts'

/** Writes one record type to one topic, its schema registered as `<topic>-value`. */
export interface AvroWriter<T extends object> {
  /** asks the registry until the schema has its number, or the signal aborts. Throws Stop (78) where it is refused. */
  ready(signal: AbortSignal): Promise<void>
  isReady(): boolean
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

  return {
    isReady: () => id !== null,
    async ready(signal) {
      let toldAt = -Infinity
      while (id === null && !signal.aborted) {
        try {
          id = await registry.register(subject, schema)
        } catch (error) {
          if (error instanceof SchemaRefused) throw new Stop(error.message, EXIT.config, { cause: error })
          if (performance.now() - toldAt > TELL_EVERY_MS) {
            toldAt = performance.now()
            log.warn('registry.away', { subject, error: error as Error })
          }
          await sleep(RETRY_MS, signal)
        }
      }
    },
    encode(value) {
      if (id === null) throw new Error(`Cannot write to ${topic}: schema ${subject} has no number yet`)
      return framed(id, type.toBuffer(value))
    },
  }
}
