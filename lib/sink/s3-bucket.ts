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
 * Signature Version 4, in the query). Resolves to what the server said: made, or why not (there already, for one).
 */
export async function makeBucket(at: Bucket, now: Date): Promise<string> {
  const response = await fetch(signedUrl('PUT', at, now), {
    method: 'PUT',
    // Every region but the first wants to be named, though the request comes to its own address.
    ...(at.region === FIRST_REGION ? {} : { body: configuration(at.region) }),
    signal: AbortSignal.timeout(10_000),
  })
  const said = await response.text()
  if (response.ok) return 'made'
  const [code, message] = ['Code', 'Message'].map((tag) => new RegExp(`<${tag}>([^<]*)<`).exec(said)?.[1])
  return [`status ${response.status}`, code, message].filter(Boolean).join(': ')
}

const FIRST_REGION = 'us-east-1'

function configuration(region: string): string {
  const location = `<LocationConstraint>${Bun.escapeHTML(region)}</LocationConstraint>`
  return `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${location}</CreateBucketConfiguration>`
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
