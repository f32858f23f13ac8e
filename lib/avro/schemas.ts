import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Type } from 'avsc'

const FOLDER = resolve(import.meta.dir, '../../config/schemas')

/** One of ours, as it is registered: one line, so that the same schema is the same text everywhere. */
export function schemaText(name: 'SensorReading' | 'SensorAlert'): string {
  return JSON.stringify(JSON.parse(readFileSync(resolve(FOLDER, `${name}.avsc`), 'utf8')))
}

/** Logical types stay what they are made of: a time is a number of microseconds. Throws where the text is no schema. */
export function typeOf(text: string): Type {
  return Type.forSchema(JSON.parse(text))
}

/** What a record type is called, for people. */
export function nameOf(text: string): string {
  return String((JSON.parse(text) as { name?: unknown }).name)
}
