import type { ClusterView } from '../kafka/client.ts'
import { askCluster, askEnds } from './cluster.ts'
import type { Database } from './database.ts'
import type { FlowTracker } from './flow.ts'
import { alarmKpis } from './questions/alarm-kpis.ts'
import { alertCounts, alertsById, openAndRecentAlerts, type AlertRow } from './questions/alerts.ts'
import { consumers } from './questions/consumers.ts'
import { recentSystemEvents } from './questions/events.ts'
import { productionLines } from './questions/lines.ts'
import { producers } from './questions/producers.ts'
import { progress } from './questions/progress.ts'
import { recentRebalances } from './questions/rebalances.ts'
import { recentFlow, recentMinutes } from './questions/seed.ts'
import { latestReadings, type SensorRow } from './questions/sensors.ts'
import { sensorsOutOfService } from './questions/service.ts'
import { sinkProgress } from './questions/sinks.ts'
import { storage } from './questions/storage.ts'
import { createSource } from './section.ts'
import type { SensorTracker } from './sensors.ts'

export interface SourceOptions {
  database: Database
  cluster: ClusterView | null
  sourceTopics: readonly string[]
  allTopics: readonly string[]
  consumerGroup: string
  clock: () => number
  sensorTracker: SensorTracker
  flow: FlowTracker
}

/** now and then every sensor is asked for, not only those that have just been heard */
const WHOLE_EVERY_MS = 30_000
/** longer than between two questions */
const HEARD_WITHIN_S = 25
/** Whatever is asked meanwhile waits for a look: of very many sensors each takes its part, and then they are asked for anew. */
const SENSORS_A_LOOK = 2000

/** Every question that the sampler asks, each with its own age and fault, and with how old its answer may become. */
export function createSources(options: SourceOptions) {
  const { database, cluster, sensorTracker, flow, clock } = options
  let sensorsSeeded = false
  let wholeAt = -Infinity
  let unseen: SensorRow[] = []
  let unseenOf = 0

  // Every question goes through the probe first: while the server is away one small query a second tells so.
  const source = <T>(question: () => Promise<T>, staleMs: number) =>
    createSource('PostgreSQL does not answer', question, staleMs, clock)
  const sources = {
    probe: source(() => database.probe(), 3000),
    consumers: source(() => consumers(database.sql()), 3000),
    producers: source(() => producers(database.sql()), 3000),
    progress: source(() => progress(database.sql()), 3000),
    sensors: source(async () => {
      if (unseen.length === 0) {
        const asked = clock()
        const isWhole = asked - wholeAt >= WHOLE_EVERY_MS
        unseen = await latestReadings(database.sql(), isWhole ? null : HEARD_WITHIN_S)
        if (isWhole) wholeAt = asked
        unseenOf = asked
      }
      const rows = unseen.splice(0, sensorsSeeded ? SENSORS_A_LOOK : Infinity)
      sensorTracker.observe(rows, unseenOf, unseen.length === 0)
      if (!sensorsSeeded) {
        sensorsSeeded = true
        await seed()
      }
    }, 12_000),
    alerts: source(async () => {
      const sql = database.sql()
      const asked = [openAndRecentAlerts(sql), alertCounts(sql), sensorsOutOfService(sql)] as const
      const [list, counts, outOfService] = await Promise.all(asked)
      return { list, counts, outOfService }
    }, 12_000),
    rebalances: source(() => recentRebalances(database.sql()), 12_000),
    lines: source(() => productionLines(database.sql()), 6000),
    sinks: source(() => sinkProgress(database.sql()), 6000),
    events: source(() => recentSystemEvents(database.sql()), 12_000),
    storage: source(() => storage(database.sql()), 25_000),
    kpis: source(() => alarmKpis(database.sql()), 150_000),
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

  /** A past that another process saw; without it lines begin now, and nothing else is lost. */
  async function seed(): Promise<void> {
    const [minutes, past] = await Promise.allSettled([
      recentMinutes(database.sql()),
      recentFlow(database.sql()),
    ])
    if (minutes.status === 'fulfilled') sensorTracker.seed(minutes.value)
    if (past.status === 'fulfilled') flow.seed(past.value)
  }
  /** Puts into the alarms that are known already what a writer has just told of. */
  function amendAlerts(ids: readonly string[]): Promise<void> {
    return sources.alerts.amend(async (before) => {
      const sql = database.sql()
      const [changed, counts] = await Promise.all([alertsById(sql, ids), alertCounts(sql)])
      return { ...before, counts, list: withChanged(before.list, changed) }
    })
  }
  return { sources, kafka, amendAlerts }
}

/** Newest first, as they come. */
function withChanged(list: readonly AlertRow[], changed: readonly AlertRow[]): AlertRow[] {
  const ids = new Set(changed.map((row) => row.alert_id))
  const others = list.filter((row) => !ids.has(row.alert_id))
  return [...changed, ...others].sort((a, b) =>
    a.timestamp < b.timestamp ? 1 : a.timestamp > b.timestamp ? -1 : 0,
  )
}

function required<T>(value: T | null): T {
  if (value === null) throw new Error('no cluster is configured')
  return value
}
