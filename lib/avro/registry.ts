import { sleep } from '../run.ts'

/**
 * A schema registry, by the Confluent REST API: Confluent's own, Apicurio under /apis/ccompat/v7, Karapace, Redpanda.
 * A schema never changes once it has a number, so whoever asks may keep the answer for ever.
 */
export interface Registry {
  /** the schema's text; null: the registry says that it has none of this number */
  schema(id: number): Promise<string | null>
  /** the number of this schema under the subject; registered where it is new and the registry allows it */
  register(subject: string, schema: string): Promise<number>
}

/** No answer, or none that a schema registry would give: to be asked again, nothing follows from it. */
export class RegistryAway extends Error {}
/** It will not have this schema: incompatible with those before it, or registering is not allowed to us. */
export class SchemaRefused extends Error {}

const ANSWER_MS = 2000
/** waits between attempts of one question; together below what a group member may be silent */
const RETRY_MS = [100, 400]
const JSON_TYPE = 'application/vnd.schemaregistry.v1+json'
const SCHEMA_NOT_FOUND = 40403

interface Answer {
  status: number
  body: { id?: unknown; schema?: unknown; schemaType?: unknown; error_code?: unknown; message?: unknown }
}

export function createRegistry(url: string): Registry {
  const { base, shown, authorization } = addressOf(url)

  async function ask(path: string, body?: object): Promise<Answer> {
    let failure = ''
    for (const waitMs of [0, ...RETRY_MS]) {
      if (waitMs > 0) await sleep(waitMs)
      try {
        const response = await fetch(base + path, {
          method: body ? 'POST' : 'GET',
          headers: { accept: JSON_TYPE, 'content-type': JSON_TYPE, ...authorization },
          body: body ? JSON.stringify(body) : null,
          signal: AbortSignal.timeout(ANSWER_MS),
        })
        const text = await response.text()
        if (response.status < 500 && response.status !== 429) {
          const parsed: unknown = JSON.parse(text)
          return { status: response.status, body: parsed as Answer['body'] }
        }
        failure = `it answered ${response.status}`
      } catch (error) {
        failure = error instanceof SyntaxError ? 'its answer is not JSON' : (error as Error).message
      }
    }
    throw new RegistryAway(`Cannot ask the schema registry at ${shown}: ${failure}`)
  }

  const said = ({ status, body }: Answer) => `${status}: ${String(body?.message ?? 'no reason given')}`
  const idIn = ({ status, body }: Answer) => (status === 200 ? Number(body.id) : NaN)

  return {
    async schema(id) {
      const answer = await ask(`/schemas/ids/${id}`)
      if (answer.status === 200 && typeof answer.body.schema === 'string') return answer.body.schema
      // Only its own word for it counts: a wrong path, a proxy or a missing right must not condemn a message.
      if (answer.body?.error_code === SCHEMA_NOT_FOUND) return null
      throw new RegistryAway(
        `Cannot ask the schema registry at ${shown} for schema ${id}: it said ${said(answer)}`,
      )
    },
    async register(subject, schema) {
      const path = `/subjects/${encodeURIComponent(subject)}`
      const known = idIn(await ask(path, { schema }))
      if (known > 0) return known
      const answer = await ask(`${path}/versions`, { schema })
      const id = idIn(answer)
      if (id > 0) return id
      if ([401, 403, 405, 409, 422].includes(answer.status)) {
        throw new SchemaRefused(
          `Cannot register the schema of ${subject} at ${shown}: it said ${said(answer)}: register it there, or make it compatible`,
        )
      }
      throw new RegistryAway(`Cannot register the schema of ${subject} at ${shown}: it said ${said(answer)}`)
    },
  }
}

/** User and password of the address travel in a header, and are never shown. */
function addressOf(text: string) {
  const url = new URL(text)
  const { username, password } = url
  url.username = ''
  url.password = ''
  const base = url.toString().replace(/\/+$/, '')
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString(
    'base64',
  )
  const authorization: Record<string, string> = username === '' ? {} : { authorization: `Basic ${login}` }
  return { base, shown: base, authorization }
}
