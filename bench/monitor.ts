import { join } from 'node:path'
import { parseConfig, type Config } from '../lib/config.ts'
import { closeSql, connect, type Sql } from '../lib/db/connect.ts'
import { migrate } from '../lib/db/migrate.ts'
import type { Measured } from '../lib/fleet/fleet.ts'
import { clusterOf, clusterView, kafkaClients } from '../lib/kafka/client.ts'
import { partitionOf } from '../lib/kafka/partitioner.ts'
import { startSender } from '../lib/kafka/send.ts'
import { createMissing, waitForCoordinator } from '../lib/kafka/topics.ts'
import { MONITOR_RUNTIME } from '../lib/local/plan.ts'
import { freePorts } from '../lib/local/ports.ts'
import { log } from '../lib/log.ts'
import { encodeFactoryMessage, type Reading } from '../lib/reading.ts'
import { EXIT, run, sleep } from '../lib/run.ts'
import { openSpool, type Spool } from '../lib/spool/spool.ts'
import { nowMicros } from '../lib/time.ts'
import { topicPlan } from '../lib/topics.ts'
import { get, summary, times, until, untilSensors } from './ground/asked.ts'
import { residentOf } from './ground/memory.ts'
import { cpuSeconds } from './ground/cpu.ts'
import { benchServers, startProgram } from './ground/servers.ts'
import { settingsOf } from './ground/settings.ts'
import { showFigures } from './ground/table.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench monitor: how fast the monitor answers while readings of a thousand sensors flow, everything on this
machine: three brokers, PostgreSQL, a producer, three consumers, the monitor. Who asks is a process of its own.

  --rate N      readings a second that flow meanwhile (default 5000); for the alarms 300
  --seconds N   of each part (default 15)
  --probes N    alarms whose way is timed (default 200)
  --help        this text

It begins after a minute, in which the brokers have compiled what they do often. Alarms: the clock starts when the producer's
spool has accepted the reading, and stops when an HTTP client that listens to /events has the alarm. exit 0 measured · 1 not every alarm arrived, or Ctrl-C`

const ROOT = join(import.meta.dir, '..')
/** brokers compile what they do often, and take half of both cores for it at first */
const WARM_UP_MS = 60_000
const VIEWERS = 200
/** readings a second beside the alarms that are timed */
const QUIET_RATE = 300
/** what a load of a thousand readings a second and more comes from */
const SENSORS = 1000
const SENSOR = 'load-temp-sensor-001'
const REQUESTS_PER_SECOND = 200
const MONTH_HOURS = 30 * 24
const PATHS = [
  '/api/system-status',
  '/api/consumer-health',
  '/api/producer-health',
  '/api/partition-assignment',
  '/api/real-time-metrics',
  '/api/recent-alerts',
  '/api/alarms',
  '/api/sensors?limit=100',
  `/api/series?sensor_id=${SENSOR}&last=1h`,
  '/api/incidents',
]
/** an alarm, not the sensor beside it */
const ALARM = /"alert_id":"[^"]+","timestamp":"[^"]+","sensor_id":"(probe-\d+)"/g

await run('bench', async (signal) => {
  const asked = settingsOf(HELP, { rate: 5000, seconds: 15, probes: 200 })
  log.configure({ level: 'WARN', service: 'bench' })
  const before = machine()
  const settings = { ...asked, sensors: SENSORS, viewers: VIEWERS, consumers: 3, brokers: 3 }
  const servers = await benchServers('monitor', 3, signal)
  const [port = 0] = await freePorts(1)
  const env = { ...servers.env, MONITORING_PORT: String(port), NODE_ENV: 'production' }
  const config = parseConfig(env)
  const sql = connect(config.DATABASE_URL, { name: 'bench', max: 1, statementTimeoutMs: 60_000 })
  const children: Bun.Subprocess[] = []
  const start = (argv: string[], more: Record<string, string> = {}) => {
    const child = startProgram([process.execPath, ...argv], { ...process.env, ...env, ...more }, ROOT)
    children.push(child)
    return child
  }
  try {
    await migrate(sql)
    const view = clusterView(kafkaClients({ ...clusterOf(config), clientId: 'bench' }))
    await createMissing(view, topicPlan(config), 3)
    await waitForCoordinator(view, config.CONSUMER_GROUP, 60_000, new AbortController().signal)
    await view.close()
    for (const n of [1, 2, 3]) start(['consumer.ts'], { CONSUMER_ID: `consumer-${n}` })
    const monitor = start(['monitor.ts'], MONITOR_RUNTIME)
    const flow = (rate: number) =>
      start(['producer.ts', '--rate', String(rate)], { SPOOL_DIR: join(servers.at.dir, `spool-${rate}`) })
    const figures = await measure(config, sql, join(servers.at.dir, 'spool'), monitor.pid, flow, settings)
    showFigures(figures)
    console.log(JSON.stringify({ bench: 'monitor', ...figures, settings, machine: before }, null, 2))
    return figures.alarm.arrived === settings.probes ? EXIT.ok : EXIT.fault
  } finally {
    for (const child of children) child.kill('SIGTERM')
    await Promise.race([Promise.all(children.map((c) => c.exited)), sleep(15_000)])
    for (const child of children) child.kill('SIGKILL')
    await closeSql(sql)
    await servers.stop()
  }
})

type Settings = Record<'rate' | 'seconds' | 'probes', number>

async function measure(
  config: Config,
  sql: Sql,
  spoolDir: string,
  monitorPid: number,
  startFlow: (rate: number) => Bun.Subprocess,
  settings: Settings,
) {
  const base = `http://127.0.0.1:${config.MONITORING_PORT}`
  const spool = openSpool({
    directory: spoolDir,
    producerId: 'bench',
    maxBytes: config.SPOOL_MAX_SIZE,
    whenFull: 'block',
    partitionOf: (_, key) => partitionOf(key, 3),
  })
  const clients = kafkaClients({ ...clusterOf(config), clientId: 'bench' })
  const sender = startSender({ spool, clients, plan: topicPlan(config) })
  const flow = startFlow(settings.rate)
  try {
    await untilSensors(base, SENSORS)
    await monthOf(sql)
    await sleep(WARM_UP_MS)
    const page = await page200(base)
    const api = await apiUnderLoad(base, settings.seconds)
    const month = `${base}/api/series?sensor_id=${SENSOR}&last=30d`
    const { points } = (await (await fetch(month)).json()) as { points: unknown[] }
    // neighbours are joined until at most 600 are left
    if (points.length < 300) throw new Error(`Cannot time a month: it has ${points.length} points`)
    const series = await times(50, () => get(month))
    const viewers = await viewersCost(base, monitorPid, settings.seconds)
    flow.kill('SIGTERM')
    await flow.exited
    startFlow(QUIET_RATE)
    await until('the quiet flow', async () => (await rateOf(base)) > QUIET_RATE / 2)
    const alarm = await alarmsOnTheirWay(spool, config, base, settings.probes)
    return {
      page,
      api,
      series_of_a_month: series,
      viewers,
      alarm,
      memory_mib: Math.round(residentOf(monitorPid) / 1024 ** 2),
    }
  } finally {
    await sender.close()
    await spool.close()
  }
}

/** readings a second that are stored, as the monitor tells it */
async function rateOf(base: string): Promise<number> {
  const { flow } = (await (await fetch(`${base}/api/real-time-metrics`)).json()) as {
    flow: { stored_per_second: number | null } | null
  }
  return flow?.stored_per_second ?? 0
}

async function page200(base: string) {
  const bytes = (await (await fetch(base)).arrayBuffer()).byteLength
  return { ...(await times(200, () => get(base))), kib: Math.round(bytes / 1024) }
}

/** Open loop: a request is late from the moment at which it should have been sent. */
async function apiUnderLoad(base: string, seconds: number) {
  const took: number[] = []
  let failed = 0
  const start = performance.now()
  const all: Promise<void>[] = []
  for (let i = 0; i < seconds * REQUESTS_PER_SECOND; i++) {
    const due = start + (i * 1000) / REQUESTS_PER_SECOND
    if (due > performance.now()) await sleep(due - performance.now())
    const asked = get(base + (PATHS[i % PATHS.length] ?? ''))
    all.push(asked.then(() => void took.push(performance.now() - due)).catch(() => void failed++))
  }
  await Promise.all(all)
  return { ...summary(took), requests_per_second: REQUESTS_PER_SECOND, failed }
}

async function viewersCost(base: string, pid: number, seconds: number) {
  const stop = new AbortController()
  let bytes = 0
  const streams = Array.from({ length: VIEWERS }, async () => {
    const answer = await fetch(`${base}/events?view=overview`, { signal: stop.signal })
    for await (const part of answer.body ?? []) bytes += part.byteLength
  })
  await sleep(3000)
  const [cpu, at] = [cpuSeconds(pid), performance.now()]
  await sleep(seconds * 1000)
  const share = (cpuSeconds(pid) - cpu) / ((performance.now() - at) / 1000)
  stop.abort()
  await Promise.allSettled(streams)
  return {
    viewers: VIEWERS,
    percent_of_a_core: Number((share * 100).toFixed(1)),
    mib_sent: Math.round(bytes / 1024 ** 2),
  }
}

/** Sensors that nobody has seen before, each beyond its critical limit with its first reading. */
async function alarmsOnTheirWay(spool: Spool, config: Config, base: string, probes: number) {
  const acceptedAt = new Map<string, number>()
  const took: number[] = []
  const stop = new AbortController()
  const listening = (async () => {
    const answer = await fetch(`${base}/events`, { signal: stop.signal })
    const decoder = new TextDecoder()
    let text = ''
    for await (const part of answer.body ?? []) {
      const at = performance.now()
      text += decoder.decode(part, { stream: true })
      const whole = text.lastIndexOf('\n\n')
      if (whole === -1) continue
      for (const [, id = ''] of text.slice(0, whole).matchAll(ALARM)) {
        const since = acceptedAt.get(id)
        if (since === undefined) continue
        acceptedAt.delete(id)
        took.push(at - since)
      }
      text = text.slice(whole)
    }
  })().catch((error: unknown) => {
    if (!stop.signal.aborted) throw error
  })
  for (let i = 0; i < probes; i++) {
    const probe = probeOf(`probe-${i}`, config.SENSOR_TOPIC)
    await spool.accept([probe])
    acceptedAt.set(probe.key, performance.now())
    await sleep(40 + Math.random() * 80)
  }
  await until('the last alarm', async () => took.length === probes, 20_000).catch(() => {})
  stop.abort()
  await listening
  return { ...summary(took), arrived: took.length }
}

function probeOf(sensorId: string, topic: string): Measured {
  const reading: Reading = {
    sensorId,
    sensorType: 'temperature',
    unit: '°C',
    location: { factorySection: 'production', machineId: `machine-${sensorId}`, zone: 'zone-probe' },
    measuredAt: nowMicros(),
    value: 60,
    quality: 1,
    claimedLevel: null,
    warningThreshold: null,
    criticalThreshold: null,
    metadata: null,
  }
  return { topic, key: sensorId, reading, encode: (id) => encodeFactoryMessage(reading, id) }
}

/** An hour of one sensor's month is a row, as its roll-up would leave it. */
async function monthOf(sql: Sql): Promise<void> {
  await sql`
    insert into readings_1h (bucket, sensor_key, readings, total, lowest, highest, warnings, criticals)
    select date_trunc('hour', now()) - make_interval(hours => m), s.sensor_key, 1200, 30000, 20, 30, 0, 0
    from generate_series(1, ${MONTH_HOURS}) m, sensors s where s.sensor_id = ${SENSOR}
    on conflict do nothing`
}
