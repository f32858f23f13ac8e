import type { OutgoingHeaders } from '../kafka/publish.ts'
import type { Headers } from '../kafka/records.ts'

/**
 * Headers of a message as its dead letter keeps them, in JSON that PostgreSQL takes: text where they are text, otherwise
 * their bytes; a list where a name is repeated.
 */
export type KeptHeaders = Record<string, KeptValue | KeptValue[]>
type KeptValue = string | { base64: string }

/** of all together; a message as a whole may have a MiB */
export const KEEP_HEADER_BYTES = 64 * 1024
/** what a header takes beside its characters */
const EACH_BYTES = 16
/** Who the message is goes with it, whatever else it carries. */
const FIRST = ['run-id', 'seq']

/** `leftOut`: how many names there was no room for. */
export function keepHeaders(headers: Headers = {}): { kept: KeptHeaders; leftOut: number } {
  const names = Object.keys(headers)
  const inOrder = [
    ...FIRST.filter((name) => names.includes(name)),
    ...names.filter((n) => !FIRST.includes(n)),
  ]
  const kept: [string, KeptHeaders[string]][] = []
  let room = KEEP_HEADER_BYTES
  for (const name of inOrder) {
    const values = [headers[name] ?? ''].flat().map((value) => Buffer.from(value ?? '')) // our client sends none without a value
    const bytes = values.reduce((sum, value) => sum + value.length + EACH_BYTES, Buffer.byteLength(name))
    if (bytes > room) continue
    room -= bytes
    const all = values.map(keepValue)
    kept.push([name.replaceAll('\0', '\uFFFD'), all.length === 1 && all[0] !== undefined ? all[0] : all])
  }
  // entries, because a header may be called __proto__
  return { kept: Object.fromEntries(kept), leftOut: names.length - kept.length }
}

function keepValue(value: Buffer): KeptValue {
  const text = value.toString('utf8')
  const isText = !text.includes('\0') && Buffer.from(text).equals(value)
  return isText ? text : { base64: value.toString('base64') }
}

/** The same headers, to be sent. */
export function asRead(kept: KeptHeaders): OutgoingHeaders {
  return Object.fromEntries(
    Object.entries(kept).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.map(valueOf) : valueOf(value),
    ]),
  )
}

function valueOf(value: KeptValue): string | Buffer {
  return typeof value === 'string' ? value : Buffer.from(value.base64, 'base64')
}
