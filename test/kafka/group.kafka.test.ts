import { beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { clusterView, kafkaClients, type ClusterView } from '../../lib/kafka/client.ts'
import { waitForCoordinator } from '../../lib/kafka/topics.ts'
import { sleep } from '../../lib/run.ts'
import { freshTopic, kafka, STACK_MS } from '../stack.ts'
import { joinGroup } from './member.ts'

setDefaultTimeout(90_000)

let brokers: string[]
beforeAll(async () => {
  brokers = (await kafka()).brokers
  const view = clusterView(kafkaClients({ brokers, clientId: 'test' }))
  await waitForCoordinator(view, 'any', 60_000, new AbortController().signal)
  await view.close()
}, STACK_MS)

/** Starts a member of that name, waits until it is in, kills it with -9. */
async function dieIn(topic: string, groupId: string): Promise<void> {
  const child = Bun.spawn(['bun', join(import.meta.dir, 'member.ts'), brokers.join(','), topic, groupId], {
    stdout: 'pipe',
    stderr: 'ignore',
  })
  await child.stdout.getReader().read()
  child.kill('SIGKILL')
  await child.exited
}

/** Milliseconds from the start of a member until it has all three partitions. */
async function untilAllIsIts(topic: string, groupId: string, name: string): Promise<number> {
  const started = performance.now()
  const whole = Promise.withResolvers<number>()
  const group = joinGroup(brokers, topic, groupId, name, (event) => {
    if (event.assigned.length === 3) whole.resolve(performance.now() - started)
  })
  try {
    await group.start()
    return await whole.promise
  } finally {
    await group.stop()
  }
}

// Both in the same minute on the same machine: the difference is the session of the dead, 10 s.
test('who takes the place of a dead member does not wait for its session to end', async () => {
  const topic = await freshTopic(3)
  const another = await dieIn(topic, `${topic}-a`).then(() => untilAllIsIts(topic, `${topic}-a`, 'another'))
  const itself = await dieIn(topic, `${topic}-b`).then(() => untilAllIsIts(topic, `${topic}-b`, 'member'))
  expect(another).toBeGreaterThan(5000)
  expect(itself).toBeLessThan(another - 4000)
})

// The library would go on at the start of the new log without a word, and take what is there for what it has seen.
test('a topic that is made anew under a member is claimed again before anything of it is taken', async () => {
  const topic = await freshTopic(1)
  const clients = kafkaClients({ brokers, clientId: 'test' })
  const view = clusterView(clients)
  const producer = clients.current().producer({ retry: { retries: 10 } })
  await producer.connect()
  const send = (count: number) =>
    producer.send({
      topic,
      acks: -1,
      messages: Array.from({ length: count }, () => ({ partition: 0, value: 'x' })),
    })
  const seen: string[] = []
  const tookAll = Promise.withResolvers<void>()
  const tookNew = Promise.withResolvers<void>()
  const group = joinGroup(brokers, topic, `${topic}-group`, 'reader', () => {}, {
    async claim(_topic, _partition, range) {
      seen.push(`claim of ${range.low} to ${range.high}`)
      return range.low
    },
    async take(_topic, _partition, records) {
      while (records.standing) records.next()
      seen.push(`took up to ${records.last}`)
      if (records.last === 49) tookAll.resolve()
      if (records.last === 2) tookNew.resolve()
      return records.last
    },
  })
  try {
    await send(50)
    await group.start()
    await tookAll.promise
    await view.ask('delete the topic', (a) => a.deleteTopics({ topics: [topic] }), 30_000)
    await made(view, topic)
    await send(3)
    await tookNew.promise
    const since = seen.slice(seen.lastIndexOf('took up to 49') + 1)
    const took = since.findIndex((what) => what.startsWith('took'))
    expect(since[took - 1]).toMatch(/^claim of 0 to [0-3]$/) // what is sent to the new log may come after the claim
  } finally {
    await group.stop()
    await producer.disconnect()
    await view.close()
  }
})

async function made(view: ClusterView, topic: string): Promise<void> {
  const topics = [{ topic, numPartitions: 1, replicationFactor: 3 }]
  for (let tries = 0; tries < 60; tries++) {
    const done = await view.ask('make the topic', (a) => a.createTopics({ topics })).catch(() => false)
    if (done) return
    await sleep(250)
  }
  throw new Error(`Cannot make ${topic} again: it was still there after 15 s`)
}
