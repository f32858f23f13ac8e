import type { Config } from '../../lib/config.ts'
import { totalRate } from '../../lib/fleet/layout.ts'
import { createPlant, plantOptions, type Plant } from '../../lib/fleet/plant.ts'
import { clusterOf, clusterView, kafkaClients } from '../../lib/kafka/client.ts'
import { partitionOf } from '../../lib/kafka/partitioner.ts'
import { createMissing, waitForCoordinator } from '../../lib/kafka/topics.ts'
import { nowMicros, type Micros } from '../../lib/time.ts'
import { topicPlan } from '../../lib/topics.ts'

export const RUN = 'bench'

export interface Filled {
  readings: number
  bytes: number
  /** sum of all values in millionths: what every table must add up to */
  sum: bigint
  /** when the last one was measured */
  until: Micros
}

const CHUNK = 1000

/**
 * Makes the topics and fills the sensors' one with the plant's own messages, numbered as a spool would, as if they had
 * come while nobody consumed them: at the plant's own pace, the last of them just now, each logged when it was measured.
 * (Logged all at once they would lie in the future, and no detector would look at them.) More of them take another
 * `run`, and begin where the others ended (`since`).
 */
export async function fill(
  config: Config,
  options: {
    readings: number
    sensors: number
    partitions?: number
    run?: string
    since?: Micros
    /** readings that will be asked for afterwards */
    followedBy?: number
  },
): Promise<Filled> {
  const { readings, partitions = 3, run = RUN, followedBy = 0 } = options
  const clients = kafkaClients({ ...clusterOf(config), clientId: 'bench' })
  const view = clusterView(clients)
  const plan = topicPlan(config).map((t) =>
    t.topic === config.SENSOR_TOPIC ? { ...t, partitions, config: { ...t.config, ...OWN_TIMES } } : t,
  )
  await createMissing(view, plan, config.TOPIC_REPLICATION)
  await waitForCoordinator(view, config.CONSUMER_GROUP, 60_000, new AbortController().signal)
  await view.close()
  const producer = clients.current().producer({ idempotent: false, retry: { retries: 5 } })
  await producer.connect()
  const plant = createPlant({ ...plantOptions(config), sensorsPerType: Math.ceil(options.sensors / 5) })
  const numbers = new Map<string, number>()
  const waiting = new Map<number, Logged[]>()
  const since = options.since ?? nowMicros() - timeFor(plant, readings + followedBy)
  const filled = { readings: 0, bytes: 0, sum: 0n, until: since }
  for (const m of plant.between(since, Infinity)) {
    const seq = (numbers.get(m.key) ?? 0) + 1
    numbers.set(m.key, seq)
    const partition = partitionOf(m.key, partitions)
    const list = waiting.get(partition) ?? []
    const value = m.encode({ runId: run, seq }) as string
    filled.until = m.reading?.measuredAt ?? filled.until
    const timestamp = String(Math.floor(filled.until / 1000))
    list.push({ key: m.key, value, headers: { 'run-id': run, seq: String(seq) }, timestamp })
    waiting.set(partition, list)
    filled.readings++
    filled.bytes += Buffer.byteLength(value)
    filled.sum += BigInt(Math.round((m.reading?.value ?? 0) * 1e6))
    const last = filled.readings >= readings
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

interface Logged {
  key: string
  value: string
  headers: Record<string, string>
  timestamp: string
}

const OWN_TIMES = { 'message.timestamp.type': 'CreateTime' }

/** How long the plant takes for so many. */
function timeFor({ sensors }: Plant, readings: number): Micros {
  return Math.ceil((readings / totalRate(sensors.map(({ plan }) => plan))) * 1e6)
}
