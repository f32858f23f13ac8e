import type { Kafka } from 'kafkajs'
import type { KafkaClients } from '../../lib/kafka/client.ts'
import type { World } from './time.ts'
import { createCoordinator } from './group.ts'

/** A model of the cluster: logs, their leaders' answers and silences, and the group. One topic. */
export interface Cluster {
  readonly logs: Entry[][]
  /** shares of what goes wrong; all zero once the world is healed */
  weather: Weather
  readonly coordinator: ReturnType<typeof createCoordinator>
  /** what a process sees of it */
  clients(): KafkaClients
}

export interface Entry {
  key: Buffer
  value: Buffer
  headers: Record<string, Buffer>
  timestamp: number
}

export interface Weather {
  /** a request that never arrives */
  lostRequest: number
  /** a request that is carried out, and nobody hears of it */
  lostAnswer: number
  /** one that is carried out long after its sender gave it up */
  lateRequest: number
  refusal: number
  /** the same for PostgreSQL: a statement, or a COMMIT whose answer does not come */
  lostStatement: number
  unknownCommit: number
  /** milliseconds */
  slowest: number
}

export const CALM: Weather = {
  lostRequest: 0,
  lostAnswer: 0,
  lateRequest: 0,
  refusal: 0,
  lostStatement: 0,
  unknownCommit: 0,
  slowest: 5,
}
export const TOPIC = 'sensor-data'
const REQUEST_TIMEOUT_MS = 4000

class ProtocolError extends Error {
  override name = 'KafkaJSProtocolError'
  constructor(readonly type: string) {
    super(type)
  }
}
class TimeoutError extends Error {
  override name = 'KafkaJSRequestTimeoutError'
}
class ClosedError extends Error {
  override name = 'KafkaJSConnectionClosedError'
}

export function createCluster(world: World, partitions: number): Cluster {
  const logs: Entry[][] = Array.from({ length: partitions }, () => [])
  const broker = { name: 'broker', alive: true, frozenUntil: 0 }
  const cluster: Cluster = {
    logs,
    weather: { ...CALM },
    coordinator: createCoordinator(world, logs),
    clients,
  }
  return cluster

  /** There and back again; `act` happens at the broker. */
  function ask<T>(act: () => T): Promise<T> {
    const { weather } = cluster
    const me = world.current()
    return new Promise((resolve, reject) => {
      const there = world.between(0.2, weather.slowest)
      const back = world.between(0.2, weather.slowest)
      const late = world.chance(weather.lateRequest) ? world.between(4000, 9000) : 0
      if (late > 0) world.after(REQUEST_TIMEOUT_MS, me, () => reject(new TimeoutError('Request timed out')))
      if (world.chance(weather.lostRequest))
        return void world.after(REQUEST_TIMEOUT_MS, me, () => reject(new TimeoutError('Request timed out')))
      world.after(there + late, broker, () => {
        if (world.chance(weather.refusal))
          return void world.after(back, me, () => reject(new ProtocolError('NOT_LEADER_OR_FOLLOWER')))
        let result: T
        try {
          result = act()
        } catch (error) {
          return void world.after(back, me, () => reject(error))
        }
        if (world.chance(weather.lostAnswer))
          return void world.after(back, me, () => reject(new ClosedError('Closed connection')))
        world.after(back, me, () => resolve(result))
      })
    })
  }

  function produce({
    topic,
    messages,
  }: {
    topic: string
    messages: { partition: number; key: Buffer; value: Buffer; headers: Record<string, Buffer | string> }[]
  }) {
    return ask(() => {
      const timestamp = Date.now()
      return [...Map.groupBy(messages, (m) => m.partition)].map(([partition, list]) => {
        const log = logs[partition] as Entry[]
        const baseOffset = String(log.length)
        for (const m of list)
          log.push({
            key: m.key,
            value: m.value,
            headers: Object.fromEntries(Object.entries(m.headers).map(([name, v]) => [name, Buffer.from(v)])),
            timestamp,
          })
        return { topicName: topic, partition, errorCode: 0, baseOffset }
      })
    })
  }

  function clients(): KafkaClients {
    const kafka = {
      producer: () => ({ connect: () => ask(() => {}), send: produce, disconnect: async () => {} }),
      admin: () => ({
        connect: () => ask(() => {}),
        disconnect: async () => {},
        describeCluster: () => ask(() => ({ clusterId: 'cluster', brokers: [], controller: 1 })),
        fetchTopicOffsets: () =>
          ask(() =>
            logs.map((log, partition) => ({
              partition,
              low: '0',
              high: String(log.length),
              offset: String(log.length),
            })),
          ),
        // the log is never another one: nothing below what was stored is newer
        fetchTopicOffsetsByTimestamp: () =>
          ask(() => logs.map((log, partition) => ({ partition, offset: String(log.length) }))),
        fetchTopicMetadata: () =>
          ask(() => ({
            topics: [{ name: TOPIC, partitions: logs.map((_, partitionId) => ({ partitionId })) }],
          })),
      }),
      consumer: (settings: Parameters<typeof cluster.coordinator.member>[1]) =>
        cluster.coordinator.member(ask, settings),
    } as unknown as Kafka
    return { brokers: ['broker'], current: () => kafka, rotate: () => kafka }
  }
}
