import { expect, test } from 'bun:test'
import { KafkaJSConnectionError, KafkaJSNumberOfRetriesExceeded, KafkaJSProtocolError } from 'kafkajs'
import { isUnreachable } from '../../lib/kafka/client.ts'
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
