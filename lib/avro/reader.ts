import type { Type } from 'avsc'
import { RegistryAway, type Registry } from './registry.ts'
import { nameOf, typeOf } from './schemas.ts'
import { HEAD_BYTES, schemaIdOf } from './wire.ts'

/**
 * Reads one record type, whatever version of its schema a message was written by: the writer's schema comes from the
 * registry by its number, and Avro's own rules lead from it to ours. Fields that we don't know are passed over, fields
 * that it doesn't have get our defaults: so readers and writers are brought up to date in any order.
 */
export interface AvroReader<T> {
  /** makes sure of the schemas of these messages, as far as the registry answers */
  learn(values: Iterable<Buffer | null>): Promise<void>
  /** Throws SchemaPending where the registry has not been able to tell yet. */
  read(value: Buffer): T | Unreadable
}

/** This message can never be read: a word to sort by, and a sentence. */
export class Unreadable {
  constructor(
    readonly reason: 'not_avro' | 'unknown_schema' | 'schema' | 'truncated' | 'decode',
    readonly message: string,
  ) {}
}

/** Whether it can be read is not known: the registry is away. To be tried again. */
export class SchemaPending extends Error {}

/** How to read what a schema's number stands for. */
type Plan = { type: Type; resolver: Resolver; tsFactor: number } | Unreadable
type Resolver = ReturnType<Type['createResolver']>

/** A number that nobody has registered is asked for again after this: somebody may register late. */
const ABSENT_MS = 10_000
/** Random bytes may name any number: so many are remembered as unknown. */
const ABSENT_KEPT = 10_000
const QUESTIONS_AT_ONCE = 8

export function createReader<T extends { ts: number }>(
  schema: string,
  registry: Registry,
  now: () => number = Date.now,
): AvroReader<T> {
  const reader = typeOf(schema)
  const plans = new Map<number, Plan>()
  const absent = new Map<number, number>()
  let away = 'not asked yet'

  async function learnOne(id: number): Promise<void> {
    try {
      const text = await registry.schema(id)
      if (text !== null) {
        plans.set(id, planFor(text, id))
        return
      }
      if (absent.size >= ABSENT_KEPT) absent.delete(absent.keys().next().value ?? 0)
      absent.set(id, now() + ABSENT_MS)
    } catch (error) {
      if (!(error instanceof RegistryAway)) throw error
      away = error.message
    }
  }

  function planFor(text: string, id: number): Plan {
    try {
      const writer = typeOf(text)
      const resolver = reader.createResolver(writer, { ignoreNamespaces: true } as object)
      return { type: reader, resolver, tsFactor: isInMillis(text) ? 1000 : 1 }
    } catch (error) {
      return new Unreadable(
        'schema',
        `is written by schema ${id}, which is no ${nameOf(schema)}: ${(error as Error).message}`,
      )
    }
  }

  return {
    async learn(values) {
      const wanted = new Set<number>()
      for (const value of values) {
        const id = value === null ? null : schemaIdOf(value)
        if (id === null || id < 1 || plans.has(id) || (absent.get(id) ?? 0) > now()) continue
        wanted.add(id)
      }
      const ids = [...wanted]
      while (ids.length > 0) await Promise.all(ids.splice(0, QUESTIONS_AT_ONCE).map(learnOne))
    },
    read(value) {
      const id = schemaIdOf(value)
      if (id === null) {
        return new Unreadable('not_avro', 'does not begin with byte 0 and the number of a schema')
      }
      const plan = plans.get(id)
      if (plan instanceof Unreadable) return plan
      if (!plan) {
        if (id < 1 || (absent.get(id) ?? 0) > now()) {
          return new Unreadable('unknown_schema', `names schema ${id}, which the registry does not know`)
        }
        throw new SchemaPending(`Cannot read a message of schema ${id}: ${away}`)
      }
      try {
        const { value: record, offset } = plan.type.decode(value, HEAD_BYTES, plan.resolver)
        if (offset < 0) return new Unreadable('truncated', `ends within a record of schema ${id}`)
        if (offset < value.length) {
          return new Unreadable(
            'decode',
            `goes on for ${value.length - offset} bytes after a record of schema ${id}`,
          )
        }
        const read = record as T
        if (plan.tsFactor !== 1) read.ts *= plan.tsFactor
        return read
      } catch (error) {
        return new Unreadable('decode', `is no record of schema ${id}: ${(error as Error).message}`)
      }
    },
  }
}

/** Writers that count milliseconds say so by the logical type; Avro itself would take their number as it is. */
function isInMillis(text: string): boolean {
  const { fields = [] } = JSON.parse(text) as {
    fields?: { name?: string; type?: { logicalType?: string } }[]
  }
  return fields.find((field) => field.name === 'ts')?.type?.logicalType === 'timestamp-millis'
}
