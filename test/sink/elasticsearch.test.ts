import { afterEach, describe, expect, test } from 'bun:test'
import { decodeFactory, Fault } from '../../lib/ingest/decode.ts'
import { emptyBatch, type SinkBatch } from '../../lib/sink/batch.ts'
import { createElasticsearch, fateOf } from '../../lib/sink/elasticsearch.ts'
import { Stop } from '../../lib/run.ts'
import { logOf } from '../ingest/log.ts'

/** What a server answers when it is full, or refuses: a real one can't be brought to say it at will. */
type Answer = { status: number; body?: unknown }
let server: ReturnType<typeof Bun.serve> | null = null
afterEach(() => void server?.stop(true))

const taken = { index: { status: 201 } }
const full = { index: { status: 429, error: { type: 'es_rejected_execution_exception' } } }
const bad = { index: { status: 400, error: { type: 'mapper_parsing_exception', reason: 'failed to parse' } } }

/** Answers bulk requests in turn; the ids of each request. */
function answering(answers: ((ids: string[]) => Answer)[]) {
  const asked: string[][] = []
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const lines = (await request.text()).trim().split('\n')
      const ids = lines.filter((_, i) => i % 2 === 0).map((line) => JSON.parse(line).index._id as string)
      asked.push(ids)
      const { status, body } = (answers[asked.length - 1] ?? answers.at(-1))!(ids)
      return Response.json(body ?? {}, { status })
    },
  })
  const elasticsearch = createElasticsearch({
    url: `http://127.0.0.1:${server.port}`,
    index: 'sensor_readings',
  })
  return { elasticsearch, asked }
}

const items = (list: unknown[]): Answer => ({ status: 200, body: { errors: true, items: list } })

function batchOf(count: number): SinkBatch {
  const batch = emptyBatch('sensor-data', 0, 0)
  for (const message of logOf(Array.from({ length: count }, (_, i) => ({ seq: i + 1, at: i })))) {
    const decoded = decodeFactory(message.value)
    if (decoded instanceof Fault) throw new Error(decoded.message)
    batch.entries.push({ offset: message.offset, appendedAtMs: 0, identity: null, decoded })
  }
  return batch
}

describe('write()', () => {
  test('sends again only what the server had no room for', async () => {
    const { elasticsearch, asked } = answering([() => items([taken, full, taken]), () => items([taken])])
    expect(await elasticsearch.write(batchOf(3))).toEqual([])
    expect(asked).toEqual([['sensor-data+0+0', 'sensor-data+0+1', 'sensor-data+0+2'], ['sensor-data+0+1']])
  })

  test('waits when the whole request is pushed back', async () => {
    const { elasticsearch, asked } = answering([
      () => ({ status: 429 }),
      (ids) => items(ids.map(() => taken)),
    ])
    expect(await elasticsearch.write(batchOf(2))).toEqual([])
    expect(asked.length).toBe(2)
  })

  test('names what is refused for good, and takes the rest', async () => {
    const { elasticsearch } = answering([() => items([taken, bad, taken])])
    expect(await elasticsearch.write(batchOf(3))).toEqual([
      { offset: 1, reason: 'refused', message: 'mapper_parsing_exception: failed to parse' },
    ])
  })

  test('halves what is too large', async () => {
    const { elasticsearch, asked } = answering([(ids) => (ids.length > 1 ? { status: 413 } : items([taken]))])
    expect(await elasticsearch.write(batchOf(4))).toEqual([])
    expect(asked.map((ids) => ids.length)).toEqual([4, 2, 1, 1, 2, 1, 1])
  })

  test.each([
    ['a server that fails', { status: 500 }],
    ['a server that lets nobody in', { status: 401 }],
    ['an answer with an item too few', items([taken])],
  ])('rejects at %s: nothing of it becomes a dead letter', async (_what, answer) => {
    const { elasticsearch } = answering([() => answer])
    await expect(elasticsearch.write(batchOf(2))).rejects.toThrow('Cannot')
  })

  test('rejects where nothing listens', async () => {
    const elasticsearch = createElasticsearch({ url: 'http://127.0.0.1:1', index: 'x' })
    await expect(elasticsearch.write(batchOf(1))).rejects.toThrow('Cannot reach Elasticsearch')
  })
})

describe('prepare()', () => {
  /** A server that answers by method and path; what it was asked, in order. */
  function serving(answer: (asked: string) => number | Answer) {
    const asked: { what: string; authorization: string | null; body: string }[] = []
    server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      async fetch(request) {
        const what = `${request.method} ${new URL(request.url).pathname}`
        asked.push({ what, authorization: request.headers.get('authorization'), body: await request.text() })
        const given = answer(what)
        const { status, body } = typeof given === 'number' ? { status: given, body: {} } : given
        return Response.json(body ?? {}, { status })
      },
    })
    return asked
  }
  const elasticsearchAt = (userinfo = '') =>
    createElasticsearch({ url: `http://${userinfo}127.0.0.1:${server?.port}`, index: 'readings' })

  test.each([401, 403, 404, 410])(
    'goes on with rights on the index alone: health and template answer %i',
    async (status) => {
      const asked = serving((what) => (/cluster|template/.test(what) ? status : 200))
      await elasticsearchAt().prepare()
      expect(asked.map((one) => one.what)).toEqual([
        'HEAD /readings',
        'PUT /_index_template/readings',
        'GET /_cluster/health/readings',
      ])
    },
  )

  test('waits for shards that are not there yet, and for a server that lets nobody in', async () => {
    serving((what) => (what.includes('health') ? 408 : 200))
    await expect(elasticsearchAt().prepare()).rejects.toThrow('status 408')
    server?.stop(true)
    serving(() => 403)
    await expect(elasticsearchAt().prepare()).rejects.toThrow('Cannot HEAD')
  })

  test('an index that is there gets the template, too, once; one that is made has the mapping by itself', async () => {
    const asked = serving((what) => (what.startsWith('HEAD') ? 404 : 200))
    const elasticsearch = elasticsearchAt()
    await elasticsearch.prepare()
    await elasticsearch.prepare()
    const puts = asked.filter((one) => one.what.startsWith('PUT'))
    expect(puts.map((one) => one.what)).toEqual([
      'PUT /_index_template/readings',
      'PUT /readings',
      'PUT /readings',
    ])
    expect(JSON.parse(puts[1]?.body ?? '').mappings.properties.value).toEqual({ type: 'double' })
  })

  test('a password may have any letters; a % that is none is a fault of the configuration', async () => {
    const asked = serving(() => 200)
    await elasticsearchAt(`user:${encodeURIComponent('5€ %25')}@`).prepare()
    const [, given] = asked[0]?.authorization?.split(' ') ?? []
    expect(Buffer.from(given ?? '', 'base64').toString()).toBe('user:5€ %25')
    const create = () => elasticsearchAt('user:50%pw@')
    expect(create).toThrow(Stop)
    expect(create).toThrow('%25')
  })
})

test.each([
  [201, undefined, 'taken'],
  [200, undefined, 'taken'],
  [429, 'es_rejected_execution_exception', 'again'],
  [503, 'unavailable_shards_exception', 'again'],
  [403, 'cluster_block_exception', 'again'],
  [404, 'index_not_found_exception', 'again'],
  [400, 'index_closed_exception', 'again'],
  [400, 'validation_exception', 'again'],
  [400, 'mapper_parsing_exception', 'refused'],
  [400, 'document_parsing_exception', 'refused'],
  [400, 'strict_dynamic_mapping_exception', 'refused'],
  [409, 'version_conflict_engine_exception', 'taken'],
  [409, undefined, 'again'],
  [400, 'invalid_index_name_exception', 'again'],
  [400, 'illegal_argument_exception', 'again'],
  [400, 'something_new_exception', 'again'],
  [400, undefined, 'again'],
])('an item of status %p, %p: %s', (status, type, fate) => {
  expect(fateOf({ status, ...(type ? { error: { type } } : {}) })).toBe(fate as 'taken')
})

test.each([
  ['Document contains at least one immense term in field="sensor_id"', 'refused'],
  ['no write index is defined for alias [sensor_readings]', 'again'],
  ['pipeline with id [x] does not exist', 'again'],
  ['Number of documents in the shard cannot exceed [2147483519]', 'again'],
])('illegal_argument_exception, %p: %s', (reason, fate) => {
  const error = { type: 'illegal_argument_exception', reason }
  expect(fateOf({ status: 400, error })).toBe(fate as 'again')
})
