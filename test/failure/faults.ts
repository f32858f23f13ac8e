import { Database } from 'bun:sqlite'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { freezeInTransaction } from '../../chaos/act/freeze.ts'
import { clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { sleep } from '../../lib/run.ts'
import { kafka } from '../stack.ts'
import type { Plant } from './plant.ts'

/** What a strike could prove about its moment. */
export interface Strike {
  /** it struck while a transaction was open, or while a send waited for its answer */
  proven: boolean
}

export type Fault = (plant: Plant, random: () => number) => Promise<Strike>

const pick = <T>(list: readonly T[], random: () => number): T => list[Math.floor(random() * list.length)] as T

/** SIGKILL of a consumer, in the middle of a transaction where one can be caught. */
export const killConsumer: Fault = async (plant, random) => {
  const consumer = pick(plant.consumers, random)
  const proven = await freezeInTransaction(plant.sql, consumer, random)
  consumer.kill('SIGKILL')
  return { proven }
}

/** SIGSTOP of a consumer inside a transaction for longer than its session, then SIGCONT: the zombie must write nothing. */
export const freezeConsumer: Fault = async (plant, random) => {
  const consumer = pick(plant.consumers, random)
  const pid = consumer.pid()
  const proven = await freezeInTransaction(plant.sql, consumer, random)
  if (!proven) process.kill(pid, 'SIGSTOP')
  await sleep(12_000 + random() * 3000)
  process.kill(pid, 'SIGCONT')
  return { proven }
}

/** SIGKILL of the producer after the broker has written a batch and before the spool knows. */
export const killProducer: Fault = async (plant, random) => {
  await sleep(random() * 300)
  for (let attempt = 0; attempt < 50; attempt++) {
    plant.producer.kill('SIGSTOP')
    await sleep(60) // what is on the wire arrives
    const inLog = await messagesInLog(plant)
    const acknowledged = sentAccordingToSpool(plant)
    if (inLog > acknowledged) {
      plant.producer.kill('SIGKILL')
      return { proven: true }
    }
    plant.producer.kill('SIGCONT')
    await sleep(5 + random() * 40)
  }
  plant.producer.kill('SIGKILL')
  return { proven: false }
}

/** The database ends the backend of a consumer that has a transaction open. */
export const killBackend: Fault = async (plant, random) => {
  await sleep(random() * 300)
  for (let attempt = 0; attempt < 500; attempt++) {
    const killed = await plant.sql`
      select pg_terminate_backend(pid) as done from pg_stat_activity
      where datname = current_database() and application_name ~ '^consumer-[0-9]+$' and xact_start is not null
        and (state = 'idle in transaction' or query like 'copy%' or query like 'commit%') limit 1`
    if (killed.length > 0) return { proven: true }
    await sleep(2)
  }
  return { proven: false }
}

/** SIGKILL of the broker that leads a partition; it comes back after some seconds. */
export const killLeader: Fault = async (plant, random) => {
  const leader = await leaderOf(plant, Math.floor(random() * 3))
  await leader.kill()
  await sleep(4000 + random() * 4000)
  await leader.start()
  return { proven: true }
}

/** The broker that leads a partition is frozen for longer than its session, and thawed. */
export const freezeLeader: Fault = async (plant, random) => {
  const leader = await leaderOf(plant, Math.floor(random() * 3))
  leader.pause()
  try {
    await sleep(12_000 + random() * 4000)
  } finally {
    leader.resume()
  }
  return { proven: true }
}

async function messagesInLog(plant: Plant): Promise<number> {
  const view = clusterView(kafkaClients({ brokers: plant.config.KAFKA_BROKERS, clientId: 'test' }))
  try {
    return (await view.offsets(plant.config.SENSOR_TOPIC)).reduce((sum, o) => sum + o.high, 0)
  } finally {
    await view.close()
  }
}

/** messages that the spool has crossed off, of this and all earlier lives of the producer */
function sentAccordingToSpool(plant: Plant): number {
  let sent = 0
  for (const file of readdirSync(plant.config.SPOOL_DIR).filter((f) => f.endsWith('.sqlite'))) {
    const db = new Database(join(plant.config.SPOOL_DIR, file), { readonly: true })
    sent += db.query<{ sent: number }, []>('select sent from totals').get()?.sent ?? 0
    db.close()
  }
  return sent
}

async function leaderOf(plant: Plant, partition: number) {
  const { nodes } = await kafka()
  const view = clusterView(kafkaClients({ brokers: plant.config.KAFKA_BROKERS, clientId: 'test' }))
  try {
    const topics = await view.ask('find the leader', (a) =>
      a.fetchTopicMetadata({ topics: [plant.config.SENSOR_TOPIC] }),
    )
    const leader = topics.topics[0]?.partitions.find((p) => p.partitionId === partition)?.leader
    const node = nodes[(leader ?? 0) - 1]
    if (!node) throw new Error(`Cannot strike the leader of partition ${partition}: it has none`)
    return node
  } finally {
    await view.close()
  }
}

/** Every partition of the topic has all its copies again: the next fault must not find the cluster wounded. */
export async function untilWhole(plant: Plant, boundMs: number): Promise<void> {
  const until = performance.now() + boundMs
  for (;;) {
    const view = clusterView(kafkaClients({ brokers: plant.config.KAFKA_BROKERS, clientId: 'test' }))
    try {
      const { topics } = await view.ask('read the replicas', (a) =>
        a.fetchTopicMetadata({ topics: [plant.config.SENSOR_TOPIC] }),
      )
      if (topics[0]?.partitions.every((p) => p.isr.length === 3)) return
    } catch {
      // a broker that is just coming back
    } finally {
      await view.close()
    }
    if (performance.now() > until) throw new Error(`The topic is not fully replicated after ${boundMs} ms`)
    await sleep(500)
  }
}
