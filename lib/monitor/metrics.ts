import { Counter, Gauge, Registry } from 'prom-client'
import { collectProcess } from '../metrics.ts'
import { groupVerdict } from './lag.ts'
import { stateOf } from '../alarm/lifecycle.ts'
import type { Snapshot } from './snapshot.ts'
import { valueSeries } from './values.ts'

/**
 * /metrics of the monitor, from the snapshot: a scrape asks neither Kafka nor PostgreSQL. What Kafka says has the names
 * of kafka_exporter, so that its public dashboards work; the rest is `factory_…` in base units. What is not known is
 * absent, never 0.
 */
export interface Metrics {
  contentType: string
  render(): Promise<string>
}

export interface MetricsOptions {
  current: () => Snapshot
  viewers: () => number
  consumerGroup: string
  version: string
}

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry()
  collectProcess(registry)
  const series: (Gauge<string> | Counter<string>)[] = []
  const gauge = (name: string, help: string, labelNames: string[] = []) => {
    const g = new Gauge({ name, help, labelNames, registers: [registry] })
    series.push(g)
    return (labels: Record<string, string | number>, value: number | null | undefined) => {
      if (value !== null && value !== undefined && Number.isFinite(value)) g.set(labels, value)
    }
  }
  const counter = (name: string, help: string, labelNames: string[] = []) => {
    const c = new Counter({ name, help, labelNames, registers: [registry] })
    series.push(c)
    return (labels: Record<string, string | number>, value: number) => c.inc(labels, Math.max(0, value))
  }
  const write = [
    kafkaSeries(gauge, options.consumerGroup),
    progressSeries(gauge, counter),
    sinkSeries(gauge, counter),
    memberSeries(gauge, counter),
    plantSeries(gauge),
    lineSeries(gauge),
    valueSeries(gauge),
    ownSeries(gauge, options),
  ]
  return {
    contentType: registry.contentType,
    async render() {
      const snapshot = options.current()
      for (const s of series) s.reset()
      for (const w of write) w(snapshot)
      // kafka_exporter's name for a sum is reserved for histograms; without a type it offends nobody.
      return (await registry.metrics()).replace(
        '# TYPE kafka_consumergroup_lag_sum gauge',
        '# TYPE kafka_consumergroup_lag_sum untyped',
      )
    },
  }
}

type Set = (labels: Record<string, string | number>, value: number | null | undefined) => void
export type MakeGauge = (name: string, help: string, labelNames?: string[]) => Set
type MakeCounter = (
  name: string,
  help: string,
  labelNames?: string[],
) => (labels: Record<string, string | number>, value: number) => void
export type Write = (s: Snapshot) => void

function kafkaSeries(gauge: MakeGauge, consumergroup: string): Write {
  const at = ['topic', 'partition']
  const of = ['consumergroup', 'topic', 'partition']
  const brokers = gauge('kafka_brokers', 'Brokers in the cluster')
  const brokerInfo = gauge('kafka_broker_info', 'Broker by id and address', ['id', 'address'])
  const partitions = gauge('kafka_topic_partitions', 'Partitions of a topic', ['topic'])
  const currentOffset = gauge('kafka_topic_partition_current_offset', 'End offset of a partition', at)
  const oldestOffset = gauge('kafka_topic_partition_oldest_offset', 'Oldest offset of a partition', at)
  const leader = gauge('kafka_topic_partition_leader', 'Leader broker id of a partition', at)
  const replicas = gauge('kafka_topic_partition_replicas', 'Copies of a partition', at)
  const inSync = gauge('kafka_topic_partition_in_sync_replica', 'Copies in sync of a partition', at)
  const under = gauge(
    'kafka_topic_partition_under_replicated_partition',
    '1 where a partition has fewer copies in sync than copies',
    at,
  )
  const preferred = gauge(
    'kafka_topic_partition_leader_is_preferred',
    '1 where the leader is the first of the copies',
    at,
  )
  const groupOffset = gauge(
    'kafka_consumergroup_current_offset',
    'Next offset to be stored, from PostgreSQL',
    of,
  )
  const lag = gauge('kafka_consumergroup_lag', 'Messages waiting in a partition', of)
  const lagSum = gauge('kafka_consumergroup_lag_sum', 'Messages waiting in a topic', [
    'consumergroup',
    'topic',
  ])
  const members = gauge('kafka_consumergroup_members', 'Members of the group', ['consumergroup'])
  return (s) => {
    const cluster = s.kafka.data
    if (cluster) {
      brokers({}, cluster.brokers.length)
      for (const b of cluster.brokers) brokerInfo({ id: b.id, address: `${b.host}:${b.port}` }, 1)
      if (cluster.group) members({ consumergroup }, cluster.group.members.length)
      for (const t of cluster.topics) {
        partitions({ topic: t.topic }, t.partitions.length)
        for (const p of t.partitions) {
          const labels = { topic: t.topic, partition: p.partition }
          leader(labels, p.leader)
          replicas(labels, p.replicas.length)
          inSync(labels, p.isr.length)
          under(labels, p.isr.length < p.replicas.length ? 1 : 0)
          preferred(labels, p.leader !== null && p.leader === p.replicas[0] ? 1 : 0)
        }
      }
    }
    const sums = new Map<string, number>()
    for (const p of s.partitions.data ?? []) {
      const labels = { topic: p.topic, partition: p.partition }
      currentOffset(labels, p.end_offset)
      oldestOffset(labels, p.low_offset)
      groupOffset({ consumergroup, ...labels }, p.next_offset)
      lag({ consumergroup, ...labels }, p.lag)
      if (p.lag !== null) sums.set(p.topic, (sums.get(p.topic) ?? 0) + p.lag)
    }
    for (const [topic, sum] of sums) lagSum({ consumergroup, topic }, sum)
  }
}

function progressSeries(gauge: MakeGauge, counter: MakeCounter): Write {
  const at = ['topic', 'partition']
  const consumed = counter(
    'factory_partition_messages_total',
    'Messages taken from the log, by what became of them',
    [...at, 'result'],
  )
  const missing = counter('factory_messages_missing_total', 'Numbers that a sensor skipped', at)
  const lagSeconds = gauge('factory_consumergroup_lag_seconds', 'Age of the oldest waiting message', at)
  const verdict = gauge('factory_partition_verdict_info', 'Verdict on the progress of a partition', [
    ...at,
    'verdict',
  ])
  const stopped = gauge('factory_partition_stopped', '1 where a partition waits for a decision', at)
  const group = gauge('factory_group_verdict_info', 'Verdict on the consumer group', ['verdict'])
  return (s) => {
    const list = s.partitions.data ?? []
    for (const p of list) {
      const labels = { topic: p.topic, partition: p.partition }
      consumed({ ...labels, result: 'stored' }, p.stored)
      consumed({ ...labels, result: 'dead_lettered' }, p.dead_lettered)
      consumed({ ...labels, result: 'duplicate' }, p.repeated)
      consumed({ ...labels, result: 'conflict' }, p.conflicting)
      missing(labels, p.missing)
      lagSeconds(labels, p.lag_seconds)
      verdict({ ...labels, verdict: p.verdict }, 1)
      stopped(labels, p.stopped === null ? 0 : 1)
    }
    if (list.length > 0) group({ verdict: groupVerdict(list.map((p) => p.verdict)) }, 1)
  }
}

/** From their positions in PostgreSQL: a sink that has died, or whose store is away, tells nothing of itself. */
function sinkSeries(gauge: MakeGauge, counter: MakeCounter): Write {
  const info = gauge('factory_sink_info', 'Status of a sink', ['sink', 'status'])
  const lag = gauge('factory_sink_lag_messages', 'Messages in Kafka that a sink has not taken yet', [
    'sink',
    'topic',
    'partition',
  ])
  const deadLetters = counter('factory_sink_dead_letters_total', 'Messages that will not be in a sink', [
    'sink',
  ])
  return (s) => {
    for (const x of s.sinks.data ?? []) {
      info({ sink: x.sink, status: x.status }, 1)
      deadLetters({ sink: x.sink }, x.dead_lettered)
      for (const p of x.partitions) lag({ sink: x.sink, topic: p.topic, partition: p.partition }, p.lag)
    }
  }
}

function memberSeries(gauge: MakeGauge, counter: MakeCounter): Write {
  const consumer = gauge('factory_consumer_info', 'Status of a consumer', ['consumer', 'status'])
  const assigned = gauge('factory_consumer_partitions', 'Partitions of a consumer', ['consumer'])
  const processed = counter('factory_consumer_messages_total', 'Messages that a consumer processed', [
    'consumer',
  ])
  const consumerErrors = counter('factory_consumer_errors_total', 'Errors that a consumer counted', [
    'consumer',
  ])
  const beat = gauge('factory_heartbeat_age_seconds', 'Age of the last heartbeat', ['member'])
  const p50 = gauge(
    'factory_end_to_end_latency_p50_seconds',
    'From measurement to COMMIT, median of the last half minute',
    ['consumer'],
  )
  const p99 = gauge(
    'factory_end_to_end_latency_p99_seconds',
    'From measurement to COMMIT, 99 of 100 of the last half minute',
    ['consumer'],
  )
  const batch = gauge(
    'factory_process_p99_seconds',
    'From hand-over of a batch to COMMIT, 99 of 100 of the last half minute',
    ['consumer'],
  )
  const producer = gauge('factory_producer_info', 'Status of a producer', ['producer', 'status'])
  const produced = counter('factory_producer_messages_total', 'Messages that a producer sent', [
    'producer',
    'sensor_type',
  ])
  const produceErrors = counter('factory_producer_errors_total', 'Errors that a producer counted', [
    'producer',
  ])
  const dropped = counter('factory_messages_dropped_total', 'Readings given up by policy', ['producer'])
  const spooled = gauge('factory_spool_messages', 'Readings on disk that are not sent', ['producer'])
  const spoolBytes = gauge('factory_spool_bytes', 'Size of the spool', ['producer'])
  return (s) => {
    for (const c of s.consumers.data ?? []) {
      const labels = { consumer: c.consumer_id }
      consumer({ ...labels, status: c.status }, 1)
      assigned(labels, c.assigned_partitions.length)
      processed(labels, c.total_messages_processed)
      consumerErrors(labels, c.errors)
      beat({ member: c.consumer_id }, c.heartbeat_age_s)
      p50(labels, seconds(c.end_to_end_ms_p50))
      p99(labels, seconds(c.end_to_end_ms_p99))
      batch(labels, seconds(c.processing_ms_p99))
    }
    for (const p of s.producers.data ?? []) {
      const labels = { producer: p.producer_id }
      producer({ ...labels, status: p.status }, 1)
      produced({ ...labels, sensor_type: p.sensor_type ?? p.fleet }, p.total_messages_sent)
      produceErrors(labels, p.errors)
      dropped(labels, p.dropped)
      spooled(labels, p.spooled)
      spoolBytes(labels, p.spool_bytes)
      beat({ member: p.producer_id }, p.heartbeat_age_s)
    }
  }
}

function plantSeries(gauge: MakeGauge): Write {
  const alarms = gauge('factory_alarms', 'Open alarms by severity and state', ['severity', 'state'])
  const active = gauge('factory_alarms_active', 'Alarms whose condition holds')
  const sensors = gauge('factory_sensors', 'Sensors by level', ['level'])
  const deadLetters = gauge('factory_dead_letters', 'Messages that could not become readings')
  const outbox = gauge('factory_outbox_messages', 'Alarm transitions that wait to be published')
  const database = gauge('factory_database_bytes', 'Size of the database')
  const readings = gauge('factory_readings_bytes', 'Size of the stored readings')
  return (s) => {
    const now = Date.parse(s.at)
    const byState = new Map<string, number>()
    for (const a of s.alerts.data?.list ?? []) {
      if (!a.active && a.acknowledged) continue
      const key = `${a.severity} ${stateOf(a, now)}`
      byState.set(key, (byState.get(key) ?? 0) + 1)
    }
    for (const [key, count] of byState) {
      const [severity = '', state = ''] = key.split(' ')
      alarms({ severity, state }, count)
    }
    active({}, s.alerts.data?.counts.active)
    const byLevel = new Map<string, number>()
    for (const x of s.sensors.data ?? []) {
      const level = x.silent ? 'silent' : x.alert_level
      byLevel.set(level, (byLevel.get(level) ?? 0) + 1)
    }
    for (const [level, count] of byLevel) sensors({ level }, count)
    deadLetters({}, s.storage.data?.dead_letters)
    outbox({}, s.storage.data?.outbox_unsent)
    database({}, s.storage.data?.database_bytes)
    readings({}, s.storage.data?.readings_bytes)
  }
}

function lineSeries(gauge: MakeGauge): Write {
  const of = ['factory', 'sensor', 'soda']
  const items = gauge('factory_line_items', 'Items that a production line has counted', of)
  const target = gauge('factory_line_target_items', 'Items that a production line is to make', of)
  const pace = gauge('factory_line_items_per_second', 'Pace of a production line in this round', of)
  const figure = gauge('factory_line_oee_ratio', 'Availability, performance, quality and their product', [
    ...of,
    'figure',
  ])
  const alive = gauge('factory_line_sensor_up', '1 while the sensor of a line gives signs of life', [
    'sensor',
  ])
  return (s) => {
    for (const line of s.lines.data?.lines ?? []) {
      const labels = { factory: line.factory_id, sensor: line.sensor_id, soda: line.soda_name }
      items(labels, line.count)
      target(labels, line.total)
      pace(labels, line.pace_per_minute === null ? null : line.pace_per_minute / 60)
      for (const name of ['availability', 'performance', 'quality', 'oee'] as const)
        figure({ ...labels, figure: name }, line[name])
    }
    for (const x of s.lines.data?.sensors ?? [])
      if (x.status !== 'finished') alive({ sensor: x.sensor_id }, x.status === 'alive' ? 1 : 0)
  }
}

function ownSeries(gauge: MakeGauge, options: MetricsOptions): Write {
  const up = gauge('factory_up', '1 where a dependency answered the newest question', ['dependency'])
  const verdict = gauge('factory_verdict_info', 'The one word for the whole', ['verdict'])
  const viewers = gauge('factory_stream_viewers', 'Open event streams')
  const build = gauge('factory_build_info', 'Version of this program', ['version', 'bun_version'])
  return (s) => {
    up({ dependency: 'postgresql' }, s.consumers.status === 'ok' ? 1 : 0)
    up({ dependency: 'kafka' }, s.kafka.status === 'ok' && s.kafka.data !== null ? 1 : 0)
    verdict({ verdict: s.verdict.word }, 1)
    viewers({}, options.viewers())
    build({ version: options.version, bun_version: Bun.version }, 1)
  }
}

const seconds = (ms: number | null) => (ms === null ? null : ms / 1000)
