import { afterEach, describe, expect, test } from 'bun:test'
import { formats } from '../../lib/sink/formats.ts'
import type { Row } from '../../lib/sink/row.ts'
import { createColdStorage, type ColdStorage } from '../../lib/sink/s3.ts'

/** What S3 answers in trouble: a real one can't be brought to say it at will. */
let server: ReturnType<typeof Bun.serve> | null = null
afterEach(() => void server?.stop(true))

function storageAt(
  answer: (request: Request, path: string) => Response | Promise<Response>,
  region = 'us-east-1',
): ColdStorage {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    fetch: (request) => answer(request, new URL(request.url).pathname),
  })
  return createColdStorage({
    endpoint: `http://127.0.0.1:${server.port}`,
    bucket: 'cold',
    region,
    accessKeyId: 'a',
    secretAccessKey: 'b',
    formats: ['ndjson', 'parquet'],
    ageMs: 1000,
  })
}

const fault = (status: number, code: string) =>
  new Response(`<Error><Code>${code}</Code><Message>said so</Message></Error>`, { status })
const listing = (keys: readonly string[]) =>
  new Response(
    `<ListBucketResult><KeyCount>${keys.length}</KeyCount>${keys.map((key) => `<Contents><Key>${key}</Key></Contents>`).join('')}</ListBucketResult>`,
    { headers: { 'content-type': 'application/xml' } },
  )

const row: Row = {
  ...{ timestamp: '2026-01-01T00:00:00.000000Z', appended_at: '2026-01-01T00:00:00.000000Z' },
  ...{ sensor_id: 's', sensor_type: 't', factory_section: 'p', machine_id: 'm', zone: 'z' },
  ...{ value: 1, unit: 'C', quality: 1, alert_level: null, metadata: null },
  ...{ topic: 'sensor-data', partition: 0, offset: 7, run_id: 'r', seq: 8 },
}

async function readAll(storage: ColdStorage, format: 'ndjson' | 'parquet' = 'ndjson') {
  const read = { rows: 0, unreadable: [] as string[] }
  await storage.each(
    format,
    () => void read.rows++,
    (name) => read.unreadable.push(name),
  )
  return read
}

describe('each()', () => {
  test.each(['ndjson', 'parquet'] as const)(
    'a cut object of %s is not readable; its neighbours are',
    async (format) => {
      const { extension, encode } = formats[format]
      const whole = new Uint8Array(await encode([row]))
      const storage = storageAt((request, path) => {
        const after = new URL(request.url).searchParams.get('start-after')
        if (path === '/cold' || path === '/cold/')
          return listing(after ? [] : [`a.${extension}`, `b.${extension}`, 'notes.txt'])
        return new Response(path.includes('/a.') ? whole.slice(0, whole.length / 2) : whole)
      })
      expect(await readAll(storage, format)).toEqual({ rows: 1, unreadable: [`a.${extension}`] })
    },
  )

  test('a bucket that is gone holds nothing', async () => {
    expect(await readAll(storageAt(() => fault(404, 'NoSuchBucket')))).toEqual({ rows: 0, unreadable: [] })
  })

  test('a server that lets nobody in is no empty bucket', async () => {
    await expect(readAll(storageAt(() => fault(403, 'AccessDenied')))).rejects.toThrow('AccessDenied')
  })

  test('a server that never answers is not waited for without end', async () => {
    const storage = storageAt(() => new Promise<Response>(() => {}))
    await expect(readAll(storage)).rejects.toThrow('no answer within 8000 ms')
  }, 15_000)
})

describe('prepare()', () => {
  test.each([
    ['us-east-1', ''],
    [
      'eu-central-1',
      '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>',
    ],
  ])('makes the bucket in %s', async (region, body) => {
    const made: string[] = []
    const storage = storageAt(async (request) => {
      if (request.method === 'PUT') made.push(await request.text())
      return made.length === 0 ? fault(404, 'NoSuchBucket') : listing([])
    }, region)
    await storage.prepare()
    expect(made).toEqual([body])
  })

  test('says why the server makes none', async () => {
    const storage = storageAt((request) =>
      request.method === 'PUT'
        ? fault(400, 'IllegalLocationConstraintException')
        : fault(404, 'NoSuchBucket'),
    )
    await expect(storage.prepare()).rejects.toThrow('status 400: IllegalLocationConstraintException: said so')
  })
})
