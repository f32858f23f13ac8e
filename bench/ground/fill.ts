import type { Config } from '../../lib/config.ts'
import { createPlant, plantOptions } from '../../lib/fleet/plant.ts'
import { clusterOf, clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { partitionOf } from '../../lib/kafka/partitioner.ts'
import { createMissing, waitForCoordinator } from '../../lib/kafka/topics.ts'
import { nowMicros } from '../../lib/time.ts'
import { topicPlan } from '../../lib/topics.ts'

export const RUN = 'bench'

export interface Filled {
  readings: number
  bytes: number
  /** sum of all values in millionths: what every table must add up to */
  sum: bigint
}

const CHUNK = 1000

/** Makes the topics and fills the sensors' one with the plant's own messages, numbered as a spool would; more of them take another `run`. */
export async function fill(
  config: Config,
  options: { readings: number; sensors: number; partitions?: number; run?: string },
): Promise<Filled> {
  const { readings, partitions = 3, run = RUN } = options
  const clients = kafkaClients({ ...clusterOf(config), clientId: 'bench' })
  const view = clusterView(clients)
  const plan = topicPlan(config).map((t) => (t.topic === config.SENSOR_TOPIC ? { ...t, partitions } : t))
  await createMissing(view, plan, config.TOPIC_REPLICATION)
  await waitForCoordinator(view, config.CONSUMER_GROUP, 60_000, new AbortController().signal)
  await view.close()
  const producer = clients.current().producer({ idempotent: false, retry: { retries: 5 } })
  await producer.connect()
  const plant = createPlant({ ...plantOptions(config), sensorsPerType: Math.ceil(options.sensors / 5) })
  const numbers = new Map<string, number>()
  const waiting = new Map<number, { key: string; value: string; headers: Record<string, string> }[]>()
  const filled = { readings: 0, bytes: 0, sum: 0n }
  for (const m of plant.between(nowMicros() - 60_000_000, Infinity)) {
    const seq = (numbers.get(m.key) ?? 0) + 1
    numbers.set(m.key, seq)
    const partition = partitionOf(m.key, partitions)
    const list = waiting.get(partition) ?? []
    const value = m.encode({ runId: run, seq }) as string
    list.push({ key: m.key, value, headers: { 'run-id': run, seq: String(seq) } })
    waiting.set(partition, list)
    filled.readings++
    filled.bytes += Buffer.byteLength(value)
    filled.sum += BigInt(Math.round((m.reading?.value ?? 0) * 1e6))
    const last = filled.readings === readings
    for (const [p, messages] of last ? waiting : [[partition, list] as const]) {
      if (messages.length < CHUNK && !last) continue
      await producer.send({
        topic: config.SENSOR_TOPIC,
        acks: -1,
        messages: messages.map((x) => ({ ...x, partition: p })),
      })
      waiting.set(p, [])
    }
    if (last) break
  }
  await producer.disconnect()
  return filled
}
