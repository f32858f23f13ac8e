import type { Headers } from '../kafka/records.ts'
import type { Identity } from '../reading.ts'

const RUN_ID = /^[A-Za-z0-9._:-]{1,64}$/
const SEQ = /^[1-9]\d{0,14}$/

/** Run and running number from the headers `run-id` and `seq`; null where they are missing or malformed (a foreign producer). */
export function identityOf(headers: Headers | undefined): Identity | null {
  if (!headers) return null
  const runId = single(headers['run-id'])
  const seq = single(headers.seq)
  if (runId === null || seq === null || !RUN_ID.test(runId) || !SEQ.test(seq)) return null
  return { runId, seq: Number(seq) }
}

function single(header: Headers[string]): string | null {
  if (header === undefined || header === null || Array.isArray(header) || header.length > 64) return null
  return typeof header === 'string' ? header : header.toString('latin1')
}
