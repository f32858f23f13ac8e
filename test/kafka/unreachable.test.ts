import { expect, test } from 'bun:test'
import {
  type Kafka,
  KafkaJSConnectionError,
  KafkaJSNumberOfRetriesExceeded,
  KafkaJSProtocolError,
} from 'kafkajs'
import { clusterView, isUnreachable } from '../../lib/kafka/client.ts'
import { DeadlineError } from '../../lib/run.ts'

/** What makes us leave a client and begin at the next broker, and what is an answer that we must take. */
const CASES: [string, unknown, boolean][] = [
  ['no answer within the deadline', new DeadlineError('no answer within 8000 ms'), true],
  ['the connection is gone', new KafkaJSConnectionError('closed'), true],
  // as it is thrown when the broker of a client that had connected has died since
  ['the library’s bare error for a broker that has gone', new Error('Broker not connected'), true],
  ['all attempts failed on connections', exhausted(new KafkaJSConnectionError('closed')), true],
  ['a broker refused', refusal(), false],
  ['all attempts were refused', exhausted(refusal()), false],
  ['a fault of ours', new TypeError('x is not a function'), false],
]

function refusal(): Error {
  return new KafkaJSProtocolError(
    Object.assign(new Error('not authorized'), { type: 'TOPIC_AUTHORIZATION_FAILED' }),
  )
}

function exhausted(cause: Error): Error {
  return new KafkaJSNumberOfRetriesExceeded(cause, { retryCount: 2, retryTime: 100 })
}

test.each(CASES)('isUnreachable(): %s', (_, error, expected) => {
  expect(isUnreachable(error)).toBe(expected)
})

test('clusterView() makes a new connection where the first was refused, whatever the reason', async () => {
  let opened = 0
  const admin = () => ({
    connect: async () => {
      if (++opened === 1) throw new Error('not now')
    },
    disconnect: async () => {},
    describeCluster: async () => ({ clusterId: 'cluster' }),
  })
  const kafka = { admin } as unknown as Kafka
  const view = clusterView({ brokers: ['one'], current: () => kafka, rotate: () => kafka })
  await expect(view.clusterId()).rejects.toThrow('not now')
  expect(await view.clusterId()).toBe('cluster')
})
