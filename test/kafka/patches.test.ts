import { expect, spyOn, test } from 'bun:test'
import { createRequire } from 'node:module'

/** What our patches of the library answer for; red where `bun install` did not apply them. */
const require = createRequire(import.meta.url)
const Connection = require('kafkajs/src/network/connection')
const RequestQueue = require('kafkajs/src/network/requestQueue')
const createFetchManager = require('kafkajs/src/consumer/fetchManager')
const groupMessagesPerPartition = require('kafkajs/src/producer/groupMessagesPerPartition')
const { createLogger } = require('kafkajs/src/loggers')
const Record = require('kafkajs/src/protocol/recordBatch/record/v0')
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0')

function queue(maxInFlightRequests: number | null, timeoutMs: number | null = null) {
  return new RequestQueue({
    maxInFlightRequests,
    requestTimeout: timeoutMs ?? 1000,
    enforceRequestTimeout: timeoutMs !== null,
    clientId: 'test',
    broker: 'localhost:1',
    logger: createLogger({ level: 0, logCreator: () => () => {} }),
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

test('grouping by partition keeps the order and takes linear time', () => {
  const messages = Array.from({ length: 60_000 }, (_, i) => ({ partition: i % 3, value: String(i) }))
  const start = performance.now()
  const groups = groupMessagesPerPartition({
    topic: 't',
    partitionMetadata: [{}, {}, {}],
    messages,
    partitioner: ({ message }: { message: { partition: number } }) => message.partition,
  })
  expect(performance.now() - start).toBeLessThan(1000) // linear 10 ms; a copy for each message took many seconds
  for (const partition of [0, 1, 2]) {
    expect(groups[partition]).toEqual(messages.filter((m) => m.partition === partition))
  }
})

test('records are encoded to the very bytes of the unpatched library', async () => {
  const bytes = Buffer.concat(await encodedBatches())
  // of the unpatched 2.2.4, for the same batches
  expect(bytes).toHaveLength(7_570_435)
  expect(new Bun.CryptoHasher('sha256').update(bytes).digest('hex')).toBe(
    '6b57b7876cd291ff826de5cd5d740abd1826e70f9b81b27ebb1231ddbb79794b',
  )
})

test('encoding a record makes no buffer for each of its numbers', () => {
  const from = spyOn(Buffer, 'from')
  Record({ offsetDelta: 5, timestampDelta: 7, key: 'k', value: 'v', headers: { seq: '1' } })
  const calls = from.mock.calls.length
  from.mockRestore()
  expect(calls).toBe(0)
})

/** Some hundred batches of every shape, the same on every machine. */
async function encodedBatches(): Promise<Buffer[]> {
  let state = 7
  const random = (below: number) => (state = (state * 48_271) % 2_147_483_647) % below
  const text = (length: number) => Array.from({ length }, () => 'aé€😀'.slice(random(3))).join('')
  const batches: Buffer[] = []
  for (let n = 0; n < 200; n++) {
    const deltas = [0, 1, 63, 64, -1, 8191, 2 ** 30, 2 ** 31, -(2 ** 31), 2 ** 40, 86_400_000]
    const records = Array.from({ length: random(40) }, (_, i) =>
      Record({
        offsetDelta: i * random(1000),
        timestampDelta: deltas[random(deltas.length)],
        key: [null, '', text(random(20)), Buffer.from(text(random(20)))][random(4)],
        value: [null, text(random(600)), Buffer.alloc(random(3000), n)][random(3)],
        headers: [undefined, {}, { seq: String(n) }, { 'run-id': Buffer.from('r'), list: ['a', text(200)] }][
          random(4)
        ],
      }),
    )
    const batch = await RecordBatch({ records, firstTimestamp: 1.7e12 + n, maxTimestamp: 1.7e12 + n + 5 })
    batches.push(Buffer.from(batch.buffer))
  }
  return batches
}

test('a consumer that is stopped while its brokers change stops', async () => {
  let nodes = [1, 2]
  let running = true
  let asked = 0
  const longPoll = Promise.withResolvers<never[]>()
  const manager = createFetchManager({
    logger: createLogger({ level: 0, logCreator: () => () => {} }),
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

test('an answer that comes in pieces is put together once', () => {
  const rows = 64
  const answer = Buffer.alloc(4 + 4 + rows, 'x')
  answer.writeInt32BE(4 + rows, 0)
  answer.writeInt32BE(7, 4)
  const answered: number[] = []
  const connection = new Connection({
    host: 'localhost',
    port: 1,
    logger: createLogger({ level: 0, logCreator: () => () => {} }),
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
