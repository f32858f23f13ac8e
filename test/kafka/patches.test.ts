import { expect, spyOn, test } from 'bun:test'
import { createRequire } from 'node:module'

/** What our patches of the library answer for; red where `bun install` did not apply them. */
const require = createRequire(import.meta.url)
const Batch = require('kafkajs/src/consumer/batch')
const Runner = require('kafkajs/src/consumer/runner')
const Connection = require('kafkajs/src/network/connection')
const RequestQueue = require('kafkajs/src/network/requestQueue')
const createFetchManager = require('kafkajs/src/consumer/fetchManager')
const groupMessagesPerPartition = require('kafkajs/src/producer/groupMessagesPerPartition')
const { createLogger } = require('kafkajs/src/loggers')
const Long = require('kafkajs/src/utils/long')
const Decoder = require('kafkajs/src/protocol/decoder')
const decodeRecord = require('kafkajs/src/protocol/recordBatch/record/v0/decoder')
const Record = require('kafkajs/src/protocol/recordBatch/record/v0')
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0')
const { PlainRecords, plainRecords } = require('kafkajs/src/protocol/recordBatch/plainRecords')

const silent = createLogger({ level: 0, logCreator: () => () => {} })

function queue(maxInFlightRequests: number | null, timeoutMs: number | null = null) {
  return new RequestQueue({
    maxInFlightRequests,
    requestTimeout: timeoutMs ?? 1000,
    enforceRequestTimeout: timeoutMs !== null,
    clientId: 'test',
    broker: 'localhost:1',
    logger: silent,
  })
}

const request = (correlationId: number, sent: number[], reject: (error: Error) => void = () => {}) => ({
  entry: { correlationId, resolve: () => {}, reject, apiName: 'Test', apiKey: 0, apiVersion: 0 },
  expectResponse: true,
  sendRequest: () => sent.push(correlationId),
})

test('an idle connection sets no timer', () => {
  const idle = queue(null)
  const sent: number[] = []
  idle.push(request(1, sent))
  idle.fulfillRequest({ correlationId: 1, payload: {}, size: 0 })
  expect(sent).toEqual([1])
  expect(idle.throttleCheckTimeoutId).toBeNull()
})

test('a connection looks at its time-outs only while an answer is awaited, and a request without one ends', async () => {
  const patient = queue(null, 50)
  const sent: number[] = []
  patient.scheduleRequestTimeoutCheck()
  expect(patient.requestTimeoutIntervalId ?? null).toBeNull()
  patient.push(request(1, sent))
  expect(patient.requestTimeoutIntervalId).not.toBeNull()
  patient.push(request(2, sent))
  patient.fulfillRequest({ correlationId: 1, payload: {}, size: 0 })
  expect(patient.requestTimeoutIntervalId).not.toBeNull()
  patient.fulfillRequest({ correlationId: 2, payload: {}, size: 0 })
  expect(patient.requestTimeoutIntervalId).toBeNull()
  const error = await new Promise<Error>((resolve) => patient.push(request(3, sent, resolve)))
  expect(error.name).toBe('KafkaJSRequestTimeoutError')
  expect(patient.requestTimeoutIntervalId).toBeNull()
})

test('a connection that waits for an answer looks at its time-outs less often than a fetch waits for messages', () => {
  const waiting = queue(null, 4000)
  const set = spyOn(globalThis, 'setInterval')
  waiting.push(request(1, []))
  waiting.push(request(2, []))
  const waits = set.mock.calls.map(([, ms]) => ms)
  set.mockRestore()
  waiting.destroy()
  expect(waits).toEqual([1250]) // once for both; a fetch has its answer within 1000 ms; unpatched it looks each 100 ms
})

test('a request that had to wait is still sent when its turn comes', () => {
  const busy = queue(1)
  const sent: number[] = []
  busy.push(request(1, sent))
  busy.push(request(2, sent))
  expect(sent).toEqual([1])
  busy.fulfillRequest({ correlationId: 1, payload: {}, size: 0 })
  expect(sent).toEqual([1, 2])
  busy.destroy()
})

test('a throttled request is sent when the throttle ends', async () => {
  const throttled = queue(null)
  const sent: number[] = []
  throttled.maybeThrottle(30)
  throttled.push(request(1, sent))
  expect(sent).toEqual([])
  const end = performance.now() + 2000
  while (sent.length === 0 && performance.now() < end) await Bun.sleep(5)
  expect(sent).toEqual([1])
})

test('grouping by partition keeps the order, and each group is one list that grows', () => {
  const messages = Array.from({ length: 3000 }, (_, i) => ({ partition: i % 3, value: String(i) }))
  const grow = spyOn(Array.prototype, 'push')
  const groups = groupMessagesPerPartition({
    topic: 't',
    partitionMetadata: [{}, {}, {}],
    messages,
    partitioner: ({ message }: { message: { partition: number } }) => message.partition,
  })
  const grown = grow.mock.contexts
  grow.mockRestore()
  for (const partition of [0, 1, 2]) {
    const group = groups[partition]
    expect(group).toEqual(messages.filter((m) => m.partition === partition))
    expect(grown.filter((list) => list === group).length).toBe(999) // unpatched 0: a copy of the list for each message
  }
})

/** How often this makes a Buffer in each of three ways. */
async function buffersOf(work: () => unknown) {
  const spies = [spyOn(Buffer, 'from'), spyOn(Buffer, 'alloc'), spyOn(Buffer, 'allocUnsafe')] as const
  await work()
  const [from, alloc, allocUnsafe] = spies.map((spy) => spy.mock.calls.length)
  for (const spy of spies) spy.mockRestore()
  return { from, alloc, allocUnsafe }
}

const record = (offsetDelta: number) =>
  Record({
    offsetDelta,
    timestampDelta: 7,
    key: 'k',
    value: 'v'.repeat(900),
    headers: { seq: '1', run: 'r' },
  })

test('a record is encoded into one buffer', async () => {
  // unpatched: one of 512 bytes for the record and each header, and one more for each number
  expect(await buffersOf(() => record(5))).toEqual({ from: 0, alloc: 1, allocUnsafe: 0 })
})

test('a record is encoded with plain numbers', () => {
  const long = spyOn(Long, 'fromValue')
  record(5)
  const longs = long.mock.calls.length
  long.mockRestore()
  expect(longs).toBe(0) // unpatched nine, for the size of the time and for its bytes
})

test('a batch is as large as it gets at once, and what has to grow is not zeroed', async () => {
  const records = Array.from({ length: 1000 }, (_, i) => record(i))
  const { alloc, allocUnsafe } = await buffersOf(() => RecordBatch({ records }))
  expect([alloc, allocUnsafe]).toEqual([3, 2]) // the body, and two around it that grow once; unpatched it doubles ten times more
})

test('a record is decoded with plain numbers', () => {
  const decoder = new Decoder(record(5).buffer)
  decoder.readVarInt() // its length
  const long = spyOn(Long, 'fromValue')
  const read = decodeRecord(decoder, { firstOffset: '7', firstTimestamp: '1000' })
  const longs = long.mock.calls.length
  long.mockRestore()
  expect([read.offset, read.timestamp, longs]).toEqual(['12', '1007', 0]) // unpatched each of its numbers is one
})

test('the runner of a consumer hands plain records on undecoded', async () => {
  const bytes = Buffer.from((await RecordBatch({ records: [record(0)], firstOffset: 0 })).buffer)
  const decode = spyOn(PlainRecords.prototype, 'decode')
  const handed: number[] = []
  const runner = new Runner({
    logger: silent,
    consumerGroup: { resolveOffset: () => {}, heartbeat: async () => {} },
    instrumentationEmitter: { emit: () => {} },
    eachBatch: async ({ batch }: { batch: { records: { length: number } } }) =>
      handed.push(batch.records.length),
    autoCommit: false,
  })
  runner.running = true
  const messages = plainRecords(bytes)
  await runner.handleBatch(new Batch('t', '0', { partition: 0, highWatermark: '1', messages }))
  const decoded = decode.mock.calls.length
  decode.mockRestore()
  expect(handed).toEqual([1])
  expect(decoded).toBe(0)
})

test('a consumer that is stopped while its brokers change stops', async () => {
  let nodes = [1, 2]
  let running = true
  let asked = 0
  const longPoll = Promise.withResolvers<never[]>()
  const manager = createFetchManager({
    logger: silent,
    getNodeIds: () => nodes,
    handler: async () => {},
    async fetch(node: number) {
      if (running) return node === 2 ? longPoll.promise : Bun.sleep(1).then(() => [])
      if (++asked > 100) throw new Error('asked for ever, though nothing runs')
      return [] // as the runner of a consumer that has been stopped
    },
  })
  const started = manager.start()
  await Bun.sleep(5)
  nodes = [1] // a broker is gone: the fetchers are to be made anew
  await Bun.sleep(20)
  running = false
  await manager.stop()
  longPoll.resolve([])
  await started
  expect(asked).toBeLessThan(3)
})

test('a consumer whose brokers change goes on with those that there are', async () => {
  let nodes = [1, 2]
  const asked: number[] = []
  const again = Promise.withResolvers<void>()
  const manager = createFetchManager({
    logger: silent,
    getNodeIds: () => nodes,
    handler: async () => {},
    async fetch(node: number) {
      asked.push(node)
      if (node === 3) again.resolve()
      await Bun.sleep(1)
      return []
    },
  })
  const started = manager.start()
  nodes = [1, 3]
  await Promise.race([again.promise, started])
  await manager.stop()
  await started
  expect(asked).toEqual([1, 2, 1, 3])
})

test('an answer that comes in pieces is put together once', () => {
  const rows = 64
  const answer = Buffer.alloc(4 + 4 + rows, 'x')
  answer.writeInt32BE(4 + rows, 0)
  answer.writeInt32BE(7, 4)
  const answered: number[] = []
  const connection = new Connection({
    host: 'localhost',
    port: 1,
    logger: silent,
    socketFactory: () => null,
    requestTimeout: 1000,
  })
  connection.requestQueue = {
    fulfillRequest: (one: { correlationId: number; payload: Buffer }) =>
      answered.push(one.correlationId, one.payload.length),
  }
  const concat = spyOn(Buffer, 'concat')
  for (let n = 0; n < 3; n++) {
    connection.processData(answer.subarray(0, 30))
    connection.processData(answer.subarray(30))
  }
  const joined = concat.mock.calls.length
  concat.mockRestore()
  expect(answered).toEqual([7, rows, 7, rows, 7, rows])
  expect(joined).toBe(3) // unpatched 5: an empty rest of the answer before was joined to the first piece
})

test.each([
  ['Fetch', 11],
  ['Heartbeat', 3],
  ['ListOffsets', 3],
  ['Metadata', 6],
  ['Produce', 7],
])('a request looks for no file: %s in version %p', (api, version) => {
  const { requests } = require('kafkajs/src/protocol/requests')
  const folder = `kafkajs/src/protocol/requests/${api[0]?.toLowerCase()}${api.slice(1)}/v${version}`
  const files = [`${folder}/request`, `${folder}/response`].map((name) => require.resolve(name))
  const before = files.map((file) => require.cache[file])
  expect(before).not.toContain(undefined)
  for (const file of files) delete require.cache[file]
  try {
    requests[api].protocol({ version })({ topics: [], topicData: [] })
    expect(files.map((file) => require.cache[file])).toEqual([undefined, undefined])
  } finally {
    for (const [i, file] of files.entries()) require.cache[file] = before[i]!
  }
})
