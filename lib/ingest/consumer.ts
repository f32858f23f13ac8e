import type { DeviceAlert } from '../alarm/device-alert.ts'
import { outboxRelay } from '../alarm/outbox.ts'
import { runRelay } from '../alarm/relay.ts'
import { createRegistry } from '../avro/registry.ts'
import { schemaText } from '../avro/schemas.ts'
import { createWriter, type AvroWriter } from '../avro/writer.ts'
import { createBooks, seedBook } from '../alarm/books.ts'
import { runCaretaker } from '../alarm/caretaker.ts'
import { runMachineWatch } from '../alarm/machine-watch.ts'
import { runNotifiers } from '../alarm/notify.ts'
import { touchAlive } from '../alive.ts'
import { SchemaPending } from '../avro/reader.ts'
import type { Config } from '../config.ts'
import { createDatabase } from '../db/connect.ts'
import { DEVICE_ALERT_TOPIC } from '../device.ts'
import type { KafkaClients } from '../kafka/client.ts'
import { createGroup, type Group } from '../kafka/group.ts'
import type { PartitionOwner } from '../kafka/owner.ts'
import { createPublisher } from '../kafka/publish.ts'
import { log } from '../log.ts'
import { metrics } from '../metrics.ts'
import { EXIT, rest, Stop } from '../run.ts'
import { LogReplaced } from './log-end.ts'
import { decodeFactory } from './decode.ts'
import { decodersOf } from './decoders.ts'
import { deadLetterRelay } from './dead-letter-relay.ts'
import { createConsumerHealth, type ConsumerReport } from './health.ts'
import { Skipped } from './intake.ts'
import { createKeyCache } from './keys.ts'
import { keepPartitions } from './retention.ts'
import { Fenced } from './store.ts'
import { createWorker, type Worker } from './worker.ts'

/** fetches end at least once a second: an older one means that the brokers do not answer */
const FETCH_FRESH_MS = 3000
/** how often partitions look at the time and a report is written; every so many times offsets are committed */
const BEAT_MS = 1000
const COMMIT_BEATS = 5
/** a claim takes a tenth of a second; one that takes this long is told */
const CLAIM_MS = 3000

/**
 * A consumer: a member of the group, a worker for each of its partitions, and what it says of itself. Runs until the
 * signal aborts; then finishes what is gathered, writes a checkpoint and leaves the group. Throws Stop (1) where only a
 * fresh process helps, Stop (69) where Kafka is not there.
 */
export async function runConsumer(config: Config, clients: KafkaClients, signal: AbortSignal): Promise<void> {
  const database = createDatabase(config.DATABASE_URL, { name: config.CONSUMER_ID, role: 'consumer', max: 3 })
  const talk = createDatabase(config.DATABASE_URL, {
    name: `${config.CONSUMER_ID}-health`,
    role: 'consumer',
    max: 1,
  })
  const relayDatabase = createDatabase(config.DATABASE_URL, {
    name: `${config.CONSUMER_ID}-relay`,
    role: 'consumer',
    max: 3, // two relays, and beside them notifications and what time does to alarms
    statementTimeoutMs: 10_000,
  })
  const publisher = createPublisher(clients)
  const letters = createPublisher(clients) // of its own: a topic that does not take them holds up no alarm
  const health = createConsumerHealth(talk, config.CONSUMER_ID)
  const decoders = decodersOf(config)
  const keys = createKeyCache(database)
  const books = createBooks(talk)
  const workers = new Map<string, Worker>()
  const highs = new Map<string, number>()
  const standing = new Set<string>()
  const died = Promise.withResolvers<string>()
  let paused: string | null = null
  let errors = 0
  let lastError: ConsumerReport['lastError'] = null
  let clusterId = ''

  function workerOf(topic: string, partition: number): Worker {
    const id = `${topic}-${partition}`
    let worker = workers.get(id)
    if (worker) return worker
    worker = createWorker({
      database,
      keys,
      clusterId,
      topic,
      partition,
      consumerId: config.CONSUMER_ID,
      decode: decoders.get(topic) ?? decodeFactory,
      books,
      alertTopic: config.ALERT_TOPIC,
      maxSensors: config.MAX_SENSORS,
      isCaughtUp: () => group.fetchedMsAgo() < FETCH_FRESH_MS && isAtEnd(id),
      onFailure: (error) => onFailure(topic, partition, error),
      now: () => performance.timeOrigin + performance.now(),
    })
    workers.set(id, worker)
    return worker
  }

  function isAtEnd(id: string): boolean {
    return (workers.get(id)?.nextOffset() ?? -1) >= (highs.get(id) ?? 0)
  }

  function onFailure(topic: string, partition: number, error: unknown): void {
    if (signal.aborted) return
    noteError(error)
    if (error instanceof Fenced) {
      log.warn('partition.fenced', { topic, partition, detail: error.message })
      // A member that was frozen learns within a heartbeat (1 s) that it is out; only who is still in claims again.
      group.reclaim(topic, partition, 3000)
    } else if (error instanceof Skipped) {
      log.warn('partition.skipped', { topic, partition, detail: error.message })
      group.reclaim(topic, partition, 0)
    } else if (error instanceof SchemaPending) {
      log.warn('partition.waiting', { topic, partition, detail: error.message })
      group.reclaim(topic, partition, 1000)
    } else {
      paused = `PostgreSQL: ${messageOf(error)}`
      log.warn('partition.paused', { topic, partition, error: error as Error })
      group.reclaim(topic, partition, 100)
    }
  }

  function noteError(error: unknown): void {
    errors++
    lastError = { message: messageOf(error), at: new Date() }
  }

  const owner: PartitionOwner = {
    async claim(topic, partition, range) {
      try {
        if (clusterId === '') clusterId = await group.view.clusterId()
        const offset = await workerOf(topic, partition).claim(range)
        highs.set(`${topic}-${partition}`, range.high)
        paused = null
        standing.delete(`${topic}-${partition}`)
        return offset
      } catch (error) {
        noteError(error)
        if (error instanceof LogReplaced) {
          if (!standing.has(`${topic}-${partition}`)) {
            standing.add(`${topic}-${partition}`)
            log.error('partition.stopped', { topic, partition, detail: error.message })
            await health.systemEvent('partition.stopped', 'error', error.message, { topic, partition })
          }
        } else if (!(error instanceof SchemaPending)) {
          paused = `PostgreSQL: ${messageOf(error)}`
        }
        throw error
      }
    },
    take(topic, partition, records, most, highWatermark, beat) {
      highs.set(`${topic}-${partition}`, highWatermark)
      return workerOf(topic, partition).takeRecords(records, most, highWatermark, beat)
    },
    pass: (topic, partition, from, to) => workerOf(topic, partition).pass(from, to),
    isBacklogged: (topic, partition) => workerOf(topic, partition).isBacklogged(),
    drained: (topic, partition) => workerOf(topic, partition).drained(),
    release(topic, partition) {
      workers.get(`${topic}-${partition}`)?.release()
      highs.delete(`${topic}-${partition}`)
    },
    isFinal: (error) => error instanceof LogReplaced,
  }

  const group: Group = createGroup({
    clients,
    groupId: config.CONSUMER_GROUP,
    takesPlaceOf: config.CONSUMER_ID,
    topics: [...decoders.keys()],
    owner,
    onRebalance(event) {
      log.info(event.type === 'rebalance_start' ? 'group.rebalancing' : 'group.joined', {
        assigned: event.assigned,
        gained: event.gained,
        lost: event.lost,
        duration_ms: event.durationMs,
      })
      if (event.type === 'rebalance_complete')
        metrics.rebalanced(config.CONSUMER_GROUP, event.assigned.length)
      void health.rebalance(config.CONSUMER_GROUP, event)
    },
    onDead: (reason) => died.resolve(reason),
  })

  async function reportLoop(until: AbortSignal): Promise<void> {
    let before = { processed: 0, at: performance.now() }
    let perSecond = 0
    let committing = false
    for (let round = 1; !until.aborted; round++) {
      await rest(BEAT_MS, until)
      for (const worker of workers.values()) worker.tick()
      const processed = totalProcessed()
      const elapsed = (performance.now() - before.at) / 1000
      perSecond = 0.5 * perSecond + (0.5 * (processed - before.processed)) / elapsed
      before = { processed, at: performance.now() }
      const status = statusOf()
      if (status !== 'paused') touchAlive(config.ALIVE_FILE)
      await health.report(reportOf(status, perSecond))
      // Not awaited: a frozen coordinator must not keep us from saying that we are alive.
      if (round % COMMIT_BEATS === 0 && !committing) {
        committing = true
        void group.commit(committable()).finally(() => (committing = false))
      }
    }
  }

  function totalProcessed(): number {
    return [...workers.values()].reduce((sum, w) => sum + w.stats.processed, 0)
  }

  function statusOf(): ConsumerReport['status'] {
    if (pausedReason() !== null) return 'paused'
    return group.assigned().length > 0 ? 'active' : 'standby'
  }

  function pausedReason(): string | null {
    if (standing.size > 0) return `stopped: ${[...standing].join(', ')}`
    if (group.away()) return `Kafka: ${group.away()}`
    if (paused) return paused
    const waiting = group.unclaimed().filter((u) => Date.now() - u.since > CLAIM_MS)
    return waiting.length > 0
      ? waiting.map((u) => `${u.topic}-${u.partition} not taken over: ${u.reason}`).join('; ')
      : null
  }

  function reportOf(status: ConsumerReport['status'], perSecond: number): ConsumerReport {
    const mine = group.assigned().map((tp) => workers.get(`${tp.topic}-${tp.partition}`))
    return {
      status,
      assigned: group.assigned(),
      processed: totalProcessed(),
      perSecond,
      lag: lagOf(),
      batchMs: mine.flatMap((w) => w?.stats.batchMs ?? []),
      endToEndMs: mine.flatMap((w) => w?.stats.endToEndMs ?? []),
      errors,
      lastError,
      pausedReason: pausedReason(),
    }
  }

  function lagOf(): number | null {
    let lag = 0
    for (const [id, high] of highs) lag += Math.max(0, high - (workers.get(id)?.nextOffset() ?? high))
    return group.assigned().length > 0 ? lag : null
  }

  function committable() {
    return group.assigned().flatMap((tp) => {
      const offset = workers.get(`${tp.topic}-${tp.partition}`)?.nextOffset()
      return offset === undefined || offset === null ? [] : [{ ...tp, offset }]
    })
  }

  const reporting = new AbortController()
  try {
    await health.report(reportOf('starting', 0))
    await seedBook(talk.sql, config)
    await books.refresh()
    await group.start()
    const reports = reportLoop(reporting.signal)
    const events = deviceEvents(config)
    const outbox = outboxRelay(relayDatabase, publisher.publish, events, reporting.signal, (error) => {
      noteError(error)
      void health.systemEvent('events.not_published', 'error', `Events of devices wait: ${error.message}`)
    })
    const relays = Promise.all([
      runRelay(relayDatabase, outbox, reporting.signal),
      runRelay(
        relayDatabase,
        deadLetterRelay(relayDatabase, letters.publish, config.CONSUMER_GROUP),
        reporting.signal,
      ),
    ])
    const care = Promise.all([
      books.follow(reporting.signal),
      runCaretaker(
        { database: relayDatabase, consumerId: config.CONSUMER_ID, alertTopic: config.ALERT_TOPIC },
        reporting.signal,
      ),
      runMachineWatch(
        { database: relayDatabase, books, consumerId: config.CONSUMER_ID, alertTopic: config.ALERT_TOPIC },
        reporting.signal,
      ),
      runNotifiers(config, relayDatabase, reporting.signal),
    ])
    const partitions = keepPartitions(talk, config.READINGS_RETENTION_DAYS, reporting.signal)
    const reason = await Promise.race([died.promise, aborted(signal)])
    reporting.abort()
    await Promise.all([reports, relays, care, partitions])
    if (reason !== null) {
      await health.report({ ...reportOf('failed', 0), lastError: { message: reason, at: new Date() } })
      throw new Stop(`Cannot go on consuming: ${reason}: the supervisor starts a fresh process`, EXIT.fault)
    }
    await health.report(reportOf('stopping', 0))
    await Promise.all([...workers.values()].map((worker) => worker.close()))
    await group.commit(committable())
    await group.stop()
    await health.report(reportOf('stopped', 0))
  } finally {
    reporting.abort()
    await Promise.all([
      database.close(),
      talk.close(),
      relayDatabase.close(),
      publisher.close(),
      letters.close(),
    ])
  }
}

function deviceEvents(config: Config): AvroWriter<DeviceAlert> | null {
  if (config.FLEET !== 'iot' && config.FLEET !== 'all') return null
  const registry = createRegistry(config.SCHEMA_REGISTRY_URL)
  return createWriter<DeviceAlert>(DEVICE_ALERT_TOPIC, schemaText('SensorAlert'), registry)
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null)
    signal.addEventListener('abort', () => resolve(null), { once: true })
  })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
