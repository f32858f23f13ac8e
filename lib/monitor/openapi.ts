import { z } from 'zod'
import { problem } from './answers/live.ts'
import type { AnyEndpoint } from './endpoint.ts'

type Json = Record<string, unknown>

/** OpenAPI 3.1 of the API, from the very schemas that check what goes in and out. */
export function openApi(endpoints: readonly AnyEndpoint[], version: string): Json {
  const paths: Record<string, Json> = {}
  const components: Json = {}
  const shapeOf = (shape: z.ZodType, io: 'input' | 'output'): Json => {
    const made = z.toJSONSchema(shape, { target: 'draft-2020-12', io, unrepresentable: 'any' }) as Json
    const { $defs, $schema: _, id: __, ...rest } = made
    for (const [name, part] of Object.entries(($defs ?? {}) as Json)) components[name] = moved(part)
    return moved(rest)
  }
  const fault = {
    description: 'problem',
    content: { 'application/problem+json': { schema: shapeOf(problem, 'output') } },
  }
  for (const e of endpoints) {
    const path = e.path.replace(/:(\w+)/g, '{$1}')
    const answer = e.produces
      ? Object.fromEntries(e.produces.map((type) => [type, { schema: { type: 'string' } }]))
      : { 'application/json': { schema: shapeOf(e.answer, 'output') } }
    const operation: Json = {
      operationId: `${e.method}${path.replace(/[^A-Za-z]+(.)?/g, (_, c: string | undefined) => c?.toUpperCase() ?? '')}`,
      tags: [e.tag],
      summary: e.summary,
      'x-role': e.role ?? 'viewer',
      parameters: [...parametersOf(e.params, 'path', shapeOf), ...parametersOf(e.query, 'query', shapeOf)],
      responses: {
        200: { description: 'ok', content: answer },
        ...(e.method === 'post'
          ? {
              303: { description: 'done; a form returns to its page' },
              400: fault,
              403: fault,
              409: fault,
              413: fault,
              415: fault,
              503: fault,
            }
          : { 304: { description: 'not changed (If-None-Match)' } }),
        ...(e.params ? { 404: fault } : {}),
        401: fault,
        422: fault,
        429: fault,
        default: fault,
      },
    }
    if (e.body)
      operation.requestBody = {
        required: !e.body.safeParse({}).success,
        content: { 'application/json': { schema: shapeOf(e.body, 'input') } },
      }
    paths[path] = { ...paths[path], [e.method]: operation }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Plant monitor',
      version,
      description:
        'Readings, alarms and the pipeline under them. Every answer carries `as_of` and `status`: with PostgreSQL or Kafka away it is the last that was known, with the fault beside it; only writes answer 503.',
    },
    paths,
    // Where tokens are set; without any, on loopback, everybody may.
    security: [{ token: [] }, { session: [] }, {}],
    components: {
      schemas: components,
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer' },
        session: { type: 'apiKey', in: 'cookie', name: 'session' },
      },
    },
  }
}

/** What zod puts under $defs stands under components here. */
function moved(schema: unknown): Json {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json
}

function parametersOf(
  shape: z.ZodType | undefined,
  place: 'path' | 'query',
  shapeOf: (shape: z.ZodType, io: 'input' | 'output') => Json,
): Json[] {
  if (!shape) return []
  const { properties = {}, required = [] } = shapeOf(shape, 'input') as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description === undefined ? {} : { description }),
    // Numbers arrive as text and are read; what the text must say is what the schema says.
    schema: Object.keys(schema).length === 0 || schema.type === undefined ? typeOf(name, schema) : schema,
  }))
}

function typeOf(name: string, schema: Json): Json {
  if (schema.anyOf || schema.enum || schema.$ref) return schema
  return /^(limit|points|dead_letter_id|incident_id)$/.test(name)
    ? { type: 'integer', ...schema }
    : { type: 'string', ...schema }
}
