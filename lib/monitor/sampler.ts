import type { ClusterView } from '../kafka/client.ts'
import { log } from '../log.ts'
import { atMost, rest, sleep, stir } from '../run.ts'
import type { Database } from './database.ts'
import { createBrokerWatch } from './brokers.ts'
import { createFlowTracker } from './flow.ts'
import { LINE_TARGETS, viewLines, type LineTargets } from './lines.ts'
import { statusByAge, type ConsumerStatus, type ProducerStatus } from './health.ts'
import { createPartitionTracker } from './partitions.ts'
import { createRates } from './rates.ts'
import { absent, worst, type Source } from './section.ts'
import { createSources } from './sources.ts'
import { viewSinks } from './sinks.ts'
import { createSensorTracker, type LimitsOf } from './sensors.ts'
import type { Consumer, Producer, Snapshot } from './snapshot.ts'
import { verdictOf } from './verdict.ts'

/**
 * The one that asks, so that viewers don't: PostgreSQL about once a second (at once when a writer notifies), Kafka in
 * the background. Each answer is a section with its own age and fault; what they make together is a snapshot, shared by
 * every page, stream and API call.
 */
export interface Sampler {
  /** for somebody who looks: keeps the pace up for a while */
  current(): Snapshot
  /** for machines that look now and then */
  peek(): Snapshot
  /** called after each new snapshot; returns how to stop that */
  onSnapshot(callback: (snapshot: Snapshot) => void): () => void
  /** samples until the signal aborts */
  run(signal: AbortSignal): Promise<void>
  /** one round, awaited: for tests and the first page */
  sampleOnce(): Promise<Snapshot>
  /** alarms changed: look at once */
  hurry(): void
}

export interface SamplerOptions {
  database: Database
  /** null: no cluster is asked */
  cluster: ClusterView | null
  /** topics that consumers read */
  sourceTopics: readonly string[]
  /** every topic whose replicas are watched */
  allTopics: readonly string[]
  consumerGroup: string
  limitsOf: LimitsOf
  lineTargets?: LineTargets
  /** a sink may leave messages waiting so long */
  sinkPatienceMs?: number
  /** somebody has a stream open */
  isWatched?: () => boolean
  clock?: () => number
}

const TICK_MS = 1000
/** An alarm is shown at once; a storm of them takes a third of the time at most, and others have their turn between. */
const STORM_PAUSE = { times: 2, leastMs: 2, mostMs: 150 }
/** While nobody looks every second round is saved; incidents are still noticed in time. */
const UNWATCHED_TICK_MS = 2000
const WATCHED_MS = 15_000
const BEATS = 60
/** Three times what S3 waits by default until an object is worth writing. */
const SINK_PATIENCE_MS = 90_000
/** A round waits this long for PostgreSQL, then shows what it has. */
const ROUND_MS = 2500

export function createSampler(options: SamplerOptions): Sampler {
  const clock = options.clock ?? Date.now
  const { database, cluster } = options
  const rates = createRates()
  const partitionTracker = createPartitionTracker()
  const sensorTracker = createSensorTracker(options.limitsOf)
  const brokerWatch = createBrokerWatch(undefined, clock)
  const beats = new Map<string, boolean[]>()
  const flow = createFlowTracker()
  const listeners = new Set<(snapshot: Snapshot) => void>()
  let tick = 0
  let built = 0
  let askedAt = 0
  let wake: () => void = () => {}
  /** alarms that a writer has named; `allAlerts`: it did not say which */
  let changedAlerts = new Set<string>()
  let allAlerts = false
  let rebalancesChanged = false

  const { sources, kafka, amendAlerts } = createSources({
    ...options,
    clock,
    sensorTracker,
    flow,
  })
  let snapshot = build(clock())

  function due(): Source<unknown>[] {
    const list: Source<unknown>[] = [sources.consumers, sources.producers, sources.progress, sources.sensors]
    const isFirst = tick === 0
    if (isFirst || allAlerts || changedAlerts.size > 0 || tick % 5 === 0) list.push(sources.alerts)
    if (isFirst || tick % 5 === 1) list.push(sources.rebalances)
    if (isFirst || tick % 5 === 2) list.push(sources.events)
    if (tick % 2 === 0) list.push(sources.lines, sources.sinks)
    if (tick % 10 === 0) list.push(sources.storage)
    if (tick % 60 === 3) list.push(sources.kpis)
    return list
  }

  /** Everything that is due. Kafka and the brokers are not waited for: what they say is there in the next round. */
  async function round(): Promise<void> {
    if (cluster) {
      const endsDone = kafka.ends.refresh()
      void brokerWatch.look(kafka.cluster.read(clock()).data)
      if (tick % 3 === 0) void kafka.cluster.refresh()
      await atMost(endsDone, 50)
    }
    await sources.probe.refresh()
    const asked = due()
    const away = sources.probe.read(clock()).error
    if (away === null) await atMost(Promise.all(asked.map((s) => s.refresh())), ROUND_MS)
    else for (const s of asked) s.fail(away.detail)
    tick++
  }

  /** Only what a writer has just told of: an alarm is on the page before the next full round. */
  async function quickRound(): Promise<void> {
    const asked: Promise<void>[] = []
    if (allAlerts) asked.push(sources.alerts.renew())
    else if (changedAlerts.size > 0) asked.push(amendAlerts([...changedAlerts]))
    if (rebalancesChanged) asked.push(sources.rebalances.renew(), sources.events.renew())
    changedAlerts = new Set()
    allAlerts = false
    rebalancesChanged = false
    await atMost(Promise.all(asked), ROUND_MS)
  }

  function observe(now: number): void {
    const ends = kafka.ends.read(now).data
    const rows = sources.progress.read(now)
    if (rows.status === 'ok' && rows.data) {
      partitionTracker.observe(rows.data, ends ?? new Map(), now)
      for (const r of rows.data) rates.observe(`stored ${r.topic}-${r.partition}`, r.stored, now)
    }
    for (const c of sources.consumers.read(now).data ?? []) {
      rates.observe(
        `consumed ${c.consumer_id} ${c.instance_id}`,
        c.total_messages_processed,
        now - c.heartbeat_age_s * 1000,
      )
      const list = beats.get(c.consumer_id) ?? []
      list.push(
        statusByAge(c.written_status, c.heartbeat_age_s) === c.written_status && c.heartbeat_age_s < 5,
      )
      if (list.length > BEATS) list.shift()
      beats.set(c.consumer_id, list)
    }
    for (const p of sources.producers.read(now).data ?? []) {
      const at = now - p.heartbeat_age_s * 1000
      rates.observe(`accepted ${p.producer_id} ${p.run_id}`, p.total_messages_accepted, at)
      rates.observe(`sent ${p.producer_id} ${p.run_id}`, p.total_messages_sent, at)
    }
    for (const [topic, list] of ends ?? []) {
      for (const p of list) rates.observe(`end ${topic}-${p.partition}`, p.high, now)
    }
    rates.forget(now - 3_600_000)
  }

  function build(now: number): Snapshot {
    const ends = cluster ? kafka.ends.read(now) : absent<never>()
    const kafkaSection = cluster ? kafka.cluster.read(now) : absent<never>()
    const progressSection = sources.progress.read(now)
    const consumerRows = sources.consumers.read(now)
    const consumerList = consumerRows.data?.map(({ written_status, ...row }): Consumer => ({
      ...row,
      status: statusByAge(written_status as ConsumerStatus, row.heartbeat_age_s, row.connected),
      messages_per_second: rates.perSecond(`consumed ${row.consumer_id} ${row.instance_id}`, now),
      lag: null,
      beats: beats.get(row.consumer_id)?.slice() ?? [],
    }))
    const partitions = partitionTracker.view({
      topics: options.sourceTopics,
      progress: progressSection.data ?? [],
      ends: ends.data,
      cluster: kafkaSection.data,
      consumers: consumerList ?? [],
      rates,
      now,
    })
    for (const c of consumerList ?? []) {
      const own = partitions.filter((p) => p.consumer_id === c.consumer_id).map((p) => p.lag)
      c.lag = own.length === 0 || own.includes(null) ? null : own.reduce((a: number, b) => a + (b ?? 0), 0)
    }
    const producerRows = sources.producers.read(now)
    const producerList = producerRows.data?.map(({ written_status, ...row }): Producer => ({
      ...row,
      status: statusByAge(written_status as ProducerStatus, row.heartbeat_age_s, row.connected),
      messages_per_second: rates.perSecond(`sent ${row.producer_id} ${row.run_id}`, now),
    }))
    const alerts = sources.alerts.read(now)
    const openBySensor = new Map<string, number>()
    for (const a of alerts.data?.list ?? []) {
      if (a.active) openBySensor.set(a.sensor_id, (openBySensor.get(a.sensor_id) ?? 0) + 1)
    }
    const sensors = sources.sensors.read(now)
    const sinkRows = sources.sinks.read(now)
    const partsMeta = cluster ? worst(progressSection, ends) : progressSection
    const facts = {
      at: new Date(now).toISOString(),
      consumers: { ...consumerRows, data: consumerList ?? null },
      producers: { ...producerRows, data: producerList ?? null },
      partitions: { ...partsMeta, data: progressSection.data || ends.data ? partitions : null },
      sinks: {
        ...sinkRows,
        data:
          sinkRows.data && viewSinks(sinkRows.data, ends.data, options.sinkPatienceMs ?? SINK_PATIENCE_MS),
      },
      flow: {
        ...worst(progressSection, producerRows),
        data: flow.view({
          consumers: consumerList ?? [],
          producers: producerList ?? [],
          partitions,
          rates,
          now,
        }),
      },
      alerts,
      rebalances: sources.rebalances.read(now),
      sensors: {
        ...sensors,
        data:
          sensors.as_of === null
            ? null
            : sensorTracker.view(now, openBySensor, alerts.data?.outOfService ?? []),
      },
      lines: viewLines(sources.lines.read(now), options.lineTargets ?? LINE_TARGETS),
      events: sources.events.read(now),
      storage: sources.storage.read(now),
      kpis: sources.kpis.read(now),
      kafka: kafkaSection,
      brokers: brokerWatch.view(kafkaSection.data),
    }
    return { ...facts, number: built, verdict: verdictOf(facts, now) }
  }

  async function sampleOnce(): Promise<Snapshot> {
    await round()
    observe(clock())
    return show()
  }

  function show(make: (now: number) => Snapshot = build): Snapshot {
    built++
    snapshot = make(clock())
    for (const listener of listeners) listener(snapshot)
    return snapshot
  }

  /** What a quick round has asked for, beside all else as it was: that is not looked at again. */
  function rebuild(now: number): Snapshot {
    const facts = {
      ...snapshot,
      at: new Date(now).toISOString(),
      alerts: sources.alerts.read(now),
      rebalances: sources.rebalances.read(now),
      events: sources.events.read(now),
    }
    return { ...facts, number: built, verdict: verdictOf(facts, now) }
  }

  async function keepWhole(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const began = clock()
      await sampleOnce().catch(tellFault)
      stir()
      const isFast = options.isWatched?.() || clock() - askedAt < WATCHED_MS
      await sleep(Math.max(0, began + (isFast ? TICK_MS : UNWATCHED_TICK_MS) - clock()), signal)
    }
  }

  /** Beside the whole rounds, so that an alarm waits for none of them. */
  async function keepQuick(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (!allAlerts && changedAlerts.size === 0 && !rebalancesChanged) {
        await rest(UNWATCHED_TICK_MS, signal, (end) => (wake = end))
        continue
      }
      const began = performance.now()
      await quickRound()
        .then(() => show(rebuild))
        .catch(tellFault)
      const pause = STORM_PAUSE.times * (performance.now() - began)
      await sleep(Math.min(STORM_PAUSE.mostMs, Math.max(STORM_PAUSE.leastMs, pause)), signal)
    }
  }

  function tellFault(error: unknown): void {
    log.error('sample.failed', { error: error instanceof Error ? error : String(error) })
  }

  return {
    peek: () => snapshot,
    current() {
      askedAt = clock()
      return snapshot
    },
    onSnapshot(callback) {
      listeners.add(callback)
      return () => listeners.delete(callback)
    },
    sampleOnce,
    hurry() {
      allAlerts = true
      wake()
    },
    async run(signal) {
      database.onNotify(['alerts', 'rebalances'], (channel, text) => {
        if (channel !== 'alerts') rebalancesChanged = true
        else if (text === '') allAlerts = true
        else for (const id of text.split(',')) changedAlerts.add(id)
        wake()
      })
      await Promise.all([keepWhole(signal), keepQuick(signal)])
    },
  }
}
