import { z } from 'zod'

/** Where the next page begins: the sort value and the id of the last row, opaque to the caller. */
export interface Cursor {
  value: string
  id: string
}

export function encodeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify([cursor.value, cursor.id])).toString('base64url')
}

/** Query parameter `cursor`: undefined or a cursor that one of our answers gave. */
export const cursorParameter = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,400}$/, 'must be the next_cursor of an earlier answer')
  .optional()
  .transform((text, context): Cursor | null => {
    if (text === undefined) return null
    try {
      const [value, id] = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[]
      if (typeof value === 'string' && typeof id === 'string') return { value, id }
    } catch {
      // told below
    }
    context.addIssue({ code: 'custom', message: 'must be the next_cursor of an earlier answer' })
    return z.NEVER
  })
  .meta({ description: 'next_cursor of the answer before' })

export const limitParameter = z.coerce.number().int().min(1).max(500).default(50)
export const orderParameter = z.enum(['asc', 'desc']).default('desc')
/** Text without control characters: what PostgreSQL takes as text and a log line can show. */
export const plainText = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\u0000-\u001f\u007f]*$/, 'must be text without control characters')
    .refine((text) => text.isWellFormed(), 'must be well-formed text')
/** A number of a body: JSON sends it as such, a form as text; nothing else (null, an empty field) is taken for 0. */
export const numberOf = (kind: z.ZodNumber, says: string) =>
  z.union(
    [
      kind,
      z
        .string()
        .regex(/^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i)
        .transform(Number)
        .pipe(kind),
    ],
    { error: says },
  )
export const nameParameter = plainText(64).min(1)
export const timeParameter = z.iso.datetime({
  offset: true,
  message: 'must be a date-time such as 2026-01-31T12:00:00Z',
})
