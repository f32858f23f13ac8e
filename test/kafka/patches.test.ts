import { expect, test } from 'bun:test'
import { createRequire } from 'node:module'

/** What our patches of the library answer for; red where `bun install` did not apply them. */
const require = createRequire(import.meta.url)
const RequestQueue = require('kafkajs/src/network/requestQueue')
const groupMessagesPerPartition = require('kafkajs/src/producer/groupMessagesPerPartition')
const { createLogger } = require('kafkajs/src/loggers')

function queue(maxInFlightRequests: number | null) {
  return new RequestQueue({
    maxInFlightRequests,
    requestTimeout: 1000,
    enforceRequestTimeout: false,
    clientId: 'test',
    broker: 'localhost:1',
    logger: createLogger({ level: 0, logCreator: () => () => {} }),
  })
}

const request = (correlationId: number, sent: number[]) => ({
  entry: { correlationId, resolve: () => {}, reject: () => {}, apiName: 'Test', apiKey: 0, apiVersion: 0 },
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
