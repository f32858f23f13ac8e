import { createRegistry } from '../../lib/avro/registry.ts'
import { typeOf, schemaText } from '../../lib/avro/schemas.ts'
import { framed, HEAD_BYTES } from '../../lib/avro/wire.ts'
import { DEVICE_ALERT_TOPIC, DEVICE_TOPIC } from '../../lib/device.ts'
import type { Case } from '../catalogue.ts'
import { NAUGHTY } from './corpus.ts'
import { createDesk, DAY, letter, SECOND, type Desk } from './draft.ts'

/** Numbers of schemas that the registry knows. */
export interface SchemaNumbers {
  /** SensorReading as it is */
  ours: number
  /** SensorReading with one more field, optional */
  newer: number
  /** a record of another name and form: SensorAlert */
  other: number
}

export interface DeviceRecord {
  id: string
  ts: number
  temperature: number
  humidity: number
}

const TYPE = typeOf(schemaText('SensorReading'))
const OTHER = typeOf(schemaText('SensorAlert'))
const UNKNOWN = [0, -1, -2_147_483_648, 2_147_483_647, 16_777_216, 1_128_351_586]

/** Registers what the list is written by; the newer form under a subject of its own. Throws what a registry throws. */
export async function registerSchemas(url: string): Promise<SchemaNumbers> {
  const registry = createRegistry(url)
  const [ours, newer, other] = await Promise.all([
    registry.register(`${DEVICE_TOPIC}-value`, schemaText('SensorReading')),
    registry.register('poison-value', newerSchema()),
    registry.register(`${DEVICE_ALERT_TOPIC}-value`, schemaText('SensorAlert')),
  ])
  return { ours, newer, other }
}

/** SensorReading with an optional field that no reader of ours knows yet. */
export function newerSchema(): string {
  const schema = JSON.parse(schemaText('SensorReading')) as { namespace?: string; fields: object[] }
  schema.namespace = 'org.example'
  schema.fields.push({ name: 'battery', type: ['null', 'double'], default: null })
  return JSON.stringify(schema)
}

/** What may go wrong with a message of a device, each with the end that it must have. */
export function deviceCatalogue(now: number, run: string, numbers: SchemaNumbers): Case[] {
  const cases: Case[] = []
  const bench = createBench(createDesk(cases, now, run), numbers)
  badFraming(bench)
  badRecords(bench)
  badFields(bench)
  oddities(bench)
  return cases
}

/** A good message of a device, as a producer of ours writes it. */
export function deviceMessage(id: string, at: number, number: number): Buffer {
  return framed(number, TYPE.toBuffer({ id, ts: at * 1000, temperature: 22.5, humidity: 45 }))
}

type Bench = ReturnType<typeof createBench>

function createBench(desk: Desk, numbers: SchemaNumbers) {
  const device = (change: Partial<DeviceRecord> = {}): DeviceRecord => ({
    id: desk.sensorOf(),
    ts: desk.now * 1000,
    temperature: 22.5,
    humidity: 45,
    ...change,
  })
  const message = (change?: Partial<DeviceRecord>) => framed(numbers.ours, TYPE.toBuffer(device(change)))
  return { ...desk, numbers, device, message }
}

/** Both channels of the message, each with its own flags. */
const both = (temperature: readonly string[] = [], humidity: readonly string[] = temperature) =>
  ({ end: 'stored', flags: temperature, second: humidity }) as const

function badFraming({ add, message, numbers, device }: Bench): void {
  add('tombstone: no value', letter('tombstone'), { value: null })
  add('empty value', letter('empty'), { value: '' })
  for (let length = 1; length < HEAD_BYTES; length++)
    add(`the first ${length} bytes of a message`, letter('not_avro'), {
      value: message().subarray(0, length),
    })
  for (const magic of [1, 2, 3, 0x0a, 0x4f, 0x5b, 0x7b, 0x7f, 0x80, 0xc3, 0xfe, 0xff]) {
    const value = message()
    value[0] = magic
    add(`a good message that begins with byte ${magic}`, letter('not_avro'), { value })
  }
  add('the record without its head', letter('not_avro'), { value: TYPE.toBuffer(device()) })
  add('JSON', letter('not_avro'), { value: JSON.stringify(device()) })
  add('an Avro container file', letter('not_avro'), { value: Buffer.from('4f626a0102166176726f', 'hex') })
  add('gzip of a good message', letter('not_avro'), {
    value: Buffer.from(Bun.gzipSync(new Uint8Array(message()))),
  })
  for (const id of UNKNOWN)
    add(`a schema that nobody has registered: ${id}`, letter('unknown_schema'), {
      value: framed(id, TYPE.toBuffer(device())),
    })
  const swapped = message()
  swapped.writeInt32LE(numbers.ours, 1)
  add('the schema’s number with its bytes in the wrong order', letter('unknown_schema'), { value: swapped })
  add('text behind a byte 0', letter('unknown_schema'), { value: Buffer.from('\0Hello, world') })
}

function badRecords({ add, message, numbers, device, sensorOf, now }: Bench): void {
  const alert = () =>
    OTHER.toBuffer({ sensor_id: sensorOf(), ts: now * 1000, reason: 'hot', temperature: 60, humidity: 5 })
  add('a record of another schema, and it says so', letter('schema'), {
    value: framed(numbers.other, alert()),
  })
  add('a good record under the number of another schema', letter('schema'), {
    value: framed(numbers.other, TYPE.toBuffer(device())),
  })
  add('a record of another schema under our number', letter('decode'), {
    value: framed(numbers.ours, alert()),
  })
  const whole = message().length
  for (let length = HEAD_BYTES; length < whole; length++)
    add(
      `cut after ${length - HEAD_BYTES} of ${whole - HEAD_BYTES} bytes of the record`,
      letter('truncated'),
      {
        value: message().subarray(0, length),
      },
    )
  add('a byte too many', letter('decode'), { value: Buffer.concat([message(), Buffer.from([0])]) })
  add('two messages in one', letter('decode'), { value: Buffer.concat([message(), message()]) })
  add('a record of the newer schema under our number', letter('decode'), {
    value: framed(numbers.ours, Buffer.concat([TYPE.toBuffer(device()), Buffer.from([0])])),
  })
  add('a record of our schema under the newer number', letter('truncated'), {
    value: framed(numbers.newer, TYPE.toBuffer(device())),
  })
  add('a branch of a union that there is not', letter('decode'), {
    value: framed(numbers.newer, Buffer.concat([TYPE.toBuffer(device()), Buffer.from([8])])),
  })
  const body = (hex: string) => framed(numbers.ours, Buffer.from(hex, 'hex'))
  add('a text of 2^40 bytes is announced', letter('truncated'), { value: body('8080808080804061') })
  add('a text of a negative length', letter('truncated'), { value: body(`01${'00'.repeat(24)}`) })
  add('a number that never ends', letter('truncated'), { value: body('ff'.repeat(64)) })
  add('nothing but zeros', letter('schema'), { value: body('00'.repeat(18)) })
  add('200 kB behind the record', letter('decode'), {
    value: () => Buffer.concat([message(), Buffer.alloc(200_000)]),
  })
  add('more than is looked into', letter('too_large'), {
    value: () => Buffer.concat([message(), Buffer.alloc(256 * 1024)]),
  })
  add('900 kB', letter('too_large'), { value: () => Buffer.alloc(900_000) })
  add('1.2 MB', { end: 'refused' }, { value: () => Buffer.alloc(1_200_000) })
}

function badFields({ add, message, numbers }: Bench): void {
  for (const channel of ['temperature', 'humidity'] as const) {
    for (const value of [NaN, Infinity, -Infinity, 2 ** 53, -(2 ** 53), Number.MAX_VALUE])
      add(`${channel} is ${value}`, letter('schema'), { value: message({ [channel]: value }) })
    add(`${channel} is −0, stored as 0`, both(), { value: message({ [channel]: -0 }) })
    add(`${channel} is the smallest number there is`, both(), { value: message({ [channel]: 5e-324 }) })
  }
  add('300 °C', both(['outOfRange'], []), { value: message({ temperature: 300 }) })
  add('−300 °C', both(['outOfRange'], []), { value: message({ temperature: -300 }) })
  add('−1 % of humidity', both([], ['outOfRange']), { value: message({ humidity: -1 }) })
  add('101 % of humidity', both([], ['outOfRange']), { value: message({ humidity: 101 }) })
  for (const id of [
    '',
    ' ',
    'a b',
    'a\0b',
    'a\nb',
    'é',
    '🌡',
    'x'.repeat(53),
    'x'.repeat(10_000),
    ...NAUGHTY.slice(0, 20),
  ])
    add(`the device is ${JSON.stringify(id.slice(0, 30))}`, letter('schema'), { value: message({ id }) })
  const latin = message({ id: 'device-x' })
  latin[latin.indexOf('x')] = 0xff
  add('the device is no UTF-8', letter('schema'), { value: latin })
  for (const ts of [-1, -(2 ** 52), 253_402_300_800_000_000])
    add(`measured ${ts} µs after 1970`, letter(Number.isSafeInteger(ts) ? 'schema' : 'decode'), {
      // beyond 2^53 the codec writes nothing, so those bytes are by hand
      value: Number.isSafeInteger(ts) ? message({ ts }) : withTime(numbers.ours, BigInt(ts)),
    })
  add('measured at the last moment of 64 bits', letter('decode'), {
    value: withTime(numbers.ours, 2n ** 63n - 1n),
  })
}

function oddities({ add, message, numbers, device, now, run, sensorOf }: Bench): void {
  const at = (offsetMs: number) => ({ ts: (now + offsetMs) * 1000 })
  add('a newer schema with one more field', both(), {
    value: framed(numbers.newer, Buffer.concat([TYPE.toBuffer(device()), Buffer.from([0])])),
  })
  add('the year 1970', both(['late', 'clock']), { value: message({ ts: 0 }) })
  add('6 minutes ahead', both(['clock']), { value: message(at(360 * SECOND)) })
  add('29 days ago', both(['late']), { value: message(at(-29 * DAY)) })
  add('a device of 52 characters', both(), {
    value: message({ id: `${sensorOf()}.`.padEnd(52, 'x').slice(0, 52) }),
  })
  add('no key', both(), { key: null, value: message() })
  add('a key that names another device', both(), { key: Buffer.from('somebody-else'), value: message() })
  add('no headers', both(['unidentified']), { headers: {}, value: message() })
  add('a number that is none', both(['unidentified']), {
    headers: { 'run-id': run, seq: 'x' },
    value: message(),
  })
  const series = (what: string, expected: Case['expected'], seq: number, change: Partial<DeviceRecord>) =>
    add(`one device: ${what}`, expected, {
      group: 'again',
      headers: { 'run-id': run, seq: String(seq) },
      value: message({ id: sensorOf('again'), ...change }),
    })
  series('the first', both(), 1, at(0))
  series('the same again', { end: 'repeat' }, 1, at(0))
  series('the same number, another value', { end: 'conflict' }, 1, { ...at(0), humidity: 46 })
  series('two numbers are missing', both(['gapBefore']), 4, at(SECOND))
  series('one of them comes', both(['late', 'filled']), 3, at(-SECOND))
  series('one that cannot be', letter('schema'), 5, { ...at(2 * SECOND), humidity: NaN })
  series('the next leaves no gap', both(), 6, at(3 * SECOND))
}

/** A record whose time is any number of 64 bits, zigzag and in sevens of bits as Avro writes it. */
function withTime(number: number, ts: bigint): Buffer {
  const bytes = [2, 0x61]
  let rest = BigInt.asUintN(64, (ts << 1n) ^ (ts >> 63n))
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return framed(number, Buffer.concat([Buffer.from(bytes), Buffer.alloc(16)]))
}
