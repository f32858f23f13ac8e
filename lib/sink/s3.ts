import { S3Client } from 'bun'
import { sleep, withDeadline } from '../run.ts'
import type { SinkBatch } from './batch.ts'
import type { Destination } from './destination.ts'
import { formats, type FormatName } from './formats.ts'
import { rowsOf, type Row } from './row.ts'
import { everyKey, stubbornly } from './s3-list.ts'
import { makeBucket, type Bucket } from './s3-bucket.ts'

/**
 * Cold storage: each batch is one object in each format, named by topic, day (of the log, UTC), partition and first offset.
 * An object is written once: the end of its batch is planned beforehand, so whoever writes it again writes the same bytes.
 */
export interface ColdStorage extends Destination {
  /**
   * The rows of every object of one format with its name, once, none where there is no bucket; for verify. What cannot be
   * read as that format goes to `unreadable`; rejects where the server does not answer.
   */
  each(
    format: FormatName,
    take: (row: Row, name: string) => void,
    unreadable: (name: string) => void,
  ): Promise<void>
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
const GET_MS = 30_000
/** an object that cannot be read may be in the middle of being written: looked at again after */
const HALF_WRITTEN_MS = 1000

export function createColdStorage(options: S3Options): ColdStorage {
  const { endpoint, bucket, region, accessKeyId, secretAccessKey } = options
  const client = new S3Client({ endpoint, bucket, region, accessKeyId, secretAccessKey })
  const told = (what: string, error: unknown) => {
    const code = codeOf(error)
    const why = `${code === null ? '' : `${code}: `}${(error as Error).message}`
    return new Error(`Cannot ${what} s3 ${endpoint}/${bucket}: ${why}`, { cause: error })
  }

  async function listPage(after: string | undefined): Promise<string[]> {
    const asked = client.list({ maxKeys: 1000, ...(after === undefined ? {} : { startAfter: after }) })
    const page = await withDeadline(asked, ASK_MS, `list bucket ${bucket}`).catch((error: unknown) => {
      if (codeOf(error) === 'NoSuchBucket') return null
      throw error
    })
    return page?.contents?.map((object) => object.key) ?? []
  }

  async function get(key: string): Promise<Uint8Array> {
    const ask = () => withDeadline(client.file(key).arrayBuffer(), GET_MS, `get ${key}`)
    const bytes = await stubbornly(ask).catch((error: unknown) => {
      throw told(`get ${key} of`, error)
    })
    return new Uint8Array(bytes)
  }

  return {
    name: `s3:${bucket}`,
    limits: { messages: MESSAGES, bytes: BYTES, ageMs: options.ageMs },
    async prepare() {
      const look = () => withDeadline(client.list({ maxKeys: 1 }), ASK_MS, `look into bucket ${bucket}`)
      await look().catch(async (error: unknown) => {
        if (codeOf(error) !== 'NoSuchBucket') throw told('use', error)
        const answer = await makeBucket(options, new Date())
        await look().catch((second: unknown) => {
          throw told(`make the bucket (${answer}) of`, second)
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
    async each(name, take, unreadable) {
      const { extension, decode } = formats[name]
      const keys = await everyKey(listPage).catch((error: unknown) => {
        throw told('list', error)
      })
      for (const key of keys) {
        if (!key.endsWith(`.${extension}`)) continue
        const read = async () => decode(await get(key)).catch(() => null)
        let rows = await read()
        if (rows === null) {
          await sleep(HALF_WRITTEN_MS)
          rows = await read()
        }
        if (rows === null) unreadable(key)
        else for (const row of rows) take(row, key)
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

/** What S3 calls the fault; null: it is none of its answers. */
function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error ? String(error.code) : null
}
