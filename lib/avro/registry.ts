import { sleep } from '../run.ts'

/**
 * A schema registry, by the Confluent REST API: Confluent's own, Apicurio under /apis/ccompat/v7, Karapace, Redpanda.
 * A schema never changes once it has a number, so whoever asks may keep the answer for ever.
 */
export interface Registry {
  /** where it is, without user and password */
  readonly address: string
  /** null: the registry says that it has none of this number */
  schema(id: number): Promise<Schema | null>
  /** the number of this schema under the subject; registered where it is new and the registry allows it */
  register(subject: string, schema: string): Promise<number>
}

export interface Schema {
  text: string
  /** texts of the schemas whose types it names, each after those that it names itself */
  references: string[]
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
/** Schemas name a handful of others; more than this is no answer to go on with. */
const MAX_REFERENCES = 100

interface Answer {
  status: number
  /** null and other values that are no object are what any server may answer */
  body: {
    id?: unknown
    schema?: unknown
    references?: unknown
    error_code?: unknown
    message?: unknown
  } | null
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
  const idIn = ({ status, body }: Answer) => (status === 200 ? Number(body?.id) : NaN)
  const noSchema = (what: string, why: string) =>
    new RegistryAway(`Cannot ask the schema registry at ${shown} for ${what}: ${why}`)

  /** Adds what the schema names to `texts`, which holds each subject's version once, what is named before who names it. */
  async function follow({ body }: Answer, texts: Map<string, string>): Promise<void> {
    const references = Array.isArray(body?.references) ? body.references : []
    for (const one of references as { subject?: unknown; version?: unknown }[]) {
      const path = `/subjects/${encodeURIComponent(String(one?.subject))}/versions/${encodeURIComponent(String(one?.version))}`
      if (texts.has(path)) continue
      if (texts.size >= MAX_REFERENCES) throw noSchema(path, `more than ${MAX_REFERENCES} are referred to`)
      texts.set(path, '') // it is under way: whoever names it in turn would go in a circle
      const answer = await ask(path)
      const text = textIn(answer)
      if (text === null) throw noSchema(path, `it said ${said(answer)}`)
      await follow(answer, texts)
      texts.delete(path)
      texts.set(path, text)
    }
  }

  return {
    address: shown,
    async schema(id) {
      const answer = await ask(`/schemas/ids/${id}`)
      const text = textIn(answer)
      if (text !== null) {
        const references = new Map<string, string>()
        await follow(answer, references)
        return { text, references: [...references.values()] }
      }
      // Only its own word for it counts: a wrong path, a proxy or a missing right must not condemn a message.
      if (answer.body?.error_code === SCHEMA_NOT_FOUND) return null
      throw noSchema(`schema ${id}`, `it said ${said(answer)}`)
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

function textIn({ status, body }: Answer): string | null {
  return status === 200 && typeof body?.schema === 'string' ? body.schema : null
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
