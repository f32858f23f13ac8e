import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { environment, type Config } from '../config.ts'
import { SINKS } from '../sink/open.ts'
import { findJava } from './java.ts'
import { kafkaNodes, kafkaParts } from './kafka.ts'
import type { Layer, Part } from './part.ts'
import { postgresPart } from './postgres.ts'
import { httpAnswers } from './probe.ts'
import { findRegistry, registryPart } from './registry.ts'
import { findOpensearch, findS3proxy, opensearchPart, s3proxyPart } from './stores.ts'

export const ROOT = resolve(import.meta.dir, '../..')
const FLEETS = ['factory', 'soda', 'iot'] as const
/** /metrics of the first producer, further ones below it; consumers above it (SPEC: 2112, 2113, 2114, 2115). */
const PRODUCER_METRICS = 2112
/** Sinks above the consumers that a plant usually has. */
const SINK_METRICS = 2123
const STORES = ['opensearch', 's3proxy'] as const
const LAYER_OF = {
  'producer.ts': 'producers',
  'consumer.ts': 'consumers',
  'monitor.ts': 'monitoring',
} as const
/** the spool is flushed and the batch finished within this, or Kafka is away and the rest stays on disk */
const DOOR_GRACE_MS = 15_000

/** Name and layer of every part of a stack, in the order in which they start. */
export function namesOf(config: Config): { name: string; layer: Layer }[] {
  return [
    ...kafkaNodes(config.PORT_OFFSET).map((node) => ({ name: `kafka${node.id}`, layer: 'infra' as const })),
    { name: 'postgres', layer: 'infra' },
    ...(needsRegistry(config) ? [{ name: 'registry', layer: 'infra' as const }] : []),
    ...(config.SINKS === 'on' ? STORES.map((name) => ({ name, layer: 'infra' as const })) : []),
    ...fleetsOf(config).map((fleet) => ({ name: producerName(fleet), layer: 'producers' as const })),
    ...Array.from({ length: config.CONSUMERS }, (_, i) => ({
      name: `consumer-${i + 1}`,
      layer: 'consumers' as const,
    })),
    ...(config.SINKS === 'on'
      ? SINKS.map((sink) => ({ name: `sink-${sink}`, layer: 'consumers' as const }))
      : []),
    { name: 'monitor', layer: 'monitoring' },
  ]
}

/** The named parts, ready to be supervised. Throws Stop where one can't be had on this machine. */
export async function planParts(
  config: Config,
  names: string[],
  env: Record<string, string>,
): Promise<Part[]> {
  const wanted = (part: { name: string }) => names.includes(part.name)
  const parts: Part[] = []
  if (names.some((name) => name.startsWith('kafka'))) {
    const nodes = kafkaNodes(config.PORT_OFFSET)
    parts.push(...kafkaParts({ dir: stateDir(config), nodes, java: await findJava() }))
  }
  if (names.includes('postgres'))
    parts.push(postgresPart({ dir: stateDir(config), ...localDatabase(config) }))
  if (names.includes('registry')) {
    const port = portOf(config.SCHEMA_REGISTRY_URL)
    parts.push(registryPart({ dir: stateDir(config), port, program: await findRegistry() }))
  }
  if (names.includes('opensearch')) {
    const port = portOf(config.ELASTICSEARCH_URL)
    parts.push(opensearchPart({ dir: stateDir(config), port, program: await findOpensearch() }))
  }
  if (names.includes('s3proxy')) {
    const access = { accessKeyId: config.S3_ACCESS_KEY, secretAccessKey: config.S3_SECRET_KEY }
    const port = portOf(config.S3_ENDPOINT)
    parts.push(s3proxyPart({ dir: stateDir(config), port, program: await findS3proxy(), ...access }))
  }
  return [...parts, ...doorParts(config, env)].filter(wanted)
}

function portOf(url: string): number {
  return Number(new URL(url).port || 80)
}

/** Where our own PostgreSQL listens and who may enter. */
export function localDatabase(config: Config) {
  const url = new URL(config.DATABASE_URL)
  return {
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
  }
}

/** Devices write Avro, whose schemas somebody has to keep. */
export function needsRegistry(config: Config): boolean {
  return config.FLEET === 'iot' || config.FLEET === 'all'
}

export function stateDir(config: Config): string {
  return resolve(ROOT, config.STATE_DIR)
}

function fleetsOf(config: Config): (typeof FLEETS)[number][] {
  return config.FLEET === 'all' ? [...FLEETS] : [config.FLEET]
}

function producerName(fleet: (typeof FLEETS)[number]): string {
  return fleet === 'factory' ? 'plant' : fleet
}

/** producer.ts, consumer.ts and monitor.ts: the same programs that containers run. */
function doorParts(config: Config, env: Record<string, string>): Part[] {
  const producers = fleetsOf(config).map((fleet, i) => {
    const name = producerName(fleet)
    const metrics = PRODUCER_METRICS - i + config.PORT_OFFSET
    return door(config, env, name, 'producer.ts', metrics, { FLEET: fleet, PRODUCER_ID: name })
  })
  const consumers = Array.from({ length: config.CONSUMERS }, (_, i) => {
    const name = `consumer-${i + 1}`
    const metrics = PRODUCER_METRICS + 1 + i + config.PORT_OFFSET
    return door(config, env, name, 'consumer.ts', metrics, { CONSUMER_ID: name })
  })
  const sinks = SINKS.map((sink, i) => {
    const metrics = Math.max(SINK_METRICS, PRODUCER_METRICS + 1 + config.CONSUMERS) + i + config.PORT_OFFSET
    const name = `sink-${sink}`
    return door(config, env, name, 'consumer.ts', metrics, { CONSUMER_ID: name }, ['--sink', sink])
  })
  const monitor = door(config, env, 'monitor', 'monitor.ts', null, MONITOR_RUNTIME)
  return [
    ...producers,
    ...consumers,
    ...sinks,
    {
      ...monitor,
      ports: [{ port: config.MONITORING_PORT, what: 'the monitor' }],
      ready: () => httpAnswers(`${monitorUrl(config)}/livez`),
    },
  ]
}

function door(
  config: Config,
  given: Record<string, string>,
  name: string,
  file: keyof typeof LAYER_OF,
  metricsPort: number | null,
  own: Record<string, string>,
  args: string[] = [],
): Part {
  const env = {
    ...RUNTIME,
    ...given,
    FLEET: config.FLEET,
    PORT_OFFSET: String(config.PORT_OFFSET),
    STATE_DIR: stateDir(config),
    SPOOL_DIR: resolve(ROOT, config.SPOOL_DIR),
    KAFKA_BROKERS: config.KAFKA_BROKERS.join(','),
    DATABASE_URL: config.DATABASE_URL,
    SCHEMA_REGISTRY_URL: config.SCHEMA_REGISTRY_URL,
    ELASTICSEARCH_URL: config.ELASTICSEARCH_URL,
    S3_ENDPOINT: config.S3_ENDPOINT,
    MONITORING_PORT: String(config.MONITORING_PORT),
    ...(metricsPort === null ? {} : { METRICS_PORT: String(metricsPort) }),
    ...own,
  }
  const layer = LAYER_OF[file]
  return {
    name,
    layer,
    mayFinish: name === producerName('soda'), // lines have a target; the others measure for ever
    ports: metricsPort === null ? [] : [{ port: metricsPort, what: `metrics of ${name}` }],
    prepare: async () => {
      if (!existsSync(join(ROOT, file))) throw new Error(`Cannot start ${name}: there is no ${file}`)
    },
    start: () => ({ argv: [process.execPath, 'run', join(ROOT, file), ...args], env, cwd: ROOT }),
    ready: async () => true,
    stop: { signal: 'SIGTERM', graceMs: DOOR_GRACE_MS },
  }
}

export function monitorUrl(config: Config): string {
  const host = config.MONITORING_HOST === '0.0.0.0' ? '127.0.0.1' : config.MONITORING_HOST
  return `http://${host}:${config.MONITORING_PORT}`
}

/**
 * Programs here have little to do for weeks, and then very much. What the engine does of its own accord is set to that:
 * - Garbage is collected by what was allocated. Bun would do it once a second as well, and JavaScriptCore every few seconds,
 *   where anything was allocated, however little.
 * - The allocator looks for pages to give back every ten minutes, not ten times a second.
 * - What runs a few times a second is compiled within minutes (thresholds a tenth of the usual ones); the last and dearest
 *   compiler (ten times its usual threshold) is for load.
 */
const RUNTIME = {
  BUN_GC_TIMER_DISABLE: '1',
  BUN_JSC_percentCPUPerMBForEdenTimer: '0.0001',
  BUN_JSC_percentCPUPerMBForFullTimer: '0.00001',
  MIMALLOC_PURGE_HOLES_MIN_INTERVAL: '600000',
  BUN_JSC_thresholdForJITAfterWarmUp: '50',
  BUN_JSC_thresholdForOptimizeAfterWarmUp: '100',
  BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: '1000000',
}
/** The page keeps little and hands out much: its garbage is collected as if the machine had 140 MB. */
export const MONITOR_RUNTIME = { ...RUNTIME, BUN_JSC_forceRAMSize: '140000000' }

/** Our own variables as they are set now, and the few that any program needs; nothing else leaks into the processes. */
export function inheritedEnv(): Record<string, string> {
  const env: Record<string, string> = {}
  const keys = Object.keys(environment.shape).flatMap((key) => [key, `${key}_FILE`])
  for (const key of [...keys, 'PATH', 'HOME', 'LANG', 'TMPDIR', 'NODE_ENV', 'NODE_EXTRA_CA_CERTS']) {
    const value = process.env[key]
    if (value !== undefined) env[key] = value
  }
  return env
}
