import { touchAlive } from '../alive.ts'
import { SchemaPending } from '../avro/reader.ts'
import type { Config } from '../config.ts'
import { createDatabase } from '../db/connect.ts'
import { decodersOf } from '../ingest/decoders.ts'
import { tell } from '../ingest/claim.ts'
import { LogReplaced } from '../ingest/log-end.ts'
import { Fenced } from '../ingest/store.ts'
import type { KafkaClients } from '../kafka/client.ts'
import { createGroup, type Group } from '../kafka/group.ts'
import type { PartitionOwner } from '../kafka/owner.ts'
import { messagesOf } from '../kafka/records.ts'
import { log } from '../log.ts'
import { metrics } from '../metrics.ts'
import { EXIT, sleep, Stop } from '../run.ts'
import type { Destination } from './destination.ts'
import { createSinkPartition, type SinkPartition } from './partition.ts'

const TICK_MS = 100
/** offsets are told to Kafka for lag tools alone: ours are in sink_progress */
const COMMIT_EVERY_TICKS = 50

/**
 * A sink: a member of a group of its own that takes the topics of the fleets in force into one destination. While the
 * destination, PostgreSQL or the schema registry is away its partitions are paused, and claimed again when it is back.
 * Runs until the signal aborts. Throws Stop (1) where only a fresh process helps.
 */
export async function runSink(
  config: Config,
  clients: KafkaClients,
  destination: Destination,
  signal: AbortSignal,
): Promise<void> {
  const kind = destination.name.split(':')[0] ?? destination.name
  const owner = config.CONSUMER_ID
  const database = createDatabase(config.DATABASE_URL, { name: owner, role: 'consumer', max: 3 })
  const decoders = decodersOf(config)
  decoders.delete(config.SODA_HEARTBEAT_TOPIC) // signs of life: no readings, and counted elsewhere
  const partitions = new Map<string, SinkPartition>()
  const died = Promise.withResolvers<string>()
  const paused = new Map<string, string>()
  /** these stand still until a person has decided */
  const standing = new Set<string>()
  let clusterId = ''

  function partitionOf(topic: string, partition: number): SinkPartition {
    const id = `${topic}-${partition}`
    let found = partitions.get(id)
    if (found) return found
    const decode = decoders.get(topic)
    if (!decode) throw new Error(`Cannot read ${id}: no decoder for this topic`)
    found = createSinkPartition({
      database,
      destination,
      place: { sink: destination.name, clusterId, topic, partition },
      owner,
      decode,
      onFailure: (error) => onFailure(topic, partition, error),
      now: () => performance.timeOrigin + performance.now(),
    })
    partitions.set(id, found)
    return found
  }

  function onFailure(topic: string, partition: number, error: unknown): void {
    if (signal.aborted) return
    if (error instanceof Fenced) {
      log.warn('partition.fenced', { topic, partition, detail: error.message })
      group.reclaim(topic, partition, 3000)
    } else {
      pause(`${topic}-${partition}`, error)
      group.reclaim(topic, partition, error instanceof SchemaPending ? 1000 : 200)
    }
  }

  function pause(id: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    if (!paused.has(id)) log.warn('sink.paused', { partition: id, sink: destination.name, reason })
    paused.set(id, reason)
    metrics.sinkPaused(kind, paused.size)
  }

  function resume(id: string): void {
    standing.delete(id)
    if (paused.delete(id)) log.info('sink.resumed', { partition: id, sink: destination.name })
    metrics.sinkPaused(kind, paused.size)
  }

  const partitionOwner: PartitionOwner = {
    async claim(topic, partition, range) {
      const id = `${topic}-${partition}`
      try {
        if (clusterId === '') clusterId = await group.view.clusterId()
        const offset = await partitionOf(topic, partition).claim(range)
        resume(id)
        return offset
      } catch (error) {
        pause(id, error)
        if (error instanceof LogReplaced && !standing.has(id)) {
          standing.add(id)
          const notice = { event: 'sink.stopped', severity: 'error' as const, message: error.message }
          await tell(database.sql, owner, topic, partition, notice).catch((untold: Error) =>
            log.warn('sink.stop_not_told', { partition: id, error: untold }),
          )
        }
        throw error
      }
    },
    async take(topic, partition, records, most) {
      const from = records.last + 1
      await partitionOf(topic, partition).take(messagesOf(records, most), from)
      return records.last
    },
    pass: (topic, partition, from, to) => partitionOf(topic, partition).pass(from, to),
    isBacklogged: (topic, partition) => partitionOf(topic, partition).isBacklogged(),
    drained: (topic, partition) => partitionOf(topic, partition).drained(),
    release(topic, partition) {
      const id = `${topic}-${partition}`
      partitions.get(id)?.release()
      resume(id)
    },
    isFinal: (error) => error instanceof LogReplaced,
  }

  const group: Group = createGroup({
    clients,
    groupId: groupOf(config, kind),
    topics: [...decoders.keys()],
    takesPlaceOf: owner,
    owner: partitionOwner,
    onRebalance(event) {
      if (event.type !== 'rebalance_complete') return
      log.info('group.joined', { assigned: event.assigned, gained: event.gained, lost: event.lost })
      metrics.rebalanced(groupOf(config, kind), event.assigned.length)
    },
    onDead: (reason) => died.resolve(reason),
  })

  async function beat(until: AbortSignal): Promise<void> {
    for (let round = 0; !until.aborted; round++) {
      await sleep(TICK_MS, until)
      for (const one of partitions.values()) one.tick()
      if (paused.size === 0) touchAlive(config.ALIVE_FILE)
      if (round % COMMIT_EVERY_TICKS !== 0) continue
      void group.commit(committable())
    }
  }

  function committable() {
    return group.assigned().flatMap((tp) => {
      const offset = partitions.get(`${tp.topic}-${tp.partition}`)?.nextOffset()
      return typeof offset === 'number' ? [{ ...tp, offset }] : []
    })
  }

  const beating = new AbortController()
  try {
    await group.start()
    const beats = beat(beating.signal)
    const reason = await Promise.race([died.promise, aborted(signal)])
    beating.abort()
    await beats
    if (reason !== null)
      throw new Stop(
        `Cannot go on with ${destination.name}: ${reason}: the supervisor starts a fresh process`,
        EXIT.fault,
      )
    const offsets = committable()
    await Promise.all([...partitions.values()].map((one) => one.close()))
    await group.commit(offsets)
    await group.stop()
  } finally {
    beating.abort()
    await database.close()
  }
}

/** Each sink reads everything for itself. */
export function groupOf(config: Pick<Config, 'CONSUMER_GROUP'>, kind: string): string {
  return `${config.CONSUMER_GROUP}-${kind}`
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null)
    signal.addEventListener('abort', () => resolve(null), { once: true })
  })
}
