import type { Type } from 'avsc'
import { RegistryAway, type Registry, type Schema } from './registry.ts'
import { nameOf, nullable, requiredFields, typeOf } from './schemas.ts'
import { HEAD_BYTES, schemaIdOf } from './wire.ts'

/**
 * Reads one record type, whatever version of its schema a message was written by: the writer's schema comes from the
 * registry by its number, and Avro's own rules lead from it to ours. Fields that we don't know are passed over, fields
 * that it doesn't have get our defaults: so readers and writers are brought up to date in any order. A field that it may
 * leave out is read where it has a value.
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
type Plan = { resolver: Resolver; tsFactor: number } | Unreadable
type Resolver = ReturnType<Type['createResolver']>

/** Random bytes may name any number: so many are remembered as unknown. */
const ABSENT_KEPT = 10_000
const QUESTIONS_AT_ONCE = 8

export function createReader<T extends { ts: number }>(schema: string, registry: Registry): AvroReader<T> {
  const reader = typeOf(nullable(schema))
  const required = requiredFields(schema) as (keyof T & string)[]
  const plans = new Map<number, Plan>()
  /** numbers that nobody had registered when they were last asked for */
  const absent = new Set<number>()
  let away = 'not asked yet'

  async function learnOne(id: number): Promise<void> {
    try {
      const written = await registry.schema(id)
      if (written !== null) {
        plans.set(id, planFor(written, id))
        absent.delete(id)
        return
      }
      if (absent.size >= ABSENT_KEPT) absent.delete(absent.keys().next().value ?? 0)
      absent.add(id)
    } catch (error) {
      if (!(error instanceof RegistryAway)) throw error
      away = error.message
      absent.delete(id) // it may have been registered since
    }
  }

  function planFor({ text, references }: Schema, id: number): Plan {
    try {
      const writer = typeOf(text, references)
      const resolver = reader.createResolver(writer, { ignoreNamespaces: true } as object)
      return { resolver, tsFactor: isInMillis(text) ? 1000 : 1 }
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
        // One that was absent is asked for again: whoever writes with it registers it first, perhaps just now.
        if (id === null || id < 1 || plans.has(id)) continue
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
        if (id < 1 || absent.has(id)) {
          return new Unreadable('unknown_schema', `names schema ${id}, which the registry does not know`)
        }
        throw new SchemaPending(`Cannot read a message of schema ${id}: ${away}`)
      }
      try {
        const { value: record, offset } = reader.decode(value, HEAD_BYTES, plan.resolver)
        if (offset < 0) return new Unreadable('truncated', `ends within a record of schema ${id}`)
        if (offset < value.length) {
          return new Unreadable(
            'decode',
            `goes on for ${value.length - offset} bytes after a record of schema ${id}`,
          )
        }
        const read = record as T
        for (const name of required) {
          if (read[name] === null) return new Unreadable('schema', `${name}: must have a value, is null`)
        }
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
  type Logical = { logicalType?: string }
  const { fields = [] } = JSON.parse(text) as { fields?: { name?: string; type?: Logical | Logical[] }[] }
  const types = [fields.find((field) => field.name === 'ts')?.type ?? {}].flat()
  return types.some(({ logicalType }) => /^(local-)?timestamp-millis$/.test(logicalType ?? ''))
}
