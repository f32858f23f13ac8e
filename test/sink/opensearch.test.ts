import { expect, setDefaultTimeout, test } from 'bun:test'
import { decodeFactory, Fault } from '../../lib/ingest/decode.ts'
import { emptyBatch } from '../../lib/sink/batch.ts'
import { createElasticsearch } from '../../lib/sink/elasticsearch.ts'
import { logOf } from '../ingest/log.ts'
import { search, STACK_MS } from '../stack.ts'

/** What a real server says of an index that was set up wrongly: it waits for people, and no message pays for it. */
setDefaultTimeout(STACK_MS)

async function put(url: string, path: string, body: unknown, method = 'PUT'): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${url}/${path}`, { method, headers, body: JSON.stringify(body) })
  expect({ path, status: answer.status }).toEqual({ path, status: 200 })
}

test('an alias without an index to write to: nothing is refused, and it goes on when mended', async () => {
  const { url } = await search()
  const id = crypto.randomUUID().slice(0, 8)
  for (const part of ['a', 'b']) await put(url, `${id}-${part}`, {})
  const add = (part: string, more = {}) => ({ add: { index: `${id}-${part}`, alias: id, ...more } })
  await put(url, '_aliases', { actions: [add('a'), add('b')] }, 'POST')

  const batch = emptyBatch('sensor-data', 0, 0)
  for (const message of logOf([{ seq: 1, at: 0 }])) {
    const decoded = decodeFactory(message.value)
    if (decoded instanceof Fault) throw new Error(decoded.message)
    batch.entries.push({ offset: message.offset, appendedAtMs: 0, identity: null, decoded })
  }
  const elasticsearch = createElasticsearch({ url, index: id })
  await expect(elasticsearch.write(batch)).rejects.toThrow('no write index is defined')

  await put(url, '_aliases', { actions: [add('a', { is_write_index: true })] }, 'POST')
  expect(await elasticsearch.write(batch)).toEqual([])
})
