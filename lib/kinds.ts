import { z } from 'zod'
import { sensorId } from './reading.ts'

/** The kinds of values that variables of the environment have (lib/config.ts): text in, what programs want out. */
const HOST_PORT = /^[A-Za-z0-9._-]+:(\d{1,5})$/
export const brokers = z
  .string()
  .transform((text) => text.split(',').map((b) => b.trim()))
  .refine((list) => list.length > 0 && list.every(isHostPort), 'must be host:port,host:port,…')
export const port = z.coerce.number().int().min(1).max(65_535)
export const count = z.coerce.number().int().min(0)
export const positive = z.coerce.number().int().min(1)
export const decimal = z.coerce.number()
export const text = z.string().min(1)
export const choice = <const T extends readonly [string, ...string[]]>(values: T) => z.enum(values)
export const name = sensorId
/** A user and a password in it are written as in every URL: a percent sign is %25. */
export const webUrl = z
  .url({ protocol: /^https?$/, error: 'must be an address that begins with http:// or https://' })
  .refine(hasReadableLogin, 'must have %25 for a percent sign in its user or password')

/** A variable as people read of it: in which part of the table, what it means, whether it may be shown. */
export const about = <T extends z.ZodType>(type: T, section: string, meaning: string, secret = false) =>
  type.meta({ section, meaning, secret })

/** `2s`, `500ms`, `1m`, or a bare number of seconds → milliseconds. */
export const duration = z
  .string()
  .regex(/^\d+(\.\d+)?\s*(ms|s|m|h)?$/, 'must be a duration such as 2s, 500ms, 1m or 2')
  .transform(parseDuration)
  .refine((ms) => ms > 0, 'must be longer than 0')

/** `256MiB`, `1GiB`, or a bare number of bytes → bytes. */
export const size = z
  .string()
  .regex(/^\d+\s*(KiB|MiB|GiB)?$/, 'must be a size such as 256MiB')
  .transform((t) => {
    const unit = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }[t.match(/[KMG]iB/)?.[0] ?? ''] ?? 1
    return Number.parseInt(t, 10) * unit
  })

/** `a, b` → the parts; nothing: none. */
export const list = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  )

export const MONITOR_ROLES = ['viewer', 'operator', 'admin'] as const
export type MonitorRole = (typeof MONITOR_ROLES)[number]
export interface Token {
  role: MonitorRole
  /** whose it is: stands in journals as the one who acted */
  name: string
  token: string
}

const TOKEN = /^(viewer|operator|admin):(?:([\w.@ -]{1,64}):)?([^\s:,]{16,200})$/
/** `viewer:TOKEN, operator:ada:TOKEN` → who may do what. No fault repeats what was given: it may be a secret. */
export const tokens = z.string().transform((text, context): Token[] => {
  const parts = text
    .split(/[,\n]/)
    .map((part) => part.trim())
    .filter((part) => part !== '')
  return parts.map((part) => {
    const [, role, name, token] = TOKEN.exec(part) ?? []
    if (role === undefined || token === undefined) {
      context.addIssue({
        code: 'custom',
        message: 'must be ROLE:TOKEN or ROLE:NAME:TOKEN with a token of 16 characters or more',
      })
      return z.NEVER
    }
    return { role: role as MonitorRole, name: name ?? role, token }
  })
})

function isHostPort(text: string): boolean {
  const port = Number(HOST_PORT.exec(text)?.[1])
  return port >= 1 && port <= 65_535
}

function hasReadableLogin(text: string): boolean {
  const { username, password } = URL.canParse(text) ? new URL(text) : { username: '', password: '' }
  try {
    decodeURIComponent(username + password)
    return true
  } catch {
    return false
  }
}

export function parseDuration(text: string): number {
  const unit = text.match(/ms|s|m|h/)?.[0] ?? 's'
  return Number.parseFloat(text) * ({ ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit] ?? 1000)
}
