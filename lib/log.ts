import { appendFileSync, existsSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { styleText } from 'node:util'

/**
 * Logs: one JSON line an event on stderr, in the names of the Elastic Common Schema; on a terminal a short readable
 * line instead. LOG_FILE, where set, gets the JSON lines too and is rotated at 10 MB (five files kept).
 * Event names are `noun.verb` and stable: tests and scripts rely on them.
 */
export const LOG_LEVELS = ['DEBUG', 'INFO', 'WARN', 'ERROR'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export type LogFields = Record<string, unknown>

const ROTATE_BYTES = 10 * 1024 * 1024
const ROTATE_KEEP = 5
const SECRET_KEY = /pass(word)?|secret|token|authorization|cookie/i
// The lengths are bounded: without that a long word cost the square of its length.
const URL_USERINFO = /([a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/@]{1,512}@/gi
const URL_SECRET = /([?&](?:password|token|secret)=)[^&\s]{1,512}/gi
/** what one line may show: characters of a text, levels, and values in all */
const MAX_TEXT = 16 * 1024
const MAX_DEPTH = 6
const MAX_VALUES = 500

interface Settings {
  level: LogLevel
  service: string
  file: string | null
  fields: LogFields
}

const settings: Settings = { level: 'INFO', service: 'factory', file: null, fields: {} }

/** The `trace.id` of a reading and of all that comes of it: its place in the log, `sensor-data/2/4711`. */
export const traceId = (topic: string, partition: number, offset: number) => `${topic}/${partition}/${offset}`

export const log = {
  /** Called once by each door, after the configuration is read. `fields` go into every line (consumer id …). */
  configure(options: Partial<Settings>): void {
    Object.assign(settings, options)
    if (settings.file) mkdirSync(dirname(settings.file), { recursive: true })
  },
  debug: (event: string, fields?: LogFields) => write('DEBUG', event, fields),
  info: (event: string, fields?: LogFields) => write('INFO', event, fields),
  warn: (event: string, fields?: LogFields) => write('WARN', event, fields),
  error: (event: string, fields?: LogFields) => write('ERROR', event, fields),
  async close(): Promise<void> {
    await new Promise<void>((resolve) => process.stderr.write('', () => resolve()))
  },
}

function write(level: LogLevel, event: string, fields: LogFields = {}): void {
  if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(settings.level)) return
  const at = new Date().toISOString()
  const terminal = process.stderr.isTTY
  const { error, ...rest } = plain(fields)
  const line = JSON.stringify(toEcs(at, level, event, rest, error)) + '\n'
  process.stderr.write(terminal ? pretty(at, level, event, rest, error) + '\n' : line)
  if (settings.file) keep(settings.file, line)
}

/** The fields without what cannot be shown: a log line never throws, and never shows a secret. */
function plain(fields: LogFields): LogFields {
  try {
    const { error, ...rest } = fields
    return { ...masked(rest), ...(error === undefined ? {} : { error }) }
  } catch (trap) {
    return { unreadable: String(trap) }
  }
}

function toEcs(at: string, level: LogLevel, event: string, fields: LogFields, error: unknown): LogFields {
  return {
    '@timestamp': at,
    'log.level': level,
    message: event,
    'ecs.version': '8.11.0',
    'service.name': settings.service,
    'event.action': event,
    'process.pid': process.pid,
    ...masked(settings.fields),
    ...fields,
    ...(error === undefined ? {} : errorFields(error)),
  }
}

function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { 'error.message': maskText(String(error)) }
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : ''
  return {
    'error.type': error.name,
    'error.message': maskText(error.message + cause),
    'error.stack_trace': maskText(error.stack ?? ''),
  }
}

function masked(fields: LogFields): LogFields {
  const left = { values: MAX_VALUES }
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, shown(key, value, MAX_DEPTH, left)]),
  )
}

function shown(key: string, value: unknown, depth: number, left: { values: number }): unknown {
  if (SECRET_KEY.test(key)) return '***'
  if (typeof value === 'string') return maskText(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Error) return maskText(value.message)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'no time' : value.toISOString()
  if (depth === 0 || left.values <= 0) return '…'
  const inner = ([name, v]: [string, unknown]) =>
    [name, left.values-- > 0 ? shown(name, v, depth - 1, left) : '…'] as const
  if (Array.isArray(value)) return value.slice(0, MAX_VALUES).map((v, i) => inner([String(i), v])[1])
  return Object.fromEntries(Object.entries(value).slice(0, MAX_VALUES).map(inner))
}

/** Passwords in URLs never reach a log, nor do endless texts. */
export function maskText(text: string): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… (${text.length} characters)` : text
  return cut.replace(URL_USERINFO, '$1***@').replace(URL_SECRET, '$1***')
}

const COLOURS = { DEBUG: 'gray', INFO: 'cyan', WARN: 'yellow', ERROR: 'red' } as const

function pretty(at: string, level: LogLevel, event: string, fields: LogFields, error: unknown): string {
  const told = error === undefined ? fields : { ...fields, error: errorFields(error)['error.message'] }
  const rest = Object.entries(told)
    .map(
      ([key, value]) =>
        `${styleText('gray', `${key}=`)}${typeof value === 'string' ? printable(value) : JSON.stringify(value)}`,
    )
    .join(' ')
  const time = styleText('gray', at.slice(11, 23))
  return `${time} ${styleText(COLOURS[level], level.padEnd(5))} ${settings.service} ${event} ${rest}`
}

/** A text from outside must not steer the terminal. */
function printable(text: string): string {
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, '\uFFFD')
}

let isFileFailing = false

/** A full disk silences the file, not the process; it is said once, until it works again. */
function keep(file: string, line: string): void {
  try {
    appendRotated(file, line)
    isFileFailing = false
  } catch (error) {
    if (isFileFailing) return
    isFileFailing = true
    write('ERROR', 'log.file_failed', { file, error })
  }
}

function appendRotated(file: string, line: string): void {
  if (existsSync(file) && statSync(file).size + line.length > ROTATE_BYTES) {
    for (let i = ROTATE_KEEP - 1; i >= 1; i--) {
      if (existsSync(`${file}.${i}`)) renameSync(`${file}.${i}`, `${file}.${i + 1}`)
    }
    renameSync(file, `${file}.1`)
  }
  appendFileSync(file, line)
}
