import type { Zone } from '../detect/vibration.ts'
import type { BrokerState } from './brokers.ts'
import type { Cluster } from './cluster.ts'
import type { ConsumerStatus, ProducerStatus } from './health.ts'
import type { LagVerdict } from './lag.ts'
import type { LineSensor, ProductionLine } from './lines.ts'
import type { AlarmKpis } from './questions/alarm-kpis.ts'
import type { AlertCounts, AlertRow } from './questions/alerts.ts'
import type { ConsumerRow } from './questions/consumers.ts'
import type { SystemEventRow } from './questions/events.ts'
import type { ProducerRow } from './questions/producers.ts'
import type { OutOfServiceRow } from './questions/service.ts'
import type { RebalanceRow } from './questions/rebalances.ts'
import type { Storage } from './questions/storage.ts'
import type { Section } from './section.ts'
import type { Sink } from './sinks.ts'
import type { Verdict } from './verdict.ts'

/** Everything that the live page and the live API know at one moment. Built once a second, shared by all viewers. */
export interface Snapshot {
  readonly at: string
  /** rises with each snapshot */
  readonly number: number
  readonly verdict: Verdict
  readonly consumers: Section<Consumer[]>
  readonly producers: Section<Producer[]>
  readonly partitions: Section<Partition[]>
  /** other destinations of the same readings */
  readonly sinks: Section<Sink[]>
  readonly flow: Section<Flow>
  readonly alerts: Section<{ list: AlertRow[]; counts: AlertCounts; outOfService: OutOfServiceRow[] }>
  readonly rebalances: Section<RebalanceRow[]>
  readonly sensors: Section<Sensor[]>
  /** production lines and the signs of life of their sensors */
  readonly lines: Section<{ lines: ProductionLine[]; sensors: LineSensor[] }>
  readonly events: Section<SystemEventRow[]>
  readonly storage: Section<Storage>
  /** how well the alarm system serves; asked once a minute */
  readonly kpis: Section<AlarmKpis>
  readonly kafka: Section<Cluster>
  readonly brokers: BrokerState[]
}

export interface Consumer extends Omit<ConsumerRow, 'written_status'> {
  status: ConsumerStatus
  messages_per_second: number | null
  lag: number | null
  /** heartbeat ages of the last minute, oldest first: true where one was fresh */
  beats: boolean[]
}

export interface Producer extends Omit<ProducerRow, 'written_status'> {
  status: ProducerStatus
  messages_per_second: number | null
}

export interface Partition {
  topic: string
  partition: number
  /** who works on it now; null: nobody */
  consumer_id: string | null
  last_owner: string | null
  leader: number | null
  replicas: number[]
  isr: number[]
  low_offset: number | null
  end_offset: number | null
  next_offset: number | null
  lag: number | null
  lag_seconds: number | null
  verdict: LagVerdict
  /** Burrow's rule that gave the verdict */
  rule: number
  epoch: number | null
  claimed_at: string | null
  updated_at: string | null
  messages_per_second: number | null
  stored: number
  dead_lettered: number
  repeated: number
  conflicting: number
  missing: number
  filled: number
  unidentified: number
  late: number
  stopped: string | null
}

export interface Flow {
  accepted_per_second: number | null
  produced_per_second: number | null
  appended_per_second: number | null
  stored_per_second: number | null
  spooled: number
  lag: number | null
  lag_seconds: number | null
  end_to_end_ms_p50: number | null
  end_to_end_ms_p99: number | null
  /** the last ten minutes, one point every five seconds, oldest first */
  history: FlowPoint[]
}

export interface FlowPoint {
  at: string
  produced_per_second: number | null
  stored_per_second: number | null
  lag: number | null
  end_to_end_ms_p99: number | null
}

export interface Sensor {
  sensor_id: string
  sensor_type: string
  unit: string
  factory_section: string
  machine_id: string
  zone: string
  value: number
  alert_level: 'normal' | 'warning' | 'critical'
  quality: number
  flags: number
  timestamp: string
  updated_at: string
  partition: number
  offset: number
  readings: number
  /** usual seconds between two readings; null until seen */
  interval_s: number | null
  /** nothing for three intervals */
  silent: boolean
  topic: string
  warning: number | null
  critical: number | null
  low_warning: number | null
  low_critical: number | null
  open_alarms: number
  /** nobody is called for it */
  out_of_service: OutOfServiceRow | null
  /** vibration: ISO 20816 zone of the last minute’s mean */
  iso_zone: Zone | null
  /** the last 15 minutes, a mean every 15 s, oldest first; null where there was none */
  trend: (number | null)[]
}
