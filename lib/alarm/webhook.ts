import { createHmac } from 'node:crypto'
import { post, type Channel } from './channel.ts'

/**
 * Posts each transition as it stands on topic alerts. Headers: x-factory-alert-id, x-factory-entry (rises; the same
 * again is a repeat), x-factory-timestamp (seconds) and, with a secret, x-factory-signature:
 * `sha256=` HMAC-SHA256 in hex over timestamp, a dot and the body. A receiver refuses what is old or does not match.
 */
export function webhook(url: string, secret: string | null, now: () => number = Date.now): Channel {
  return {
    name: 'webhook',
    async send({ entry, alert_id, payload }, signal) {
      const body = JSON.stringify(payload)
      const timestamp = String(Math.floor(now() / 1000))
      const signature: Record<string, string> =
        secret === null ? {} : { 'x-factory-signature': sign(secret, timestamp, body) }
      const headers = {
        'x-factory-alert-id': alert_id,
        'x-factory-entry': String(entry),
        'x-factory-timestamp': timestamp,
        ...signature,
      }
      await post(url, body, headers, signal)
    },
  }
}

export function sign(secret: string, timestamp: string, body: string): string {
  return `sha256=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`
}
