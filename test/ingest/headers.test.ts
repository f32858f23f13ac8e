import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { asRead, KEEP_HEADER_BYTES, keepHeaders } from '../../lib/ingest/headers.ts'
import { identityOf } from '../../lib/ingest/identity.ts'
import type { Headers } from '../../lib/kafka/records.ts'

/** Kept, through PostgreSQL's JSON, and out again. */
const back = (headers: Headers) => asRead(JSON.parse(JSON.stringify(keepHeaders(headers).kept)))

const bytes = fc.uint8Array({ maxLength: 40 }).map((b) => Buffer.from(b))
const value = fc.oneof(
  bytes,
  fc.string({ unit: 'binary' }).map((s) => Buffer.from(s)),
)
const name = fc.string().filter((n) => !n.includes('\0'))

describe('keepHeaders()', () => {
  test('what is kept comes back byte for byte, whatever it is and however often', () => {
    const all = fc.dictionary(name, fc.oneof(value, fc.array(value, { minLength: 2, maxLength: 3 })))
    fc.assert(
      fc.property(all, (headers) => {
        const sent = back(headers)
        expect(Object.keys(sent).sort()).toEqual(Object.keys(headers).sort())
        for (const [key, was] of Object.entries(headers)) {
          const is = sent[key] as string | Buffer | (string | Buffer)[]
          expect([is].flat().map((v) => Buffer.from(v))).toEqual([was].flat().map((v) => Buffer.from(v)))
        }
      }),
    )
  })

  test('text is kept as text, which people and queries read', () => {
    expect(keepHeaders({ seq: Buffer.from('7'), größe: Buffer.from('süß') })).toEqual({
      kept: { seq: '7', größe: 'süß' },
      leftOut: 0,
    })
  })

  test.each<[string, Buffer]>([
    ['no UTF-8', Buffer.from([0xff, 0xfe])],
    ['a character that jsonb refuses', Buffer.from('a\0b')],
  ])('%s is kept as bytes', (_what, value) => {
    expect(keepHeaders({ trace: value }).kept).toEqual({ trace: { base64: value.toString('base64') } })
  })

  test('however many and large the others are, who it is stays', () => {
    const headers: Headers = {}
    for (let i = 0; i < 5000; i++) headers[`h-${i}`] = Buffer.alloc(300, i)
    Object.assign(headers, { 'run-id': Buffer.from('run-1'), seq: Buffer.from('7') })
    const { kept, leftOut } = keepHeaders(headers)
    expect(identityOf(asRead(kept))).toEqual({ runId: 'run-1', seq: 7 })
    expect(leftOut).toBe(Object.keys(headers).length - Object.keys(kept).length)
    const size = Object.values(asRead(kept)).reduce(
      (sum: number, v) => sum + Buffer.from(v as Buffer).length,
      0,
    )
    expect(size).toBeGreaterThan(KEEP_HEADER_BYTES / 2)
    expect(size).toBeLessThan(KEEP_HEADER_BYTES)
  })

  test('a repeated run-id is no identity, before and after', () => {
    const headers = { 'run-id': [Buffer.from('a'), Buffer.from('b')], seq: Buffer.from('7') }
    expect([identityOf(headers), identityOf(back(headers))]).toEqual([null, null])
  })
})
