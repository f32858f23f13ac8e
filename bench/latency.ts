import { parseConfig, type Config } from '../lib/config.ts'
import { closeSql, connect, type Sql } from '../lib/db/connect.ts'
import { migrate } from '../lib/db/migrate.ts'
import { clusterOf, kafkaClients } from '../lib/kafka/client.ts'
import { partitionOf } from '../lib/kafka/partitioner.ts'
import { log } from '../lib/log.ts'
import { encodeFactoryMessage, type Reading } from '../lib/reading.ts'
import { EXIT, run, sleep } from '../lib/run.ts'
import { nowMicros } from '../lib/time.ts'
import { atShare } from './ground/asked.ts'
import { fill } from './ground/fill.ts'
import { benchServers, startConsumers } from './ground/servers.ts'
import { refuse, settingsOf } from './ground/settings.ts'
import { showTable } from './ground/table.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench latency: from the moment that a reading was due to the moment that its alarm can be seen in PostgreSQL; three
brokers, acks=all, three consumers with everything on. Open loop: readings are due by a schedule, whatever the system does,
and count from when they were due, so that waiting in a queue is not left out. Sent straight to Kafka, to one of three partitions
every 5 ms in turn.

  --rates A,B     readings a second (default 1000,5000)
  --seconds N     of each rate (default 30); the first five are not counted, and before all a minute, in which the brokers
                  compile what they do often
  --sensors N     default 1000
  --help          this text

An alarm counts as unseen after ten seconds. exit 0 every alarm was seen · 1 not every one, or none was due, or Ctrl-C`

const WARM_UP_S = 5
const BROKERS_WARM_UP_S = 60
/** a different sensor goes beyond its limit so often */
const ALARM_EVERY_MS = 40
const SEND_EVERY_MS = 5
/** an alarm that comes later was not seen */
const SEEN_WITHIN_S = 10

await run('bench', async (signal) => {
  const { rates, seconds, sensors } = settingsOf(HELP, { rates: [1000, 5000], seconds: 30, sensors: 1000 })
  if (seconds <= WARM_UP_S)
    refuse('seconds', `more than the ${WARM_UP_S} that are not counted`, String(seconds))
  log.configure({ level: 'WARN', service: 'bench' })
  const before = machine()
  const servers = await benchServers('latency', 3, signal)
  const { env, postgres } = servers
  const config = parseConfig(env)
  const sql = connect(postgres.url, { name: 'bench', max: 2, statementTimeoutMs: 60_000 })
  await migrate(sql)
  await fill(config, { readings: 1, sensors: 5 })
  const consumers = startConsumers(env, 3)
  try {
    const figures = []
    const warmUp = { rate: Math.max(...rates), seconds: BROKERS_WARM_UP_S, sensors }
    await measure(config, sql, { ...warmUp, round: rates.length })
    for (const [round, rate] of rates.entries()) {
      const figure = await measure(config, sql, { rate, round, seconds, sensors })
      console.error(JSON.stringify(figure))
      figures.push(figure)
    }
    const settings = { seconds, sensors, brokers: 3, consumers: 3 }
    showTable(figures)
    console.log(JSON.stringify({ bench: 'latency', figures, settings, machine: before }, null, 2))
    return figures.every((figure) => figure.alarms > 0 && figure.unseen === 0) ? EXIT.ok : EXIT.fault
  } finally {
    for (const child of consumers) child.kill('SIGTERM')
    await Promise.all(consumers.map((child) => child.exited))
    await closeSql(sql)
    await servers.stop()
  }
})

interface Load {
  rate: number
  round: number
  seconds: number
  sensors: number
}

async function measure(config: Config, sql: Sql, { rate, round, seconds, sensors }: Load) {
  const producer = kafkaClients({ ...clusterOf(config), clientId: 'bench' })
    .current()
    .producer({ idempotent: false, retry: { retries: 5 } })
  await producer.connect()
  const runId = `latency-${round}`
  const began = nowMicros()
  const total = rate * seconds
  const isAlarm = alarmSchedule(rate)
  /** when a reading that raises an alarm was due, by sensor and that moment */
  const expected = new Map<string, number>()
  const seen = new Map<string, number>()
  const watch = await sql.listen('alerts', () => void look())
  let looking = false
  let again = false

  async function look(): Promise<void> {
    if (looking) {
      again = true
      return
    }
    looking = true
    do {
      again = false
      const rows = await sql<{ sensor_id: string; at: number }[]>`
        select sensor_id, round(extract(epoch from "timestamp") * 1000000)::bigint as at from alerts
        where "timestamp" > now() - make_interval(secs => ${SEEN_WITHIN_S + 2}) and rule_id = 'temperature.high_high'`
      const now = nowMicros()
      for (const { sensor_id, at } of rows) {
        const key = `${sensor_id} ${at}`
        if (!seen.has(key)) seen.set(key, now - at)
      }
    } while (again)
    looking = false
  }

  let due = 0
  const waiting: { key: string; value: string; headers: Record<string, string> }[][] = [[], [], []]
  const sending = [false, false, false]
  function send(partition: number): void {
    const messages = waiting[partition]
    if (!messages || messages.length === 0 || sending[partition]) return
    sending[partition] = true
    waiting[partition] = []
    void producer
      .send({ topic: config.SENSOR_TOPIC, acks: -1, messages: messages.map((m) => ({ ...m, partition })) })
      .finally(() => {
        sending[partition] = false
        send(partition)
      })
  }
  let beat = 0
  while (due < total) {
    const elapsed = (nowMicros() - began) / 1e6
    for (; due < Math.min(total, Math.floor(elapsed * rate)); due++) {
      const at = Math.round(began + (due * 1e6) / rate)
      const sensorId = `temp-${round}-${due % sensors}`
      const raises = due / rate >= WARM_UP_S && isAlarm(due)
      if (raises) expected.set(`${sensorId} ${at}`, at)
      const seq = Math.floor(due / sensors) + 1
      const value = encodeFactoryMessage(readingOf(sensorId, at, raises ? 55 : 25 + (due % 7) / 10), {
        runId,
        seq,
      })
      waiting[partitionOf(sensorId, 3)]?.push({
        key: sensorId,
        value,
        headers: { 'run-id': runId, seq: String(seq) },
      })
    }
    send(beat++ % waiting.length)
    await sleep(SEND_EVERY_MS)
  }
  for (const partition of waiting.keys()) send(partition) // those whose turn would have come
  const until = performance.now() + SEEN_WITHIN_S * 1000
  while ([...expected.keys()].some((key) => !seen.has(key)) && performance.now() < until) await sleep(50)
  await watch.unlisten()
  await producer.disconnect()
  const ms = [...expected.keys()].flatMap((key) => (seen.has(key) ? [(seen.get(key) ?? 0) / 1000] : []))
  ms.sort((a, b) => a - b)
  const at = (share: number) => Number(atShare(ms, share).toFixed(1))
  return {
    readings_per_second: rate,
    alarms: ms.length,
    unseen: expected.size - ms.length,
    ms: { p50: at(0.5), p90: at(0.9), p99: at(0.99), most: at(1) },
  }
}

/** One reading in so many raises an alarm: the number is coprime to the usual counts of sensors, so that each is another's. */
function alarmSchedule(rate: number): (due: number) => boolean {
  const every = Math.floor((rate * ALARM_EVERY_MS) / 1000) | 1
  return (due) => due % every === 0
}

function readingOf(sensorId: string, at: number, value: number): Reading {
  return {
    sensorId,
    sensorType: 'temperature',
    unit: '°C',
    location: { factorySection: 'production', machineId: `machine-${sensorId}`, zone: 'zone-a' },
    measuredAt: at,
    value,
    quality: 1,
    claimedLevel: value > 40 ? 'critical' : 'normal',
    warningThreshold: 35,
    criticalThreshold: 40,
    metadata: null,
  }
}
