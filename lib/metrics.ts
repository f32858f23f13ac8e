import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { log } from './log.ts'

/**
 * What a producer and a consumer count about themselves, for Prometheus, on METRICS_PORT of each process. Names and
 * units after Prometheus' own rules: base units, `_total` for what only rises; labels have few values, never a sensor.
 */
const registry = new Registry()
/** 1 ms … 100 s: from a quiet batch to a long outage. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 100]

const counter = (name: string, help: string, labelNames: string[]) =>
  new Counter({ name, help, labelNames, registers: [registry] })
const histogram = (name: string, help: string, labelNames: string[], buckets: number[]) =>
  new Histogram({ name, help, labelNames, buckets, registers: [registry] })

const produced = counter('factory_messages_produced_total', 'Messages that the broker acknowledged', [
  'topic',
])
const produceErrors = counter('factory_produce_errors_total', 'Sends that failed or stayed unknown', [
  'error_type',
])
const produceSeconds = histogram(
  'factory_produce_duration_seconds',
  'From send to acknowledgement',
  ['topic'],
  SECONDS,
)
const consumed = counter(
  'factory_messages_consumed_total',
  'Messages taken from the log, by what became of them',
  ['topic', 'partition', 'result'],
)
const processSeconds = histogram(
  'factory_process_duration_seconds',
  'From hand-over of a batch to COMMIT',
  ['topic'],
  SECONDS,
)
const endToEndSeconds = histogram(
  'factory_end_to_end_latency_seconds',
  'From measurement to COMMIT, of the newest reading of each batch',
  ['topic'],
  SECONDS,
)
const alertSeconds = histogram(
  'factory_alert_latency_seconds',
  'From measurement to the acknowledged message on the topic of alerts, of alarms that are raised live',
  ['topic'],
  SECONDS,
)
const batchRows = histogram(
  'factory_db_batch_rows',
  'Readings of one transaction',
  ['sink'],
  [1, 10, 50, 100, 500, 1000, 5000, 10_000],
)
const writeSeconds = histogram(
  'factory_db_write_duration_seconds',
  'From the first message of a batch until it is safe in its store',
  ['sink'],
  SECONDS,
)
const sunk = counter(
  'factory_sink_messages_total',
  'Messages that a sink took from the log, by what became of them',
  ['sink', 'topic', 'partition', 'result'],
)
const gauge = (name: string, help: string, labelNames: string[]) =>
  new Gauge({ name, help, labelNames, registers: [registry] })
const sinkPaused = gauge('factory_sink_paused_partitions', 'Partitions that wait for their store', ['sink'])
const alerts = counter('factory_alerts_total', 'Alarms by what happened to them', ['transition'])
const rebalances = counter('factory_rebalances_total', 'Rebalances that this member took part in', ['group'])
const assigned = gauge('factory_assigned_partitions', 'Partitions of this member', ['group'])

/** What became of the messages of one transaction. */
export interface StoredBatch {
  counters: { stored: number; dead_lettered: number; repeated: number; conflicting: number }
  raised: readonly unknown[]
  cleared: readonly unknown[]
}

export const metrics = {
  /** `seconds` from send to acknowledgement of one batch */
  produced(topic: string, messages: number, seconds: number): void {
    produced.inc({ topic }, messages)
    produceSeconds.observe({ topic }, seconds)
  },
  /** names of the protocol are kept, everything else is one word: labels must stay few */
  produceFailed(reason: string): void {
    produceErrors.inc({ error_type: /^[A-Z_]{3,50}$/.test(reason) ? reason : 'other' })
  },
  stored(
    topic: string,
    partition: number,
    batch: StoredBatch,
    processMs: number,
    endToEndMs: number | null,
  ): void {
    const { stored, repeated, conflicting, dead_lettered } = batch.counters
    const results = { stored, duplicate: repeated, conflict: conflicting, dead_lettered }
    for (const [result, count] of Object.entries(results)) {
      if (count > 0) consumed.inc({ topic, partition, result }, count)
    }
    if (batch.raised.length > 0) alerts.inc({ transition: 'raised' }, batch.raised.length)
    if (batch.cleared.length > 0) alerts.inc({ transition: 'cleared' }, batch.cleared.length)
    batchRows.observe({ sink: 'postgres' }, stored)
    writeSeconds.observe({ sink: 'postgres' }, processMs / 1000)
    processSeconds.observe({ topic }, processMs / 1000)
    if (endToEndMs !== null) endToEndSeconds.observe({ topic }, Math.max(0, endToEndMs / 1000))
  },
  alerted(topic: string, seconds: number): void {
    alertSeconds.observe({ topic }, Math.max(0, seconds))
  },
  /** a batch is in the store of this sink, `seconds` after its first message was taken */
  sunk(
    sink: string,
    topic: string,
    partition: number,
    counts: { stored: number; dead_lettered: number; repeated: number },
    seconds: number,
  ): void {
    const results = { stored: counts.stored, dead_lettered: counts.dead_lettered, duplicate: counts.repeated }
    for (const [result, count] of Object.entries(results)) {
      if (count > 0) sunk.inc({ sink, topic, partition, result }, count)
    }
    batchRows.observe({ sink }, counts.stored)
    writeSeconds.observe({ sink }, seconds)
  },
  sinkPaused(sink: string, partitions: number): void {
    sinkPaused.set({ sink }, partitions)
  },
  rebalanced(group: string, partitions: number): void {
    rebalances.inc({ group })
    assigned.set({ group }, partitions)
  },
  /**
   * Opens /metrics; without a port nothing is opened. A port that is taken is told and nothing else: measuring must
   * never stop what is measured.
   */
  serve(host: string, port: number | undefined): void {
    if (port === undefined) return
    if (!registry.getSingleMetric('process_cpu_seconds_total')) collectProcess(registry)
    try {
      const server = Bun.serve({
        hostname: host,
        port,
        idleTimeout: 10,
        development: false,
        fetch: async (request) =>
          new URL(request.url).pathname === '/metrics'
            ? new Response(await registry.metrics(), { headers: { 'content-type': registry.contentType } })
            : new Response('metrics are at /metrics\n', { status: 404 }),
      })
      server.unref()
    } catch (error) {
      log.warn('metrics.not_served', { host, port, error })
    }
  },
}

/**
 * The process and its event loop. Its delay is looked at every two seconds: the library's hundred looks a second are half of
 * what an idle process does, and two a second are 4 % of it.
 */
export function collectProcess(register: Registry): void {
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: 2000 })
  // Counts of handles and requests that are no counters, under names that say they are.
  for (const kind of ['handles', 'requests', 'resources'])
    register.removeSingleMetric(`nodejs_active_${kind}_total`)
}
