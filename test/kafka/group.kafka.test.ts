import { beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { waitForCoordinator } from '../../lib/kafka/topics.ts'
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
