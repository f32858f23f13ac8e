import { S3Client } from 'bun'
import { withDeadline } from '../run.ts'
import type { SinkBatch } from './batch.ts'
import type { Destination } from './destination.ts'
import { formats, type FormatName } from './formats.ts'
import { rowsOf, type Row } from './row.ts'
import { everyKey } from './s3-list.ts'
import { makeBucket, type Bucket } from './s3-bucket.ts'

/**
 * Cold storage: each batch is one object in each format, named by topic, day (of the log, UTC), partition and first offset.
 * An object is written once: the end of its batch is planned beforehand, so whoever writes it again writes the same bytes.
 */
export interface ColdStorage extends Destination {
  /** the rows of every object of one format with its name, once; for verify */
  each(format: FormatName, take: (row: Row, name: string) => void): Promise<void>
}

export interface S3Options extends Bucket {
  formats: readonly FormatName[]
  /** how long readings wait for others before an object is written */
  ageMs: number
}

/** Bounds memory: three partitions of 20,000 readings each, twice. */
const MESSAGES = 20_000
const BYTES = 16 * 1024 * 1024
/** a put of a few MB; two of them in a row must end before the group takes the wait for death (20 s) */
const PUT_MS = 8000
const ASK_MS = 8000

export function createColdStorage(options: S3Options): ColdStorage {
  const { endpoint, bucket, region, accessKeyId, secretAccessKey } = options
  const client = new S3Client({ endpoint, bucket, region, accessKeyId, secretAccessKey })
  const told = (what: string, error: unknown) => {
    const code = error instanceof Error && 'code' in error ? `${String(error.code)}: ` : ''
    return new Error(`Cannot ${what} s3 ${endpoint}/${bucket}: ${code}${(error as Error).message}`, {
      cause: error,
    })
  }

  return {
    name: `s3:${bucket}`,
    limits: { messages: MESSAGES, bytes: BYTES, ageMs: options.ageMs },
    async prepare() {
      const look = () => withDeadline(client.list({ maxKeys: 1 }), ASK_MS, `look into bucket ${bucket}`)
      await look().catch(async (error: unknown) => {
        const missing = error instanceof Error && 'code' in error && error.code === 'NoSuchBucket'
        if (!missing) throw told('use', error)
        const status = await makeBucket(options, new Date())
        await look().catch((second: unknown) => {
          throw told(`make the bucket (status ${status}) of`, second)
        })
      })
    },
    async write(batch) {
      const rows = rowsOf(batch)
      for (const name of options.formats) {
        const { extension, type, encode } = formats[name]
        const bytes = await encode(rows)
        const put = client.write(`${objectName(batch)}.${extension}`, bytes, { type })
        await withDeadline(put, PUT_MS, `put an object of ${bytes.length} bytes`).catch((error: unknown) => {
          throw told('write to', error)
        })
      }
      return []
    },
    async each(name, take) {
      const { extension, decode } = formats[name]
      const keys = await everyKey(async (after) => {
        const page = await client.list({
          maxKeys: 1000,
          ...(after === undefined ? {} : { startAfter: after }),
        })
        return page.contents?.map((object) => object.key) ?? []
      })
      for (const key of keys) {
        if (!key.endsWith(`.${extension}`)) continue
        for (const row of await decode(new Uint8Array(await client.file(key).arrayBuffer()))) take(row, key)
      }
    },
  }
}

/** sensor-data/2026-11-21/0/00000000000000001234: the day on which the log got its first message. A later log says which it is. */
export function objectName({
  topic,
  partition,
  log,
  from,
  entries,
}: Pick<SinkBatch, 'topic' | 'partition' | 'log' | 'from' | 'entries'>): string {
  const day = new Date(entries[0]?.appendedAtMs ?? 0).toISOString().slice(0, 10)
  return `${topic}/${day}/${partition}/${String(from).padStart(20, '0')}${log === 0 ? '' : `-log${log}`}`
}
