import { bookOfFile } from '../../lib/alarm/books.ts'
import { parseConfig } from '../../lib/config.ts'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import type { ClusterView } from '../../lib/kafka/client.ts'
import { createApp } from '../../lib/monitor/app.ts'
import { openDatabase, type Database } from '../../lib/monitor/database.ts'
import { createMetrics } from '../../lib/monitor/metrics.ts'
import type { Ledger } from '../../lib/monitor/incident/ledger.ts'
import { createRecorder } from '../../lib/monitor/incident/recorder.ts'
import { createSampler, type Sampler } from '../../lib/monitor/sampler.ts'
import { guardOf } from '../../lib/monitor/serve.ts'
import { createStreams, type Streams } from '../../lib/monitor/stream.ts'
import { database } from '../stack.ts'

/** A monitor on a database of its own, without a server: requests go straight to the app. */
export interface Room {
  sql: Sql
  url: string
  monitor: Database
  sampler: Sampler
  streams: Streams
  app: ReturnType<typeof createApp>
  get(path: string, headers?: Record<string, string>): Promise<Response>
  json(path: string): Promise<any>
  close(): Promise<void>
}

/** `env`: variables of the monitor, such as MONITORING_TOKENS. */
export async function openRoom(env: Record<string, string> = {}): Promise<Room> {
  return openRoomOn((await database()).url, env)
}

export interface Around {
  cluster?: ClusterView | null
  ledger?: Ledger | null
}

export async function openRoomOn(
  url: string,
  env: Record<string, string> = {},
  around: Around = {},
): Promise<Room> {
  const sql = connect(url, { name: 'test', max: 1 })
  const monitor = openDatabase(url)
  const sampler = createSampler({
    database: monitor,
    cluster: around.cluster ?? null,
    sourceTopics: ['sensor-data'],
    allTopics: ['sensor-data', 'alerts'],
    consumerGroup: 'sensor-processors',
    limitsOf: (_topic, type) =>
      type === 'temperature'
        ? { warning: 35, critical: 40, low_warning: null, low_critical: null }
        : type === 'vibration'
          ? {
              warning: 5,
              critical: 7,
              low_warning: null,
              low_critical: null,
              machine_class: 'group-2-flexible',
            }
          : null,
  })
  const streams = createStreams({ heartbeatMs: 50 })
  const recorder = createRecorder(monitor.sql, around.ledger ?? null)
  sampler.onSnapshot(recorder.observe)
  sampler.onSnapshot(() => streams.tick())
  const metrics = createMetrics({
    current: sampler.current,
    viewers: streams.count,
    consumerGroup: 'sensor-processors',
    version: 'test',
  })
  const app = createApp({
    current: sampler.current,
    sql: monitor.sql,
    streams,
    metrics,
    bookOfFile: bookOfFile(parseConfig({})),
    alertTopic: 'alerts',
    version: 'test',
    onChange: sampler.hurry,
    ...guardOf(parseConfig(env)),
    recentIncidents: recorder.recent,
    checkAnswers: true,
  })
  const get = async (path: string, headers: Record<string, string> = {}) => app.request(path, { headers })
  return {
    sql,
    url,
    monitor,
    sampler,
    streams,
    app,
    get,
    json: async (path) => (await get(path)).json(),
    async close() {
      streams.close()
      await monitor.close()
      await closeSql(sql)
    },
  }
}
