import { EXIT, sleep, Stop } from '../run.ts'
import { log } from '../log.ts'
import { SchemaRefused, type Registry } from './registry.ts'
import { schemaText, typeOf, type SchemaName } from './schemas.ts'
import { framed } from './wire.ts'

/** Writes one record type to one topic, its schema registered as `<topic>-value`. */
export interface AvroWriter<T extends object> {
  /** one attempt to have the schema's number; afterwards `encode` works. Throws RegistryAway or SchemaRefused. */
  prepare(): Promise<void>
  /** the same until it succeeds or the signal aborts. Throws Stop (78) where the registry refuses the schema. */
  ready(signal: AbortSignal): Promise<void>
  /** Throws before the schema has its number, and on a value that is not of its type. */
  encode(value: T): Buffer
}

const RETRY_MS = 1000
const TELL_EVERY_MS = 10_000

export function createWriter<T extends object>(
  topic: string,
  name: SchemaName,
  registry: Registry,
): AvroWriter<T> {
  const text = schemaText(name)
  const type = typeOf(text)
  const subject = `${topic}-value`
  let id: number | null = null

  async function prepare(): Promise<void> {
    id ??= await registry.register(subject, text)
  }

  return {
    prepare,
    async ready(signal) {
      let toldAt = -Infinity
      while (id === null && !signal.aborted) {
        try {
          await prepare()
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
