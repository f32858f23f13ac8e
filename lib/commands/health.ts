import { anyBrokerAnswers, registryAnswers, stackConfig } from '../local/servers.ts'
import { askStatus } from '../local/control.ts'
import { localDatabase, monitorUrl, needsRegistry, stateDir } from '../local/plan.ts'
import { postgresAnswers } from '../local/probe.ts'
import type { Config } from '../config.ts'
import { isMissed, tellSink, type Sink } from '../monitor/sinks.ts'
import { EXIT } from '../run.ts'
import { command } from './command.ts'

const HELP = `bun run health: asks every part whether it works: each Kafka node, PostgreSQL, the schema registry
(where a fleet needs it), the monitor, and through it
every producer and consumer by its heartbeat and every sink by its progress. Works for the local stack, for containers and for servers of yours.

  --json   as JSON

exit 0 all is well · 1 something is not · 69 no Kafka node answers, or PostgreSQL does not`

interface Check {
  name: string
  ok: boolean
  detail: string
  /** without it nothing else can work */
  isBase: boolean
}

const WELL = ['active', 'standby', 'finished', 'stopped', 'starting']

await command({
  help: HELP,
  options: { json: { type: 'boolean' } },
  async main({ json }) {
    const { config } = await stackConfig()
    const checks = (
      await Promise.all([
        brokers(config),
        database(config),
        registry(config),
        processes(config),
        monitor(config),
      ])
    ).flat()
    const ok = checks.every((check) => check.ok)
    if (json) {
      console.log(JSON.stringify({ ok, checks: checks.map(({ isBase: _, ...check }) => check) }))
    } else {
      for (const { name, ok, detail } of checks) {
        console.log(`${ok ? 'ok   ' : 'FAULT'}  ${name.padEnd(22)} ${detail}`.trimEnd())
      }
    }
    if (ok) return EXIT.ok
    return checks.some((check) => check.isBase && !check.ok) ? EXIT.unavailable : EXIT.fault
  },
})

/** One node of three may be away; Kafka is down when none answers. */
async function brokers(config: Config): Promise<Check[]> {
  const answers = await Promise.all(config.KAFKA_BROKERS.map((broker) => anyBrokerAnswers([broker])))
  return config.KAFKA_BROKERS.map((broker, i) => ({
    name: `kafka ${broker}`,
    ok: answers[i] === true,
    detail: answers[i] ? 'answers' : 'does not answer',
    isBase: !answers.includes(true),
  }))
}

async function database(config: Config): Promise<Check> {
  const { hostname } = new URL(config.DATABASE_URL)
  const { port, user, database } = localDatabase(config)
  const ok = await postgresAnswers(hostname, port, user, database)
  const detail = ok ? 'answers' : 'does not answer'
  return { name: `postgres ${hostname}:${port}`, ok, detail, isBase: true }
}

/** Without it known schemas go on, new ones wait. */
async function registry(config: Config): Promise<Check[]> {
  if (!needsRegistry(config)) return []
  const ok = await registryAnswers(config)
  const detail = ok ? 'answers' : 'does not answer'
  return [{ name: `registry ${new URL(config.SCHEMA_REGISTRY_URL).host}`, ok, detail, isBase: false }]
}

/** What the supervisor says, where one runs. */
async function processes(config: Config): Promise<Check[]> {
  const status = await askStatus(stateDir(config))
  const down = status?.parts.filter((part) => !['running', 'finished', 'stopped'].includes(part.state)) ?? []
  return down.map((part) => ({
    name: part.name,
    ok: false,
    detail: `${part.state}${part.error ? `: ${part.error}` : ''}`,
    isBase: false,
  }))
}

/** The monitor, and through it everybody who reports a heartbeat. */
async function monitor(config: Config): Promise<Check[]> {
  const url = monitorUrl(config)
  const ready = await ask(`${url}/readyz`)
  const own = {
    name: 'monitor',
    ok: ready?.status === 200,
    detail: ready === null ? `does not answer at ${url}` : ready.status === 200 ? 'ready' : 'is not ready',
    isBase: false,
  }
  if (ready === null) return [own]
  const consumers = await members(`${url}/api/consumer-health`, 'consumers', 'consumer_id')
  const producers = await members(`${url}/api/producer-health`, 'producers', 'producer_id')
  return [own, ...producers, ...consumers, ...(await sinks(url))]
}

async function members(url: string, list: string, key: string): Promise<Check[]> {
  const answer = await ask(url)
  const rows = (answer?.body as Record<string, Record<string, unknown>[]> | undefined)?.[list] ?? []
  return rows.map((row) => ({
    name: String(row[key]),
    ok: WELL.includes(String(row.status)),
    detail: `${String(row.status)}, heartbeat ${Number(row.heartbeat_age_s).toFixed(1)} s ago`,
    isBase: false,
  }))
}

/** Other destinations of the readings, where there are any; one that left ten minutes ago is no longer missed. */
async function sinks(url: string): Promise<Check[]> {
  const answer = await ask(`${url}/api/sinks`)
  const rows = (answer?.body as { sinks?: Sink[] } | undefined)?.sinks ?? []
  return rows.map((row) => ({
    name: row.sink,
    ok: !isMissed(row),
    detail: `${tellSink(row)}, moved ${row.updated_age_s.toFixed(1)} s ago`,
    isBase: false,
  }))
}

async function ask(url: string): Promise<{ status: number; body: unknown } | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(3000) })
    return { status: response.status, body: await response.json() }
  } catch {
    return null
  }
}
