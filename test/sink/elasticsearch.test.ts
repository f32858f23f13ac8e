import { afterEach, describe, expect, test } from 'bun:test'
import { decodeFactory, Fault } from '../../lib/ingest/decode.ts'
import { emptyBatch, type SinkBatch } from '../../lib/sink/batch.ts'
import { createElasticsearch, fateOf } from '../../lib/sink/elasticsearch.ts'
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
])('an item of status %p, %p: %s', (status, type, fate) => {
  expect(fateOf({ status, ...(type ? { error: { type } } : {}) })).toBe(fate as 'taken')
})
