import type { Context } from 'hono'

/** Address of the other side; null where there is no server (tests). IPv4 in its plain form. */
export function addressOf(c: Context): string | null {
  const server = c.env as { requestIP?: (request: Request) => { address: string } | null } | undefined
  return server?.requestIP?.(c.req.raw)?.address.replace(/^::ffff:/, '') ?? null
}

/** The client whose requests are counted; null for this machine, which is not. */
export function clientOf(c: Context): string | null {
  const address = addressOf(c)
  return address === null || address === '::1' || address.startsWith('127.') ? null : address
}
