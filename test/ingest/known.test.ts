import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { catalogue, type Case } from '../../chaos/catalogue.ts'
import { encodeCheckpoint } from '../../lib/ingest/checkpoint.ts'
import { decodeFactory } from '../../lib/ingest/decode.ts'
import { identityOf } from '../../lib/ingest/identity.ts'
import { createOutputs, type Message } from '../../lib/ingest/outputs.ts'
import { createProcessor } from '../../lib/ingest/partition.ts'
import { fetched } from './batch.ts'
import { freshState, keys, logOf, process, storedOf, where, type Sent } from './log.ts'

setDefaultTimeout(60_000) // arithmetic alone: seconds on a quiet machine

/** Both ways from the same log: the records where they lie, and every message by decoder and schema. */
async function bothWays(log: readonly Message[]) {
  const outputs = createOutputs()
  const state = freshState()
  const processor = createProcessor(state, () => outputs, where, keys, 'consumer-1')
  const records = await fetched(log)
  let known = 0
  while (records.standing) {
    known += processor.run(records, 1000, Infinity)
    if (!records.standing) break
    const message = records.message()
    processor.process(message, decodeFactory(message.value), identityOf(message.headers))
    records.next()
  }
  const plainState = freshState()
  const plainOutputs = createOutputs()
  process(plainState, log, plainOutputs)
  return {
    known,
    short: { ...storedOf([outputs]), newest: outputs.newestMeasuredAt, checkpoint: encodeCheckpoint(state) },
    long: {
      ...storedOf([plainOutputs]),
      newest: plainOutputs.newestMeasuredAt,
      checkpoint: encodeCheckpoint(plainState),
    },
  }
}

const sent: fc.Arbitrary<Sent[]> = fc.array(
  fc.record({
    sensor: fc.constantFrom('temp-1', 'temp-2', 'temp-3'),
    seq: fc.option(fc.integer({ min: 1, max: 60 }), { freq: 8 }),
    value: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(20, 34, 36, 39, 41, 300, -70, 0, -0) },
      { weight: 6, arbitrary: fc.double({ min: -1e17, max: 1e17, noNaN: true }) },
      { weight: 6, arbitrary: fc.integer({ min: -99_999, max: 99_999 }).map((n) => n / 1000) },
      { weight: 1, arbitrary: fc.constant('hot') },
    ),
    at: fc.integer({ min: 0, max: 100 }),
    arrivedAt: fc.integer({ min: 0, max: 400 }),
    quality: fc.oneof(
      { weight: 20, arbitrary: fc.constantFrom(1, 0.9, 0.1, 0, -0) },
      fc.constantFrom(2, undefined),
    ),
    metadata: fc.oneof(
      { weight: 20, arbitrary: fc.integer().map((reading_count) => ({ reading_count })) },
      fc.constantFrom(undefined, { history: true }, { note: 'a"b\\' }),
    ),
  }),
  { minLength: 40, maxLength: 150 },
)

describe('run()', () => {
  test('gives the same rows, alarms, ids, letters, counts and checkpoint as decoding each message', async () => {
    let known = 0
    await fc.assert(
      fc.asyncProperty(sent, async (list) => {
        const ways = await bothWays(logOf(list))
        expect(ways.short).toEqual(ways.long)
        known += ways.known
      }),
      { numRuns: 150 },
    )
    expect(known).toBeGreaterThan(1000)
  })

  test('the same where bytes of messages are other ones', async () => {
    let known = 0
    const place = fc.record({
      message: fc.nat(29),
      place: fc.nat(400),
      byte: fc.integer({ min: 0, max: 255 }),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(place, { minLength: 1, maxLength: 12 }),
        fc.boolean(),
        async (places, inHead) => {
          const log = logOf(
            Array.from({ length: 30 }, (_, i) => ({ seq: i + 1, value: 20 + (i % 7) / 10, at: i })),
          )
          for (const { message, place: at, byte } of places) {
            const { value, headers } = log[message]!
            const bytes = inHead ? (headers!.seq as Buffer) : value!
            bytes[at % bytes.length] = byte
          }
          const ways = await bothWays(log)
          expect(ways.short).toEqual(ways.long)
          known += ways.known
        },
      ),
      { numRuns: 300 },
    )
    expect(known).toBeGreaterThan(3000)
  })

  test('the same where digits, signs, points and levels stand in the places of others', async () => {
    const token = fc.oneof(
      fc.stringMatching(/^-?[0-9.eE+-]{1,20}$/),
      fc.constantFrom(
        '1.',
        '.5',
        '01',
        '-',
        '1e5',
        '0.1e-400',
        '-0',
        '0.0',
        '1.50',
        '9007199254740993',
        'null',
        '"1"',
      ),
      fc.double().map(String),
    )
    const time = fc.stringMatching(
      /^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\.[0-9]{6}Z$/,
    )
    const level = fc.constantFrom('normal', 'warning', 'critical', 'normals', 'norma', 'Normal')
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(fc.option(token), fc.option(time, { freq: 2 }), level, fc.option(token, { freq: 2 })),
        ),
        async (tokens) => {
          const good =
            '{"timestamp":"2026-01-01T00:00:00.000000Z","sensor_id":"temp-1","sensor_type":"temperature","location":{"factory_section":"p","machine_id":"m","zone":"ä"},"value":V,"unit":"°C","alert_level":"L","quality":Q,"metadata":{"reading_count":C}}'
          const [base] = logOf([{ seq: 1, at: 0 }])
          const log = [null, null, ...tokens].map((t, i) => ({
            ...base!,
            offset: i,
            headers: { 'run-id': Buffer.from('r'), seq: Buffer.from(String(i + 1)) },
            value: Buffer.from(
              good
                .replace('V', t?.[0] ?? '20.5')
                .replace('2026-01-01T00:00:00.000000Z', t?.[1] ?? '2026-01-01T00:00:00.000000Z')
                .replace('"L"', `"${t?.[2] ?? 'normal'}"`)
                .replace('Q', t?.[3] ?? '1')
                .replace('C', t?.[0] ?? '1'),
            ),
          }))
          const ways = await bothWays(log)
          expect(ways.short).toEqual(ways.long)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('the same for every case of bad input, each among good messages of the same sensor', async () => {
    const cases = catalogue(Date.UTC(2026, 0, 1) + 60_000, 'poison').filter(
      (c) => c.expected.end !== 'refused',
    )
    const log: Message[] = []
    for (const { id, key, value, headers } of cases) {
      const sensor = /^[\w.:-]{1,64}$/.exec(key?.toString('latin1') ?? '')?.[0] ?? `none-${id}`
      const good = logOf([1, 2, 3, 4].map((i) => ({ sensor, seq: 100 + i, at: i, value: 20 + i })))
      const bad = { ...good[0]!, key, value: value(), headers: asBuffers(headers) }
      for (const message of [good[0], good[1], bad, good[2], bad, good[3]])
        log.push({ ...message!, offset: log.length })
    }
    const ways = await bothWays(log)
    expect(ways.short).toEqual(ways.long)
    expect(ways.known).toBeGreaterThan(cases.length)
  })

  test.each([
    [1, 'a key that comes twice', '"value":20,"value":21'],
    [2, 'a key with escapes', '"v\\u0061lue":20'],
    [3, 'a value within metadata', '"value":20,"metadata":{"value":3,"reading_count":"7"}'],
    [4, 'space everywhere', ' "value" : 20 , "quality" : 0.5 '],
    [5, 'unknown fields', '"value":20,"more":[1,{"value":2}],"quality":0.75'],
    [6, 'no quality, no metadata', '"value":20'],
  ])('%d. %s is read as ever', async (_number, _what, fields) => {
    const [base] = logOf([{ seq: 1, at: 0 }])
    const log = Array.from({ length: 8 }, (_, i) => ({
      ...base!,
      offset: i,
      headers: { 'run-id': Buffer.from('r'), seq: Buffer.from(String(i + 1)) },
      value: Buffer.from(
        `{"timestamp":"2026-01-01T00:00:0${i}.000000Z","sensor_id":"temp-1","sensor_type":"temperature","location":{"factory_section":"p","machine_id":"m","zone":"z"},"unit":"°C",${fields.replaceAll('20', `2${i}`)}}`,
      ),
    }))
    const ways = await bothWays(log)
    expect(ways.short).toEqual(ways.long)
  })

  test('a header that only looks like seq does not become the number', async () => {
    const [base] = logOf([{ seq: 1, at: 0 }])
    const log = Array.from({ length: 8 }, (_, i) => ({
      ...base!,
      offset: i,
      headers: {
        'run-id': Buffer.from('r'),
        seq: Buffer.from('4'),
        x: Buffer.concat([
          Buffer.from([6]),
          Buffer.from('seq'),
          Buffer.from([2]),
          Buffer.from(String(i + 1)),
        ]),
      },
    }))
    const ways = await bothWays(log)
    expect(ways.short).toEqual(ways.long)
    expect(ways.short.counters.stored).toBe(1)
  })
})

function asBuffers(headers: Case['headers']): Message['headers'] {
  const entries = Object.entries(headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.map((v) => Buffer.from(v)) : Buffer.from(value as string),
  ])
  return Object.fromEntries(entries)
}
