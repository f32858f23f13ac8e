import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { createReader, SchemaPending, Unreadable } from '../../lib/avro/reader.ts'
import { createRegistry, RegistryAway, SchemaRefused, type Registry } from '../../lib/avro/registry.ts'
import { nullable, schemaText, typeOf } from '../../lib/avro/schemas.ts'
import { framed } from '../../lib/avro/wire.ts'
import { createWriter, type AvroWriter } from '../../lib/avro/writer.ts'
import type { DeviceMessage } from '../../lib/device.ts'
import { registry, STACK_MS } from '../stack.ts'

setDefaultTimeout(STACK_MS)

const OURS = schemaText('SensorReading')
const MESSAGE: DeviceMessage = { id: 'device-1', ts: 1_763_000_000_123_456, temperature: 21.5, humidity: 44 }
const never = new AbortController().signal

/** Our schema with something changed. */
function changed(
  change: (schema: { name: string; fields: { name: string }[]; namespace?: string }) => void,
): string {
  const schema = JSON.parse(OURS)
  change(schema)
  return JSON.stringify(schema)
}
const withBattery = changed((s) =>
  s.fields.push({ name: 'battery', type: ['null', 'double'], default: null } as { name: string }),
)

let asked: Registry
let url: string
beforeAll(async () => {
  url = (await registry()).url
  asked = createRegistry(url)
})
afterAll(async () => {
  await (await registry()).start() // one that a test has ended
})

async function writerOf<T extends object>(
  schema: string,
  topic: string = crypto.randomUUID(),
): Promise<AvroWriter<T>> {
  const writer = createWriter<T>(topic, schema, asked)
  await writer.ready(never)
  return writer
}

/** Our schema with other types of these fields, each or null. */
function withTypes(types: Record<string, unknown[]>): string {
  return changed((s) => {
    for (const field of s.fields as { name: string; type?: unknown }[]) {
      const type = types[field.name]
      if (type) field.type = ['null', ...type]
    }
  })
}

async function post(subject: string, schema: string, references: object[] = []): Promise<number> {
  const response = await fetch(`${url}/subjects/${subject}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ schema, references }),
  })
  return ((await response.json()) as { id: number }).id
}

async function readBy<T extends { ts: number }>(schema: string, value: Buffer): Promise<T | Unreadable> {
  const reader = createReader<T>(schema, asked)
  await reader.learn([value])
  return reader.read(value)
}

describe('schema evolution', () => {
  test('a producer with a new optional field beside an old consumer', async () => {
    const writer = await writerOf<DeviceMessage & { battery: number }>(withBattery)
    const value = writer.encode({ ...MESSAGE, battery: 3.1 })
    expect(await readBy<DeviceMessage>(OURS, value)).toEqual(MESSAGE)
  })

  test('an old producer beside a consumer with a new optional field', async () => {
    const writer = await writerOf<DeviceMessage>(OURS)
    const read = await readBy<DeviceMessage & { battery: null }>(withBattery, writer.encode(MESSAGE))
    expect(read).toEqual({ ...MESSAGE, battery: null })
  })

  test('the registry takes both under one subject as fully compatible, and refuses a field that is gone', async () => {
    const topic = crypto.randomUUID()
    await writerOf(OURS, topic)
    await fetch(`${url}/config/${topic}-value`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{"compatibility":"FULL"}',
    })
    await writerOf(withBattery, topic)
    const withoutTime = changed((s) => s.fields.splice(1, 1))
    await expect(asked.register(`${topic}-value`, withoutTime)).rejects.toThrow(SchemaRefused)
  })

  test.each<[string, string, object]>([
    ['fields in another order', changed((s) => s.fields.reverse()), MESSAGE],
    ['a namespace', changed((s) => (s.namespace = 'org.example.iot')), MESSAGE],
    [
      'times in milliseconds',
      OURS.replace('timestamp-micros', 'timestamp-millis'),
      { ...MESSAGE, ts: Math.floor(MESSAGE.ts / 1000) },
    ],
    [
      'local times in milliseconds',
      OURS.replace('timestamp-micros', 'local-timestamp-millis'),
      { ...MESSAGE, ts: Math.floor(MESSAGE.ts / 1000) },
    ],
    [
      'optional times in milliseconds',
      withTypes({ ts: [{ type: 'long', logicalType: 'timestamp-millis' }] }),
      { ...MESSAGE, ts: Math.floor(MESSAGE.ts / 1000) },
    ],
    ['single precision', OURS.replaceAll('"double"', '"float"'), MESSAGE],
    ['an optional double', withTypes({ temperature: ['double'] }), MESSAGE],
    ['an optional float', withTypes({ temperature: ['float'] }), MESSAGE],
    [
      'one of several numbers',
      withTypes({ temperature: ['int', 'double'] }),
      { ...MESSAGE, temperature: { double: MESSAGE.temperature } },
    ],
    ['all of it optional', nullable(OURS), MESSAGE],
  ])('reads what others write: %s', async (_name, schema, message) => {
    const writer = await writerOf(schema)
    const read = (await readBy<DeviceMessage>(OURS, writer.encode(message))) as DeviceMessage
    expect({ ...read, ts: Math.floor(read.ts / 1000) }).toEqual({
      ...MESSAGE,
      ts: Math.floor(MESSAGE.ts / 1000),
    })
  })
})

test('a schema that names types of others, which name others', async () => {
  const topic = crypto.randomUUID()
  const of = (name: string, type: unknown) =>
    JSON.stringify({ type: 'record', name, namespace: 'org.example', fields: [{ name: 'is', type }] })
  const referTo = (name: string) => [{ name: `org.example.${name}`, subject: `${topic}-${name}`, version: 1 }]
  await post(`${topic}-Hall`, of('Hall', 'string'))
  await post(`${topic}-Place`, of('Place', 'org.example.Hall'), referTo('Hall'))
  const schema = changed((s) =>
    s.fields.push({ name: 'place', type: 'org.example.Place' } as { name: string }),
  )
  const id = await post(`${topic}-value`, schema, referTo('Place'))
  const types = typeOf(schema, [of('Hall', 'string'), of('Place', 'org.example.Hall')])
  const value = framed(id, types.toBuffer({ ...MESSAGE, place: { is: { is: 'hall 7' } } }))
  expect(await readBy<DeviceMessage>(OURS, value)).toEqual(MESSAGE)
})

describe('what can never be read', () => {
  test.each(['id', 'ts', 'temperature', 'humidity'])('a message without a value of %s', async (field) => {
    const writer = await writerOf<object>(nullable(OURS).replace('micros', 'millis'))
    const read = await readBy(OURS, writer.encode({ ...MESSAGE, [field]: null }))
    expect(read).toEqual(new Unreadable('schema', `${field}: must have a value, is null`))
  })

  test('a schema that has no such field', async () => {
    const writer = await writerOf<object>(changed((s) => s.fields.splice(2, 1)))
    expect(await readBy(OURS, writer.encode(MESSAGE))).toMatchObject({ reason: 'schema' })
  })

  test('a number is unknown only until it is registered: a message written after that is read at once', async () => {
    const reader = createReader<DeviceMessage>(OURS, asked)
    const newest = changed((s) => (s.namespace = `org.example.n${Date.now()}`))
    const next = (await post(crypto.randomUUID(), newest)) + 1
    const early = framed(next, Buffer.alloc(0))
    await reader.learn([early])
    expect(reader.read(early)).toMatchObject({ reason: 'unknown_schema' })
    const good = (await writerOf<DeviceMessage>(`${newest.slice(0, -1)},"doc":"one more"}`)).encode(MESSAGE)
    expect(good.readInt32BE(1)).toBe(next)
    await reader.learn([good])
    expect(reader.read(good)).toEqual(MESSAGE)
  })

  test('is told by a word and a sentence', async () => {
    const value = (await writerOf<DeviceMessage>(OURS)).encode(MESSAGE)
    const alert = await writerOf<object>(schemaText('SensorAlert'))
    const { temperature, humidity } = MESSAGE
    const foreign = alert.encode({ sensor_id: 'x', ts: 1, reason: 'hot', temperature, humidity })
    const cases: [string, Buffer][] = [
      ['not_avro', Buffer.from('{"id":"device-1"}')],
      ['not_avro', value.subarray(0, 4)],
      ['unknown_schema', framed(2 ** 31 - 1, value.subarray(5))],
      ['unknown_schema', framed(-7, value.subarray(5))],
      ['schema', foreign],
      ['truncated', value.subarray(0, value.length - 1)],
      ['decode', Buffer.concat([value, Buffer.from([0])])],
    ]
    for (const [reason, bytes] of cases) {
      const read = await readBy(OURS, bytes)
      expect(read).toBeInstanceOf(Unreadable)
      expect((read as Unreadable).reason as string).toBe(reason)
      expect((read as Unreadable).message).toMatch(/ /)
    }
  })

  test('every beginning of a message is unreadable, and no bytes after a known number make it throw', async () => {
    const value = (await writerOf<DeviceMessage>(OURS)).encode(MESSAGE)
    const reader = createReader<DeviceMessage>(OURS, asked)
    await reader.learn([value])
    for (let end = 0; end < value.length; end++) {
      expect(reader.read(value.subarray(0, end))).toBeInstanceOf(Unreadable)
    }
    const head = value.subarray(0, 5)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(reader.read(Buffer.concat([head, bytes]))).toBeDefined()
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a registry that is away', () => {
  test('known numbers go on, unknown ones wait, and a killed one comes back with the same numbers', async () => {
    const known = (await writerOf<DeviceMessage>(OURS)).encode(MESSAGE)
    const unknown = (await writerOf<DeviceMessage>(withBattery)).encode(MESSAGE)
    const reader = createReader<DeviceMessage>(OURS, asked)
    await reader.learn([known])
    const server = await registry()
    await server.kill()
    await reader.learn([known, unknown])
    expect(reader.read(known)).toEqual(MESSAGE)
    expect(() => reader.read(unknown)).toThrow(SchemaPending)
    await expect(asked.schema(1)).rejects.toThrow(RegistryAway)
    await server.start()
    await reader.learn([unknown])
    expect(reader.read(unknown)).toEqual(MESSAGE)
    expect((await writerOf<DeviceMessage>(OURS)).encode(MESSAGE).subarray(0, 5)).toEqual(known.subarray(0, 5))
  })

  test('a writer goes on with the number that it remembers, of this registry and this schema alone', async () => {
    const away = createRegistry('http://127.0.0.1:1')
    const before = createWriter<DeviceMessage>('topic', OURS, { ...asked, address: away.address })
    await before.ready(never)
    const memo = before.memo()
    const after = createWriter<DeviceMessage>('topic', OURS, away)
    await after.ready(never, memo)
    expect(after.encode(MESSAGE)).toEqual(before.encode(MESSAGE))
    expect([after.memo(), after.waitsFor()]).toEqual([memo, null])
    const others: [string, Registry][] = [
      [withBattery, away],
      [OURS, createRegistry('http://127.0.0.1:2')],
    ]
    for (const [schema, where] of others) {
      const stop = new AbortController()
      const other = createWriter<DeviceMessage>('topic', schema, where)
      const asking = other.ready(stop.signal, memo)
      while (other.waitsFor() === null && !other.isReady()) await Bun.sleep(20)
      stop.abort()
      await asking
      expect(other.isReady()).toBe(false)
      expect(other.waitsFor()).toContain(`Cannot ask the schema registry at ${where.address}`)
    }
  })

  test('a server that is none condemns no message', async () => {
    using page = Bun.serve({
      port: 0,
      fetch: () => Response.json({ error: 'no such page' }, { status: 404 }),
    })
    const reader = createReader<DeviceMessage>(OURS, createRegistry(page.url.href))
    const value = framed(1, Buffer.from([0]))
    await reader.learn([value])
    expect(() => reader.read(value)).toThrow(SchemaPending)
  })

  test.each(['null', '[]', '"yes"', '{"schema":null}'])(
    'one that answers %s condemns none either',
    async (answer) => {
      using server = Bun.serve({ port: 0, fetch: () => new Response(answer) })
      const asked = createRegistry(server.url.href)
      await expect(asked.schema(1)).rejects.toThrow(RegistryAway)
      await expect(asked.register('s', OURS)).rejects.toThrow(RegistryAway)
    },
  )

  test('user and password travel in a header, and are not shown', async () => {
    let seen: string | null = null
    using server = Bun.serve({
      port: 0,
      fetch(request) {
        seen = request.headers.get('authorization')
        return Response.json({ message: 'not you' }, { status: 401 })
      },
    })
    const secret = createRegistry(server.url.href.replace('//', '//key:s3cret@'))
    const error = await secret.schema(1).catch((e: Error) => e)
    expect(seen as string | null).toBe(`Basic ${Buffer.from('key:s3cret').toString('base64')}`)
    expect(error).toBeInstanceOf(RegistryAway)
    expect((error as Error).message).not.toContain('s3cret')
  })
})
