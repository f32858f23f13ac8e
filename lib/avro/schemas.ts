import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Type } from 'avsc'

export type SchemaName = 'SensorReading' | 'SensorAlert'

const FOLDER = resolve(import.meta.dir, '../../config/schemas')

/** The schema as registered: one line, so that the same schema is the same text everywhere. */
export function schemaText(name: SchemaName): string {
  return JSON.stringify(JSON.parse(readFileSync(resolve(FOLDER, `${name}.avsc`), 'utf8')))
}

/** Logical types stay what they are made of: a time is a number of microseconds. Throws where the text is no schema. */
export function typeOf(text: string): Type {
  return Type.forSchema(JSON.parse(text))
}
