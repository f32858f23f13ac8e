import { createHash, createHmac } from 'node:crypto'

/** Where a bucket is, and who asks. */
export interface Bucket {
  endpoint: string
  bucket: string
  region: string
  accessKeyId: string
  secretAccessKey: string
}

/**
 * Makes the bucket where it is not there. Bun's client knows objects alone, so this one request is signed here (AWS
 * Signature Version 4, in the query). Resolves to what the server said: made, or there already.
 */
export async function makeBucket(at: Bucket, now: Date): Promise<number> {
  const response = await fetch(signedUrl('PUT', at, now), {
    method: 'PUT',
    signal: AbortSignal.timeout(10_000),
  })
  await response.body?.cancel()
  return response.status
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html */
export function signedUrl(method: string, at: Bucket, now: Date): string {
  const url = new URL(`${at.endpoint.replace(/\/$/, '')}/${encodeURIComponent(at.bucket)}`)
  const time = now.toISOString().replace(/[-:]|\.\d{3}/g, '')
  const scope = `${time.slice(0, 8)}/${at.region}/s3/aws4_request`
  const query = new URLSearchParams({
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${at.accessKeyId}/${scope}`,
    'X-Amz-Date': time,
    'X-Amz-Expires': '60',
    'X-Amz-SignedHeaders': 'host',
  }).toString()
  const request = [method, url.pathname, query, `host:${url.host}\n`, 'host', 'UNSIGNED-PAYLOAD'].join('\n')
  const text = ['AWS4-HMAC-SHA256', time, scope, createHash('sha256').update(request).digest('hex')].join(
    '\n',
  )
  const key = [time.slice(0, 8), at.region, 's3', 'aws4_request'].reduce<string | Buffer>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    `AWS4${at.secretAccessKey}`,
  )
  return `${url.href}?${query}&X-Amz-Signature=${createHmac('sha256', key).update(text).digest('hex')}`
}
