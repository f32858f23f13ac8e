import type { ClusterView } from '../kafka/client.ts'
import { log } from '../log.ts'
import { sleep } from '../run.ts'
import { askCluster, askEnds } from './cluster.ts'
import type { Database } from './database.ts'
import { createBrokerWatch } from './brokers.ts'
import { statusByAge, type ConsumerStatus, type ProducerStatus } from './health.ts'
import { createPartitionTracker } from './partitions.ts'
import { alertCounts, openAndRecentAlerts } from './questions/alerts.ts'
import { consumers } from './questions/consumers.ts'
import { recentSystemEvents } from './questions/events.ts'
import { producers } from './questions/producers.ts'
import { progress } from './questions/progress.ts'
import { recentRebalances } from './questions/rebalances.ts'
import { recentFlow, recentMinutes } from './questions/seed.ts'
import { latestReadings } from './questions/sensors.ts'
import { storage } from './questions/storage.ts'
import { createRates } from './rates.ts'
import { createSource, worst, type Section, type Source } from './section.ts'
import { createSensorTracker, type LimitsOf } from './sensors.ts'
import type { Consumer, Flow, FlowPoint, Partition, Producer, Snapshot } from './snapshot.ts'
import { verdictOf } from './verdict.ts'

/**
 * The one that asks, so that viewers don't: PostgreSQL about once a second (at once when a writer notifies), Kafka in
 * the background. Each answer is a section with its own age and fault; what they make together is a snapshot, shared by
 * every page, stream and API call.
 */
export interface Sampler {
  current(): Snapshot
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
  clock?: () => number
}

const TICK_MS = 1000
const BEATS = 60
const HISTORY_STEP_MS = 5000
const HISTORY_POINTS = 120
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
  const history: FlowPoint[] = []
  const listeners = new Set<(snapshot: Snapshot) => void>()
  let tick = 0
  let sensorsSeeded = false
  let wake: () => void = () => {}
  let alertsChanged = true
  let rebalancesChanged = true

  // Every question goes through the probe first: while the server is away one small query a second tells so.
  const source = <T>(question: () => Promise<T>, staleMs: number) =>
    createSource('PostgreSQL does not answer', question, staleMs, clock)
  const sources = {
    probe: source(() => database.probe(), 3000),
    consumers: source(() => consumers(database.sql()), 3000),
    producers: source(() => producers(database.sql()), 3000),
    progress: source(() => progress(database.sql()), 3000),
    sensors: source(async () => {
      const rows = await latestReadings(database.sql(), sensorsSeeded && tick % 30 !== 0 ? 5 : null)
      sensorTracker.observe(rows, clock())
      if (!sensorsSeeded) {
        sensorsSeeded = true
        await seed()
      }
    }, 3000),
    alerts: source(async () => {
      const [list, counts] = await Promise.all([
        openAndRecentAlerts(database.sql()),
        alertCounts(database.sql()),
      ])
      return { list, counts }
    }, 12_000),
    rebalances: source(() => recentRebalances(database.sql()), 12_000),
    events: source(() => recentSystemEvents(database.sql()), 12_000),
    storage: source(() => storage(database.sql()), 25_000),
  }
  const kafka = {
    ends: createSource(
      'The end offsets can’t be had',
      () => askEnds(required(cluster), options.sourceTopics),
      10_000,
      clock,
    ),
    cluster: createSource(
      'Kafka does not answer',
      () => askCluster(required(cluster), options.allTopics, options.consumerGroup),
      15_000,
      clock,
    ),
  }
  let snapshot = build(clock())

  /** A past that another process saw; without it lines begin now, and nothing else is lost. */
  async function seed(): Promise<void> {
    const [minutes, flow] = await Promise.allSettled([
      recentMinutes(database.sql()),
      recentFlow(database.sql()),
    ])
    if (minutes.status === 'fulfilled') sensorTracker.seed(minutes.value)
    if (flow.status === 'fulfilled') history.unshift(...flow.value.slice(-HISTORY_POINTS))
  }

  function due(): Source<unknown>[] {
    const list: Source<unknown>[] = [sources.consumers, sources.producers, sources.progress, sources.sensors]
    if (alertsChanged || tick % 5 === 0) list.push(sources.alerts)
    if (rebalancesChanged || tick % 5 === 1) list.push(sources.rebalances)
    if (rebalancesChanged || tick % 5 === 2) list.push(sources.events)
    if (tick % 10 === 0) list.push(sources.storage)
    alertsChanged = false
    rebalancesChanged = false
    return list
  }

  async function round(): Promise<void> {
    const endsDone = cluster ? kafka.ends.refresh() : null
    const brokersDone = brokerWatch.look(kafka.cluster.read(clock()).data)
    if (cluster && tick % 3 === 0) void kafka.cluster.refresh()
    await sources.probe.refresh()
    const asked = due()
    if (sources.probe.read(clock()).error === null) {
      await Promise.race([Promise.all(asked.map((s) => s.refresh())), sleep(ROUND_MS)])
    } else {
      for (const s of asked) s.fail(sources.probe.read(clock()).error?.detail ?? 'no answer')
    }
    if (endsDone) await Promise.race([endsDone, sleep(100)])
    await brokersDone
    tick++
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
    const partsMeta = cluster ? worst(progressSection, ends) : progressSection
    const facts = {
      at: new Date(now).toISOString(),
      consumers: { ...consumerRows, data: consumerList ?? null },
      producers: { ...producerRows, data: producerList ?? null },
      partitions: { ...partsMeta, data: progressSection.data || ends.data ? partitions : null },
      flow: {
        ...worst(progressSection, producerRows),
        data: flowOf(consumerList ?? [], producerList ?? [], partitions, now),
      },
      alerts,
      rebalances: sources.rebalances.read(now),
      sensors: { ...sensors, data: sensors.as_of === null ? null : sensorTracker.view(now, openBySensor) },
      events: sources.events.read(now),
      storage: sources.storage.read(now),
      kafka: kafkaSection,
      brokers: brokerWatch.view(kafkaSection.data),
    }
    return { ...facts, number: tick, verdict: verdictOf(facts, now) }
  }

  function flowOf(cs: Consumer[], ps: Producer[], parts: Partition[], now: number): Flow {
    const working = cs.filter((c) => c.status === 'active')
    const lags = parts.map((p) => p.lag)
    const seconds = parts.map((p) => p.lag_seconds).filter((v) => v !== null)
    const flow: Flow = {
      accepted_per_second: sum(ps.map((p) => rates.perSecond(`accepted ${p.producer_id} ${p.run_id}`, now))),
      produced_per_second: sum(ps.map((p) => p.messages_per_second)),
      appended_per_second: sum(parts.map((p) => rates.perSecond(`end ${p.topic}-${p.partition}`, now))),
      stored_per_second: sum(parts.map((p) => p.messages_per_second)),
      spooled: ps.reduce((total, p) => total + p.spooled, 0),
      lag: lags.length === 0 || lags.includes(null) ? null : sum(lags),
      lag_seconds: seconds.length === 0 ? null : Math.max(...seconds),
      end_to_end_ms_p50: median(working.map((c) => c.end_to_end_ms_p50)),
      end_to_end_ms_p99: largest(working.map((c) => c.end_to_end_ms_p99)),
      history,
    }
    const last = history.at(-1)
    if (tick > 0 && (!last || now - Date.parse(last.at) >= HISTORY_STEP_MS)) {
      history.push({
        at: new Date(now).toISOString(),
        produced_per_second: flow.produced_per_second,
        stored_per_second: flow.stored_per_second,
        lag: flow.lag,
        end_to_end_ms_p99: flow.end_to_end_ms_p99,
      })
      if (history.length > HISTORY_POINTS) history.shift()
    }
    return { ...flow, history: history.slice() }
  }

  async function sampleOnce(): Promise<Snapshot> {
    await round()
    const now = clock()
    observe(now)
    snapshot = build(now)
    for (const listener of listeners) listener(snapshot)
    return snapshot
  }

  return {
    current: () => snapshot,
    onSnapshot(callback) {
      listeners.add(callback)
      return () => listeners.delete(callback)
    },
    sampleOnce,
    hurry() {
      alertsChanged = true
      wake()
    },
    async run(signal) {
      database.onNotify(['alerts', 'rebalances'], (channel) => {
        if (channel === 'alerts') alertsChanged = true
        else rebalancesChanged = true
        wake()
      })
      while (!signal.aborted) {
        const started = clock()
        try {
          await sampleOnce()
        } catch (error) {
          log.error('sample.failed', { error: error instanceof Error ? error : String(error) })
        }
        const rest = Math.max(50, TICK_MS - (clock() - started))
        // A notification ends the pause, but a storm of them makes at most ten rounds a second.
        await Promise.race([
          sleep(rest, signal),
          new Promise<void>((r) => (wake = r)).then(() => sleep(100, signal)),
        ])
      }
    },
  }
}

function required<T>(value: T | null): T {
  if (value === null) throw new Error('no cluster is configured')
  return value
}

function absent<T>(): Section<T> {
  return { status: 'ok', as_of: null, error: null, data: null }
}

/** null counts as nothing known; the sum of only unknowns is unknown */
function sum(values: readonly (number | null)[]): number | null {
  const known = values.filter((v) => v !== null)
  return known.length === 0 ? null : known.reduce((a, b) => a + b, 0)
}

function largest(values: readonly (number | null)[]): number | null {
  const known = values.filter((v) => v !== null)
  return known.length === 0 ? null : Math.max(...known)
}

function median(values: readonly (number | null)[]): number | null {
  const known = values.filter((v) => v !== null).sort((a, b) => a - b)
  return known[Math.floor((known.length - 1) / 2)] ?? null
}
