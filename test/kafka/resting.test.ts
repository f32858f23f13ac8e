import { expect, spyOn, test } from 'bun:test'
import { createRequire } from 'node:module'

/** What our patches of the library answer for where a fetcher has nothing to fetch; red where they are not applied. */
const require = createRequire(import.meta.url)
const ConsumerGroup = require('kafkajs/src/consumer/consumerGroup')
const Runner = require('kafkajs/src/consumer/runner')
const { MemberAssignment } = require('kafkajs/src/consumer/assignerProtocol')
const { createLogger } = require('kafkajs/src/loggers')

const silent = createLogger({ level: 0, logCreator: () => () => {} })
const instrumentationEmitter = { emit: () => {} }
const nothing = async (): Promise<unknown> => ({ responses: [] })

/** A member with partitions 0 and 1, both led by broker 1 at first; what a broker is asked, `answer` answers. */
async function memberOf(answer = nothing) {
  const leaders = [1, 1]
  const topicPartition = { topic: 't', partitions: [0, 1] }
  const offsets = [0, 1].map((partition) => ({ partition, offset: '5' }))
  const coordinator = {
    isConnected: () => true,
    joinGroup: async () => ({ generationId: 1, leaderId: 'another', memberId: 'one', members: [] }),
    syncGroup: async () => ({
      memberAssignment: MemberAssignment.encode({ version: 0, assignment: { t: [0, 1] } }),
    }),
    offsetFetch: async () => ({ responses: [{ topic: 't', partitions: offsets }] }),
    heartbeat: async () => {},
    leaveGroup: async () => {},
  }
  const cluster = {
    connect: async () => {},
    getNodeIds: () => [1, 2],
    refreshMetadata: async () => {},
    refreshMetadataIfNecessary: async () => {},
    findTopicPartitionMetadata: () => leaders.map((leader, partitionId) => ({ partitionId, leader })),
    findBroker: async () => ({ fetch: answer }),
    findGroupCoordinator: async () => coordinator,
  }
  const group = new ConsumerGroup({
    cluster,
    topics: ['t'],
    topicConfigurations: { t: {} },
    assigners: [],
    logger: silent,
    instrumentationEmitter,
    maxWaitTimeInMs: 60_000, // a test that waits for the end of a rest ends before it, and is red
  })
  await group.joinAndSync()
  return { group, topicPartition, leaders, coordinator }
}

test('a fetcher that has nothing to fetch looks again at once when that may have changed', async () => {
  const { group, topicPartition } = await memberOf()
  group.pause([topicPartition])
  const changes: (() => void)[] = [
    () => group.resume([topicPartition]),
    () => group.seek({ topic: 't', partition: 0, offset: '5' }),
  ]
  for (const change of changes) {
    const fetching = group.fetch(1)
    await Bun.sleep(1)
    change()
    expect(await fetching).toEqual([]) // unpatched after a minute, as maxWaitTimeInMs says
    group.pause([topicPartition])
  }
})

test('a fetcher that has nothing to fetch looks at once when another has none left: its broker may lead them now', async () => {
  const { group, leaders } = await memberOf()
  await group.fetch(1)
  const resting = group.fetch(2)
  await Bun.sleep(1)
  leaders.fill(2)
  const others = [group.fetch(1), group.fetch(3)]
  expect(await resting).toEqual([])
  await Bun.sleep(1)
  expect(group.resting.size).toBe(2) // who never had any wakes nobody: two such would wake each other for ever
  group.wakeResting()
  await Promise.all(others)
})

test('a fetcher that has nothing to fetch looks at once when its member has its assignment anew', async () => {
  const { group, leaders, coordinator } = await memberOf(async () => {
    leaders[1] = 2
    throw Object.assign(new Error('one of them is led by another'), { type: 'NOT_LEADER_FOR_PARTITION' })
  })
  const joined = spyOn(coordinator, 'joinGroup')
  const resting = group.fetch(2)
  await Bun.sleep(1)
  await group.fetch(1) // still has partition 0: nothing else tells the other fetcher
  expect(joined.mock.calls.length).toBe(1)
  expect(await resting).toEqual([])
})

test('a fetcher that has nothing to fetch looks along with the answer to another', async () => {
  const { group } = await memberOf()
  const set = spyOn(globalThis, 'setTimeout')
  const resting = group.fetch(2)
  await Bun.sleep(1)
  const waits = set.mock.calls.map(([, ms]) => ms)
  set.mockRestore()
  expect(waits).toContain(120_000) // its own timer is for when no answer comes; unpatched each of its looks has one
  await group.fetch(1)
  expect(group.resting.size).toBe(1) // not with every answer
  const at = Date.now()
  const now = spyOn(Date, 'now').mockReturnValue(at + 60_000)
  await group.fetch(1)
  now.mockRestore()
  expect(await resting).toEqual([])
})

test('a consumer joins again, and ends, without waiting for fetchers that have nothing to fetch', async () => {
  const { group, coordinator } = await memberOf(() => Bun.sleep(1).then(nothing))
  const joined = spyOn(coordinator, 'joinGroup')
  const again = Promise.withResolvers<void>()
  coordinator.heartbeat = async () => {
    if (joined.mock.calls.length === 2) return again.resolve()
    throw Object.assign(new Error('somebody joined'), { type: 'REBALANCE_IN_PROGRESS' })
  }
  const runner = new Runner({
    logger: silent,
    consumerGroup: group,
    instrumentationEmitter,
    concurrency: 1,
    heartbeatInterval: 0,
    autoCommit: false,
    onCrash: again.reject,
  })
  await runner.start()
  await again.promise // without the waking after a minute
  await runner.stop() // so here
  expect(group.memberId).toBeNull()
})
