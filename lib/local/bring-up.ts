import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { EXIT, sleep, Stop } from '../run.ts'
import { makeArchive } from './archive.ts'
import { askStatus, askUp, ensureSupervisor } from './control.ts'
import { findJava } from './java.ts'
import type { Layer } from './part.ts'
import { inheritedEnv, monitorUrl, namesOf, needsRegistry, planParts, ROOT, stateDir } from './plan.ts'
import { listenersOn, portReport } from './ports.ts'
import { livingRecords } from './record.ts'
import { findRegistry } from './registry.ts'
import { chooseServers } from './servers.ts'
import { progressBar, type Stages } from './stage.ts'
import { findOpensearch, findS3proxy } from './stores.ts'
import { logFile } from './supervisor.ts'

/** Two minutes: three nodes that recover their logs on a busy machine. */
const READY_MS = 120_000
const READING_MS = 60_000

/**
 * Brings up what is missing of the named layers, stage by stage: dependencies → Kafka and PostgreSQL → migrations →
 * topics → producers → consumers → monitor → the first reading on the page. The names of what it started; none where
 * everything ran already. Throws Stop with what the failed part said last.
 */
export async function bringUp(
  config: Config,
  layers: Layer[],
  { stages, signal, onSupervisor }: { stages: Stages; signal: AbortSignal; onSupervisor?: () => void },
): Promise<string[]> {
  const dir = stateDir(config)
  const servers = await chooseServers(config)
  const names = namesOf(config)
    .filter((part) => layers.includes(part.layer))
    .map((part) => part.name)
    .filter((name) => !(isKafka(name) && servers.kafka === 'given'))
    .filter((name) => !(name in servers && servers[name as keyof typeof servers] === 'given'))
  const missing = await missingOf(dir, names)
  const anyGiven = Object.values(servers).includes('given')
  if (missing.length === 0 && !anyGiven) return []

  await prepareDependencies(missing, stages, signal)
  const env = envOf(config, dir)
  await refuseTakenPorts(config, missing, env)
  if (missing.length > 0) {
    await ensureSupervisor(dir)
    onSupervisor?.()
  }
  const up = async (wanted: string[]) => {
    await askUp(dir, { env, names: wanted })
    await untilRunning(dir, wanted, signal)
  }
  const stage = async (name: string, wanted: string[], told: string) => {
    if (wanted.length > 0)
      await stages.run(
        name,
        () => up(wanted),
        () => told,
      )
  }

  const ofLayer = (layer: Layer) =>
    namesOf(config).flatMap((part) =>
      part.layer === layer && missing.includes(part.name) ? [part.name] : [],
    )
  if (servers.kafka === 'given') stages.note('Kafka', `yours at ${config.KAFKA_BROKERS.join(', ')}`)
  if (servers.postgres === 'given') stages.note('PostgreSQL', `yours at ${new URL(config.DATABASE_URL).host}`)
  if (servers.registry === 'given' && needsRegistry(config))
    stages.note('schema registry', `yours at ${new URL(config.SCHEMA_REGISTRY_URL).host}`)
  const registry = stage(
    'schema registry',
    missing.filter((n) => n === 'registry'),
    new URL(config.SCHEMA_REGISTRY_URL).host,
  )
  const isStore = (name: string) => name === 'opensearch' || name === 's3proxy'
  const stores = stage('sinks’ stores', missing.filter(isStore), missing.filter(isStore).join(', '))
  const kafka = stage('Kafka', missing.filter(isKafka), config.KAFKA_BROKERS.join(', '))
  const database = stage(
    'PostgreSQL',
    missing.filter((n) => n === 'postgres'),
    new URL(config.DATABASE_URL).host,
  )
  const schema = database.then(() => runStep('migrations', 'migrate', env, stages, signal))
  // The page needs the schema only; it comes up while Kafka still does.
  const page = schema.then(() => stage('monitor', ofLayer('monitoring'), monitorUrl(config)))
  await settled([kafka, page, registry, stores])
  await runStep('topics', 'topics', env, stages, signal)

  await stage('producers', ofLayer('producers'), ofLayer('producers').join(', '))
  await stage('consumers', ofLayer('consumers'), ofLayer('consumers').join(', '))
  if (layers.includes('monitoring') && layers.includes('producers')) {
    await stages.run(
      'first reading',
      () => firstReading(config, signal),
      () => 'on the page',
    )
  }
  return missing
}

/** Starts parts of a stack that runs, by name, and waits until they serve: no other part, no schema, no topics. */
export async function startParts(config: Config, names: string[], signal: AbortSignal): Promise<void> {
  const dir = stateDir(config)
  await askUp(dir, { env: envOf(config, dir), names })
  await untilRunning(dir, names, signal)
}

function isKafka(name: string): boolean {
  return name.startsWith('kafka')
}

async function missingOf(dir: string, names: string[]): Promise<string[]> {
  const status = await askStatus(dir)
  const kept = status?.parts.filter((part) => ['starting', 'running', 'waiting'].includes(part.state)) ?? []
  return names.filter((name) => !kept.some((part) => part.name === name))
}

/** Java, the jars and the class archive: found at once, except the first time. */
async function prepareDependencies(missing: string[], stages: Stages, signal: AbortSignal): Promise<void> {
  if (!missing.some((name) => isKafka(name) || ['registry', 'opensearch', 's3proxy'].includes(name))) return
  await stages.run(
    'dependencies',
    async (progress) => {
      if (missing.includes('registry'))
        await findRegistry((done, total) => progress(`schema registry ${progressBar(done, total)}`))
      if (missing.includes('opensearch'))
        await findOpensearch((done, total) => progress(`OpenSearch ${progressBar(done, total)}`))
      if (missing.includes('s3proxy'))
        await findS3proxy((done, total) => progress(`s3proxy ${progressBar(done, total)}`))
      if (!missing.some(isKafka)) return
      const java = await findJava((done, total) => progress(`Kafka ${progressBar(done, total)}`))
      if (java.archive || signal.aborted) return java
      progress('Kafka: reading its classes once, so that every later start is faster')
      return makeArchive(java)
    },
    () => 'Java, Kafka, PostgreSQL',
  )
}

/** Our own processes that outlived their supervisor hold their ports rightly: they are taken over. */
async function refuseTakenPorts(config: Config, names: string[], env: Record<string, string>): Promise<void> {
  const living = livingRecords(stateDir(config)).map((one) => one.name)
  const ports = (await planParts(config, names, env))
    .filter((part) => !living.includes(part.name))
    .flatMap((part) => part.ports)
  const listeners = await listenersOn(ports.map((p) => p.port))
  if (listeners.length === 0) return
  const taken = listeners.map((one) => ({ ...one, what: ports.find((p) => p.port === one.port)?.what ?? '' }))
  throw new Stop(portReport(taken, config.PORT_OFFSET), EXIT.fault)
}

/** Our variables with every address filled in, so that all processes of a stack mean the same servers. */
function envOf(config: Config, dir: string): Record<string, string> {
  return {
    ...inheritedEnv(),
    FLEET: config.FLEET,
    CONSUMERS: String(config.CONSUMERS),
    PORT_OFFSET: String(config.PORT_OFFSET),
    STATE_DIR: dir,
    KAFKA_BROKERS: config.KAFKA_BROKERS.join(','),
    DATABASE_URL: config.DATABASE_URL,
    SCHEMA_REGISTRY_URL: config.SCHEMA_REGISTRY_URL,
    ELASTICSEARCH_URL: config.ELASTICSEARCH_URL,
    S3_ENDPOINT: config.S3_ENDPOINT,
    MONITORING_PORT: String(config.MONITORING_PORT),
  }
}

async function untilRunning(dir: string, names: string[], signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + READY_MS
  while (true) {
    if (signal.aborted) throw new Stop('Stopped before everything was up', EXIT.ok)
    const status = await askStatus(dir)
    const parts = status?.parts.filter((part) => names.includes(part.name)) ?? []
    // a part that ended once is being started again; one that ended three times will not come up by waiting
    const bad = parts.find((part) => part.state === 'refused' || part.restarts >= 3)
    if (bad) throw notStarted(dir, bad.name, bad.error ?? `it ended with ${bad.lastExitCode}`)
    if (parts.every((part) => part.state === 'running' || part.state === 'finished')) return
    if (performance.now() > deadline) {
      const late = parts.find((part) => part.state !== 'running')
      throw notStarted(dir, late?.name ?? names.join(', '), `not ready after ${READY_MS / 1000} s`)
    }
    await sleep(50, signal)
  }
}

function notStarted(dir: string, name: string, seen: string): Stop {
  const file = logFile(dir, name)
  const tail = existsSync(file)
    ? readFileSync(file, 'utf8').trimEnd().split('\n').slice(-12).join('\n  ')
    : ''
  return new Stop(`Cannot start ${name}: ${seen}: the end of ${file}\n  ${tail}`, EXIT.fault)
}

/** Runs another command of ours to its end; its output is shown where it fails. */
async function runStep(
  name: string,
  commandName: string,
  env: Record<string, string>,
  stages: Stages,
  signal: AbortSignal,
): Promise<void> {
  const file = join(ROOT, `lib/commands/${commandName}.ts`)
  const outcome = await stages.run(
    name,
    async () => {
      const child = Bun.spawn([process.execPath, 'run', file], {
        cwd: ROOT,
        env: { ...env, LOG_LEVEL: 'WARN' },
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
        detached: true, // Ctrl-C reaches it through us
      })
      const end = () => child.kill('SIGTERM')
      signal.addEventListener('abort', end, { once: true })
      const [stdout, stderr] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ])
      signal.removeEventListener('abort', end)
      return { code: await child.exited, stdout, stderr }
    },
    ({ code }) => (code === 0 ? 'up to date' : `failed (exit ${code})`),
  )
  if (outcome.code === EXIT.ok) return
  throw new Stop(`Cannot prepare ${name}: it said\n${(outcome.stderr + outcome.stdout).trim()}`, outcome.code)
}

/** A reading has gone the whole way once the monitor says that more is stored than when it came up. */
async function firstReading(config: Config, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + READING_MS
  let before: number | null = null
  while (!signal.aborted) {
    const stored = await storedOffsets(config)
    if (stored !== null && before !== null && stored > before) return
    before ??= stored
    if (performance.now() > deadline) {
      throw new Stop(
        `Cannot see a reading on the page: none within ${READING_MS / 1000} s: see bun run health and bun run logs`,
        EXIT.fault,
      )
    }
    await sleep(100, signal)
  }
}

/** The sum of the first offsets that are not stored, as the monitor shows it; null where it does not answer. */
async function storedOffsets(config: Config): Promise<number | null> {
  try {
    const url = `${monitorUrl(config)}/api/partition-assignment`
    const answer = await fetch(url, { signal: AbortSignal.timeout(2000) })
    const { assignments } = (await answer.json()) as { assignments: { next_offset: number | null }[] }
    return assignments.reduce((sum, one) => sum + (one.next_offset ?? 0), 0)
  } catch {
    return null // not up yet, or busy: asked again
  }
}

/** Waits for all, so that no stage goes on behind an error message. */
async function settled(all: Promise<unknown>[]): Promise<void> {
  for (const one of await Promise.allSettled(all)) if (one.status === 'rejected') throw one.reason
}
