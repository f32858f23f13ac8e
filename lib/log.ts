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
const URL_USERINFO = /([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi

interface Settings {
  level: LogLevel
  service: string
  file: string | null
  fields: LogFields
}

const settings: Settings = { level: 'INFO', service: 'factory', file: null, fields: {} }

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
  if (!terminal || settings.file) {
    const line = JSON.stringify(toEcs(at, level, event, fields)) + '\n'
    if (settings.file) appendRotated(settings.file, line)
    if (!terminal) process.stderr.write(line)
  }
  if (terminal) process.stderr.write(pretty(at, level, event, fields) + '\n')
}

function toEcs(at: string, level: LogLevel, event: string, fields: LogFields): LogFields {
  const { error, ...rest } = fields
  return {
    '@timestamp': at,
    'log.level': level,
    message: event,
    'ecs.version': '8.11.0',
    'service.name': settings.service,
    'event.action': event,
    'process.pid': process.pid,
    ...masked(settings.fields),
    ...masked(rest),
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
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, maskValue(key, value)]))
}

function maskValue(key: string, value: unknown): unknown {
  if (SECRET_KEY.test(key)) return '***'
  if (typeof value === 'string') return maskText(value)
  return typeof value === 'bigint' ? String(value) : value
}

/** Passwords in URLs never reach a log. */
export function maskText(text: string): string {
  return text.replace(URL_USERINFO, '$1***@')
}

const COLOURS = { DEBUG: 'gray', INFO: 'cyan', WARN: 'yellow', ERROR: 'red' } as const

function pretty(at: string, level: LogLevel, event: string, fields: LogFields): string {
  const rest = Object.entries(fields)
    .map(([key, value]) => {
      const shown = value instanceof Error ? value.message : maskValue(key, value)
      return `${styleText('gray', `${key}=`)}${typeof shown === 'string' ? maskText(shown) : JSON.stringify(shown)}`
    })
    .join(' ')
  const time = styleText('gray', at.slice(11, 23))
  return `${time} ${styleText(COLOURS[level], level.padEnd(5))} ${settings.service} ${event} ${rest}`
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
