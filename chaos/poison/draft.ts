import type { Case, Expected } from '../catalogue.ts'

/** What a list of cases is written with: `add` takes the next case, `message` is a good one of its sensor. */
export interface Desk {
  readonly run: string
  readonly now: number
  add(what: string, expected: Expected, draft: Draft): void
  /** a good message of the next case's sensor, its fields replaced by `change`; undefined removes one */
  message(change?: Record<string, unknown>, sensor?: string): string
  /** the good message with the text of its value replaced: for numbers that JSON.stringify would not write */
  withNumber(literal: string): string
  withMetadata(literal: string): string
  /** the time of publishing, and so many milliseconds */
  at(offsetMs?: number): string
  /** sensor of the next case, or of a group */
  sensorOf(group?: string): string
}

export interface Draft {
  /** text, bytes, or what makes them */
  value: string | Buffer | null | (() => Buffer)
  key?: Buffer | null
  headers?: Case['headers']
  /** cases of one group share sensor and key, so that they meet in one partition, in this order */
  group?: string
}

export const SECOND = 1000
export const DAY = 86_400 * SECOND

export const stored = (...flags: string[]): Expected => ({ end: 'stored', flags })
export const storedAs = (value: number, ...flags: string[]): Expected => ({ end: 'stored', flags, value })
export const letter = (reason: string): Expected => ({ end: 'dead_letter', reason })

export function createDesk(cases: Case[], now: number, run: string): Desk {
  const sensorOf = (group?: string) => `${run}.${group ?? cases.length + 1}`
  const at = (offsetMs = 0) => new Date(now + offsetMs).toISOString().replace('Z', '000Z')

  function message(change: Record<string, unknown> = {}, sensor = sensorOf()): string {
    return JSON.stringify({
      timestamp: at(),
      sensor_id: sensor,
      sensor_type: 'temperature',
      location: { factory_section: 'production', machine_id: 'machine-001', zone: 'zone-a' },
      value: 25.5,
      unit: '°C',
      alert_level: 'normal',
      quality: 1,
      ...change,
    })
  }

  return {
    run,
    now,
    sensorOf,
    at,
    message,
    withNumber: (literal) => message({ value: 77777 }).replace('77777', () => literal),
    withMetadata: (literal) => message({ metadata: 77777 }).replace('77777', () => literal),
    add(what, expected, { value, key, headers, group }) {
      cases.push({
        id: cases.length + 1,
        what,
        key: key === undefined ? Buffer.from(sensorOf(group)) : key,
        value:
          typeof value === 'function'
            ? value
            : () => (typeof value === 'string' ? Buffer.from(value) : value),
        headers: headers ?? { 'run-id': run, seq: '1' },
        expected,
      })
    },
  }
}
