import { log } from '../log.ts'
import { EXIT, sleep, Stop } from '../run.ts'
import type { Destination, Refusal } from './destination.ts'
import { documentId, MAPPING, toDocument } from './document.ts'

/**
 * Index sensor_readings of Elasticsearch or OpenSearch, by HTTP alone. A document's id is its message's place in the log:
 * written twice it is still one. Each item of a bulk answer has a fate of its own: taken · refused (400 with a reason that
 * lies in this document, whatever the server's health or settings) · again (all else: the server has no room just now, or
 * is set up wrongly, so we come back later with less, and nothing becomes a dead letter for it).
 */
export interface ElasticsearchOptions {
  url: string
  index: string
  apiKey?: string | undefined
}

export interface Elasticsearch extends Destination {
  /** every document with its id, once, in no order, none where there is no index; for verify */
  each(take: (source: unknown, id: string) => void): Promise<void>
}

const LIMITS = { messages: 5000, bytes: 5 * 1024 * 1024, ageMs: 500 }
/** A batch goes in requests of so many documents: larger ones gain nothing, and a busy server would not answer in time. */
const REQUEST_DOCUMENTS = 1000
/**
 * A bulk for a shard that is not there yet is held by the server for `timeout`; an answer in 8 s, and no request of a
 * batch later than 11 s after its first: the partition that waits sends no fetch, and the group takes 20 s of that for death.
 */
const ANSWER_MS = 8000
const PATIENCE_MS = 11_000
const BULK = '_bulk?timeout=3s'
/** waits after which what was pushed back comes again */
const AGAIN_MS = [100, 300, 1000, 2000]
const PAGE = 5000
/** Faults of a document's content. Others that come with 400 are of an index, an alias, a pipeline, a shard. */
const OF_THE_DOCUMENT = /^(mapper_parsing|document_parsing|strict_dynamic_mapping)_exception$/
/** illegal_argument_exception is said of nearly everything; of a document where a text is too long for its field */
const OF_ITS_TEXT = /immense term/
/** A key with rights on the index alone may not ask, or the service does not tell (serverless): then the writes will. */
const NOT_TOLD = [401, 403, 404, 410]

interface BulkItem {
  status: number
  error?: { type: string; reason?: string; caused_by?: { reason?: string } }
}

/** The server does not answer, or not as it should: nothing is known of what was asked. */
export class ElasticsearchAway extends Error {}

export function createElasticsearch(options: ElasticsearchOptions): Elasticsearch {
  const url = new URL(options.url)
  const base = url.origin + url.pathname.replace(/\/$/, '')
  const headers: Record<string, string> = {}
  if (options.apiKey) headers.authorization = `ApiKey ${options.apiKey}`
  else if (url.username) headers.authorization = `Basic ${credentialsOf(url)}`
  let isTemplated = false
  const index = encodeURIComponent(options.index)

  async function call(
    method: string,
    path: string,
    body?: string,
    type = 'application/json',
  ): Promise<Response> {
    try {
      return await fetch(`${base}/${path}`, {
        method,
        headers: { ...headers, ...(body === undefined ? {} : { 'content-type': type }) },
        ...(body === undefined ? {} : { body }),
        signal: AbortSignal.timeout(ANSWER_MS),
      })
    } catch (error) {
      throw new ElasticsearchAway(`Cannot reach Elasticsearch at ${base}: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }

  async function must(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await call(method, path, body === undefined ? undefined : JSON.stringify(body))
    if (!response.ok) throw await refusal(method, path, response)
    return response.json()
  }

  async function refusal(method: string, path: string, response: Response): Promise<ElasticsearchAway> {
    const said = (await response.text()).slice(0, 300)
    return new ElasticsearchAway(`Cannot ${method} ${base}/${path}: status ${response.status}: ${said}`)
  }

  async function prepare(): Promise<void> {
    const exists = await call('HEAD', index)
    if (!exists.ok && exists.status !== 404) throw await refusal('HEAD', index, exists)
    if (!isTemplated) await putTemplate()
    if (!exists.ok) {
      const made = await call('PUT', index, JSON.stringify({ settings: SETTINGS, mappings: MAPPING }))
      // Another member was faster.
      if (!made.ok && !(await made.clone().text()).includes('resource_already_exists'))
        throw await refusal('PUT', index, made)
      if (made.ok) log.info('sink.index_made', { index: options.index })
    }
    await untilServed()
  }

  /** Whoever makes the index anew (or it makes itself after a deletion), it has this mapping. */
  async function putTemplate(): Promise<void> {
    const path = `_index_template/${index}`
    const template = { settings: SETTINGS, mappings: MAPPING }
    const put = await call('PUT', path, JSON.stringify({ index_patterns: [options.index], template }))
    const error = put.ok ? null : await refusal('PUT', path, put)
    if (error && !NOT_TOLD.includes(put.status)) throw error
    if (error) log.warn('sink.no_template', { index: options.index, error })
    isTemplated = true
  }

  /** After its start a server recovers its shards, and takes nothing until then. */
  async function untilServed(): Promise<void> {
    const path = `_cluster/health/${index}?wait_for_status=yellow&timeout=2s`
    const served = await call('GET', path)
    if (!served.ok && !NOT_TOLD.includes(served.status)) throw await refusal('GET', path, served)
  }

  /** One request; items in the order of the lines. */
  async function bulk(lines: readonly string[]): Promise<BulkItem[] | 'too many' | 'too large'> {
    const response = await call('POST', `${index}/${BULK}`, lines.join(''), 'application/x-ndjson')
    if (response.status === 429 || response.status === 503) return 'too many'
    if (response.status === 413) return 'too large'
    if (!response.ok) throw await refusal('POST', `${index}/${BULK}`, response)
    const answer = (await response.json()) as { items?: { index?: BulkItem }[] }
    const items = answer.items?.map((item) => item.index)
    if (items?.length !== lines.length || items.some((item) => item === undefined))
      throw new ElasticsearchAway(
        `Cannot tell what ${base} has taken: it answered ${items?.length} items for ${lines.length}`,
      )
    return items as BulkItem[]
  }

  /** Until all are taken or refused; rejects where the server still pushes back at `until`. */
  async function writeLines(
    lines: readonly string[],
    offsets: readonly number[],
    until: number,
  ): Promise<Refusal[]> {
    const refused: Refusal[] = []
    let waiting = lines.map((line, i) => ({ line, offset: offsets[i] ?? -1 }))
    for (let attempt = 0; ; attempt++) {
      const answer = await bulk(waiting.map((w) => w.line))
      if (answer === 'too large') {
        if (waiting.length === 1) {
          const offset = waiting[0]?.offset ?? -1
          return [
            ...refused,
            { offset, reason: 'too_large', message: 'the server takes no request of this size' },
          ]
        }
        const half = waiting.length >> 1
        for (const part of [waiting.slice(0, half), waiting.slice(half)])
          refused.push(
            ...(await writeLines(
              part.map((w) => w.line),
              part.map((w) => w.offset),
              until,
            )),
          )
        return refused
      }
      const again: typeof waiting = []
      let why = 'too many requests'
      for (const [i, one] of waiting.entries()) {
        const item = answer === 'too many' ? null : answer[i]
        const fate = item ? fateOf(item) : 'again'
        if (fate === 'refused')
          refused.push({ offset: one.offset, reason: 'refused', message: reasonOf(item) })
        else if (fate === 'again') again.push(one)
        if (fate === 'again' && item) why = reasonOf(item)
      }
      if (again.length === 0) return refused
      const waitMs = AGAIN_MS[Math.min(attempt, AGAIN_MS.length - 1)] ?? 0
      if (performance.now() + waitMs > until)
        throw new ElasticsearchAway(
          `Cannot write to ${base}: it does not take ${again.length} documents: ${why}`,
        )
      log.debug('sink.pushed_back', { documents: again.length, attempt })
      await sleep(waitMs)
      waiting = again
    }
  }

  return {
    name: `elasticsearch:${options.index}`,
    limits: LIMITS,
    prepare,
    async write(batch) {
      const lines = batch.entries.map((entry) => {
        const id = documentId(batch, entry.offset)
        return `{"index":{"_id":${JSON.stringify(id)}}}\n${JSON.stringify(toDocument(batch, entry))}\n`
      })
      const offsets = batch.entries.map((entry) => entry.offset)
      const until = performance.now() + PATIENCE_MS
      const refused: Refusal[] = []
      for (let i = 0; i < lines.length; i += REQUEST_DOCUMENTS) {
        if (performance.now() > until)
          throw new ElasticsearchAway(
            `Cannot write to ${base}: it has taken ${i} of ${lines.length} documents`,
          )
        const end = i + REQUEST_DOCUMENTS
        refused.push(...(await writeLines(lines.slice(i, end), offsets.slice(i, end), until)))
      }
      return refused
    },
    async each(take) {
      const refreshed = await call('POST', `${index}/_refresh`)
      if (refreshed.status === 404) return
      if (!refreshed.ok) throw await refusal('POST', `${index}/_refresh`, refreshed)
      type Page = { _scroll_id: string; hits: { hits: { _id: string; _source: unknown }[] } }
      let page = (await must('POST', `${index}/_search?scroll=2m`, { size: PAGE, sort: ['_doc'] })) as Page
      while (page.hits.hits.length > 0) {
        for (const hit of page.hits.hits) take(hit._source, hit._id)
        page = (await must('POST', '_search/scroll', { scroll: '2m', scroll_id: page._scroll_id })) as Page
      }
      await must('DELETE', '_search/scroll', { scroll_id: [page._scroll_id] })
    },
  }
}

/** A copy on another node where there is one; acknowledged means on the disk (Elasticsearch's own default). */
const SETTINGS = { 'index.auto_expand_replicas': '0-1', 'index.translog.durability': 'request' }

/** What becomes of one item of a bulk answer. */
export function fateOf(item: BulkItem): 'taken' | 'again' | 'refused' {
  if (item.status >= 200 && item.status < 300) return 'taken'
  const { type = '', reason = '', caused_by } = item.error ?? {}
  // The id is the place in the log: what is there is this message.
  if (item.status === 409 && type === 'version_conflict_engine_exception') return 'taken'
  if (item.status !== 400) return 'again'
  const isTooLong =
    type === 'illegal_argument_exception' && OF_ITS_TEXT.test(`${reason} ${caused_by?.reason}`)
  return isTooLong || OF_THE_DOCUMENT.test(type) ? 'refused' : 'again'
}

/** As RFC 7617 has it: in UTF-8. Throws Stop (78) where a name or password is not percent-encoded. */
function credentialsOf({ username, password }: URL): string {
  try {
    return Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')
  } catch {
    throw new Stop(
      'Cannot use ELASTICSEARCH_URL: its user or password has a % that begins no %XX: write it as %25',
      EXIT.config,
    )
  }
}

function reasonOf(item: BulkItem | null | undefined): string {
  const { type = 'unknown', reason = '', caused_by } = item?.error ?? {}
  return [type, reason, caused_by?.reason].filter(Boolean).join(': ')
}
