import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Type } from 'avsc'

const FOLDER = resolve(import.meta.dir, '../../config/schemas')

/** One of ours, as it is registered: one line, so that the same schema is the same text everywhere. */
export function schemaText(name: 'SensorReading' | 'SensorAlert'): string {
  return JSON.stringify(JSON.parse(readFileSync(resolve(FOLDER, `${name}.avsc`), 'utf8')))
}

/**
 * Logical types stay what they are made of: a time is a number of microseconds. `references`: schemas whose types this one
 * names, each after those that it names itself. Throws where a text is no schema.
 */
export function typeOf(text: string, references: readonly string[] = []): Type {
  const registry = {}
  for (const reference of references) Type.forSchema(JSON.parse(reference), { registry })
  return Type.forSchema(JSON.parse(text), { registry })
}

type Field = { name: string; type: unknown }

/** The fields of a record that must have a value. */
export function requiredFields(text: string): string[] {
  const { fields = [] } = JSON.parse(text) as { fields?: Field[] }
  return fields.filter((field) => !isNullable(field)).map((field) => field.name)
}

/** The same record with every field optional: it reads what somebody writes who has made one of them so. */
export function nullable(text: string): string {
  const schema = JSON.parse(text) as { fields: Field[] }
  for (const field of schema.fields) if (!isNullable(field)) field.type = ['null', field.type]
  return JSON.stringify(schema)
}

function isNullable({ type }: Field): boolean {
  return Array.isArray(type) && type.includes('null')
}

/** What a record type is called, for people. */
export function nameOf(text: string): string {
  return String((JSON.parse(text) as { name?: unknown }).name)
}
