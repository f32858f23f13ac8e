import type { Snapshot } from '../snapshot.ts'
import { frame } from './frame.ts'
import { panel } from './panel.ts'
import { h, type Element } from './tree.ts'

interface Parameter {
  name: string
  in: string
  required: boolean
  description?: string
  schema: Record<string, unknown>
}
interface Operation {
  tags: string[]
  summary: string
  'x-role': string
  parameters: Parameter[]
}

/** The API for people, from the same description that machines read. */
export function docsPage(s: Snapshot, description: Record<string, unknown>): Element {
  const now = Date.parse(s.at)
  const paths = description.paths as Record<string, Record<string, Operation>>
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, o]) => ({ path, method, o })),
  )
  const always = { status: 'ok', as_of: s.at, error: null, data: null } as const
  return frame(
    s,
    '/docs',
    panel(
      'about',
      'API',
      always,
      now,
      h(
        'p',
        null,
        'JSON over HTTP; times are UTC. Machines read ',
        h('a', { href: '/openapi.json' }, '/openapi.json'),
        '. Every answer has ',
        h('code', null, 'status'),
        ' and ',
        h('code', null, 'as_of'),
        ': with a server away it is the last that was known. Faults are RFC 9457 problems.',
      ),
      h(
        'p',
        null,
        'Live: ',
        h('code', null, 'curl -N http://localhost:5000/events'),
        ' sends one ',
        h('code', null, 'snapshot'),
        ', then ',
        h('code', null, 'change'),
        ' events with the parts that changed.',
      ),
    ),
    [...Map.groupBy(all, (x) => x.o.tags[0] ?? '')].map(([tag, list]) =>
      panel(
        `tag-${tag}`,
        tag,
        always,
        now,
        list.map(({ path, method, o }) =>
          h(
            'details',
            { key: `${method} ${path}` },
            h(
              'summary',
              null,
              h('strong', null, method.toUpperCase()),
              ' ',
              h('code', null, path),
              ` ${o.summary}`,
              o['x-role'] === 'viewer' ? null : h('small', null, ` (role ${o['x-role']})`),
            ),
            method === 'get' && !path.includes('{') ? h('p', null, h('a', { href: path }, 'Try it')) : null,
            o.parameters.length === 0
              ? h('p', null, 'No parameters.')
              : h(
                  'dl',
                  null,
                  o.parameters.map((p) =>
                    h(
                      'div',
                      null,
                      h('dt', null, `${p.name} (${p.in}${p.required ? ', required' : ''})`),
                      h('dd', null, [p.description, shapeText(p.schema)].filter(Boolean).join('; ')),
                    ),
                  ),
                ),
          ),
        ),
      ),
    ),
  )
}

function shapeText(schema: Record<string, unknown>): string {
  const parts = [
    schema.type,
    Array.isArray(schema.enum) ? schema.enum.join(' | ') : null,
    schema.format,
    schema.minimum === undefined ? null : `≥ ${schema.minimum}`,
    schema.maximum === undefined ? null : `≤ ${schema.maximum}`,
    schema.default === undefined ? null : `default ${schema.default}`,
  ]
  return parts.filter((p) => p !== null && p !== undefined).join(', ')
}
